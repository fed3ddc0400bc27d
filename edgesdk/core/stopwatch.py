"""How long the stages of some work take, in however many threads it is done."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import perf_counter_ns


class Stopwatch:
    """Nanoseconds per stage, added up over all threads since it was made.

    A stage inside another one counts for both.

    Attributes:
        ns: Stage -> nanoseconds.
    """

    def __init__(self) -> None:
        self.ns: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count the time of a block for a stage."""
        begin = perf_counter_ns()
        try:
            yield
        finally:
            spent = perf_counter_ns() - begin
            with self._lock:
                self.ns[stage] += spent
