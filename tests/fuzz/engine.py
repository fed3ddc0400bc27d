"""Run one case many times in a process of its own, and count how it ended.

python -m tests.fuzz.engine CASE COUNT SEED ENGINE     (ENGINE: atheris or chance; one JSON line)
"""

import json
import random
import sys
import time
import traceback
import warnings

LONGEST = 192  # bytes that decide a case
SLOW_S = 5.0  # of the processor, not of the clock
MEMORY = 6 * 2**30
SHOWN = 5


class Tally:
    """How the runs of one case ended.

    Args:
        case: The case.
    """

    def __init__(self, case):
        self._case = case
        self.counts = {"cases": 0, "read": 0, "refused": 0}
        self.faults = {}

    def run(self, data):
        from edgesdk.core.errors import EdgeSdkError
        from tests.fuzz.choices import Choices

        self.counts["cases"] += 1
        begin = time.process_time()
        try:
            self._case(Choices(data))
            self.counts["read"] += 1
        except EdgeSdkError:
            self.counts["refused"] += 1
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            self._note(f"{type(error).__name__} at {last.name}: {error}"[:200], data)
        if time.process_time() - begin > SLOW_S:
            self._note("slow", data)

    def _note(self, what, data):
        if len(self.faults) < SHOWN or what in self.faults:
            self.faults.setdefault(what, data.hex())

    def result(self):
        return {**self.counts, "faults": self.faults}


def by_chance(tally, count, seed):
    """Run on random bytes."""
    chance = random.Random(seed)
    for _ in range(count):
        tally.run(chance.randbytes(chance.randrange(LONGEST)))


def guided(name, count, seed):
    """Run on bytes that a coverage-guided fuzzer makes; never returns."""
    import atheris

    with atheris.instrument_imports(
        include=[
            "edgesdk",
            "edgesdk_export",
            "edgesdk_runtimes",
            "edgesdk_benchmarks",
            "edgesdk_training",
        ]
    ):
        from tests.fuzz import cases

        for module in MODULES:
            __import__(module)
    tally = Tally(cases.CASES[name])

    def once(data):
        if tally.counts["cases"] < count:
            tally.run(data)
        if tally.counts["cases"] == count:
            finish(tally)

    atheris.Setup(
        [
            sys.argv[0],
            f"-seed={seed}",
            f"-max_len={LONGEST}",
            "-verbosity=0",
            "-len_control=0",
            "-rss_limit_mb=0",
            "-timeout=600",
            f"-runs={count + 1}",
        ],
        once,
    )
    atheris.Fuzz()


MODULES = (
    "edgesdk.apk", "edgesdk.galleries", "edgesdk.images", "edgesdk.pairs", "edgesdk.tasks._classes",
    "edgesdk.tasks._inputs", "edgesdk_benchmarks.accuracy", "edgesdk_benchmarks.report.html",
    "edgesdk_export._card", "edgesdk_export._golden", "edgesdk_export._told",
    "edgesdk_runtimes._web_report", "edgesdk_runtimes.reference", "edgesdk_runtimes.torch",
    "edgesdk_training.packs", "edgesdk_training.settings",
)  # fmt: skip


def finish(tally):
    """Print the tally and end the process."""
    from tests.fuzz.cases import forget

    forget()
    sys.stdout.write(json.dumps(tally.result()) + "\n")
    sys.stdout.flush()
    import os

    os._exit(0)


def main(name, count, seed, engine):
    """Run one case as the command line says."""
    warnings.simplefilter("error")
    _bound_memory()
    if engine == "atheris":
        guided(name, int(count), int(seed))
    from tests.fuzz.cases import CASES

    tally = Tally(CASES[name])
    by_chance(tally, int(count), int(seed))
    finish(tally)


def _bound_memory():
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main(*sys.argv[1:])
