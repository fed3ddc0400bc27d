"""What the command lines of the tools share."""

import sys
from collections.abc import Callable

from edgesdk.core.errors import EdgeSdkError


def told(main: Callable[[], None]) -> None:
    """Run `main`; an error of ours becomes its sentence on stderr and its exit code."""
    try:
        main()
    except EdgeSdkError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
