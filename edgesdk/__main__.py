"""Where the command begins: `edgesdk`, and `python -m edgesdk`, which torchrun needs."""

import os

from edgesdk._interrupt import begin, end


def main() -> int:
    """Run the command line; from here on Ctrl-C is no traceback."""
    ours = begin()
    _fill_descriptors()
    from edgesdk.cli import main as run

    try:
        return run()
    finally:
        if ours:
            end()


def _fill_descriptors() -> None:
    """Let no file be opened as 0, 1 or 2, where libraries that print would write into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    raise SystemExit(main())
