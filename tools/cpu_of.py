"""CPU seconds of a program and of all that it starts, over time, on Linux.

Wall-clock seconds say little on a machine that does other work; these do.
"""

import ctypes
import os
import threading
import time
from bisect import bisect_left
from pathlib import Path

SUBREAPER, LOOK_S = 36, 0.2  # of prctl: whose parent has ended becomes a child of this process


class CpuOf:
    """Adds up, between its beginning and its end, the CPU seconds of this process's children.

    What a short-lived process uses after it was last looked at, at most LOOK_S, is lost.
    """

    def __init__(self) -> None:
        self._used: dict[int, float] = {}
        self._course: list[tuple[float, float]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "CpuOf":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def at(self, when: float) -> float:
        """Return the CPU seconds used up to a time of the clock."""
        place = bisect_left(self._course, (when, 0.0))
        return self._course[min(place, len(self._course) - 1)][1]

    def _watch(self) -> None:
        before = descendants(os.getpid())
        while not self._ended.wait(LOOK_S):
            self._used |= descendants(os.getpid())
            spent = sum(used - before.get(pid, 0.0) for pid, used in self._used.items())
            self._course.append((time.time(), spent))


def descendants(root: int) -> dict[int, float]:
    """Return the CPU seconds so far of each process below one."""
    parents, used = {}, {}
    tick = os.sysconf("SC_CLK_TCK")
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(place.parent.name)
        parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / tick
    found: set[int] = set()
    while more := {p for p, parent in parents.items() if parent in {root, *found}} - found:
        found |= more
    return {pid: used[pid] for pid in found}
