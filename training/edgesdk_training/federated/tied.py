"""Run one of Flower's programs, and end it when the process that started it ends, however.

python -m edgesdk_training.federated.tied flower-supernode …
"""

import os
import signal
import sys
import time
from importlib.metadata import entry_points
from threading import Thread

LOOK_S, GRACE_S = 0.5, 5.0


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)  # a SuperLink waits without end for those who read its log


def main() -> None:
    """Do what the program does whose name is the first argument."""
    Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    sys.argv = sys.argv[1:]
    (program,) = entry_points(group="console_scripts", name=sys.argv[0])
    program.load()()


if __name__ == "__main__":
    main()
