"""`python -m edgesdk_runtimes.web [FILE.tgz]`: fetch the pinned files of onnxruntime-web."""

import sys
from pathlib import Path

from edgesdk.core.errors import EdgeSdkError
from edgesdk_runtimes._web_vendor import FOLDER, PACKAGE, fetch


def main(words: list[str]) -> int:
    """Fetch and say so; return the exit code."""
    try:
        fetch(Path(words[0]) if words else None)
    except EdgeSdkError as error:
        sys.stderr.write(f"edgesdk: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{PACKAGE} is in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
