"""`python -m edgesdk_runtimes.web [FILE.tgz] [--if-missing]`: fetch onnxruntime-web, pinned."""

import sys
from pathlib import Path

from edgesdk.core.errors import EdgeSdkError
from edgesdk_runtimes._web_vendor import FOLDER, PACKAGE, fetch, problem


def main(words: list[str]) -> int:
    """Fetch and say so; return the exit code."""
    files = [word for word in words if word != "--if-missing"]
    try:
        if len(files) == len(words) or problem() is not None:
            fetch(Path(files[0]) if files else None)
    except EdgeSdkError as error:
        sys.stderr.write(f"edgesdk: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{PACKAGE} is in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
