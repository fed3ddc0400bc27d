"""What a checked `session.run` costs over the runtime's own call. Printed, never asserted.

python -m edgesdk_benchmarks.call_cost [BUNDLE ...] [-o reports/call-cost.json] [--rounds 3000]

Both calls go to one and the same open session, one batch of one item on one thread, in random
turns: what drifts meets both. The cost is the median over rounds of the difference.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.batches import repeated
from edgesdk.core.bundle import Bundle, read_bundle
from edgesdk.core.env import environment
from edgesdk.core.errors import UsageError
from edgesdk.core.files import clean, write_atomic
from edgesdk.core.golden import read_golden
from edgesdk.core.session import Session
from edgesdk.core.shipped import shipped_bundle
from edgesdk.core.tensors import Arrays
from edgesdk_benchmarks._timing import Call, timed, warm
from edgesdk_benchmarks.report.markdown import plain_table
from edgesdk_benchmarks.stats import median_interval
from edgesdk_runtimes._open import open_session

# History of the schema: 1, the first one.
SCHEMA_VERSION = 1
CALLS = ("own", "raw", "checked")


def _ort(session: Any, inputs: Arrays) -> Call:
    names, own = [spec.name for spec in session.bundle.outputs], session.raw._session.run
    return lambda: own(names, inputs)


def _litert(session: Any, inputs: Arrays) -> Call:
    own = session.raw._interpreter
    places = [d["index"] for d in own.get_input_details()]
    (answer,) = (d["index"] for d in own.get_output_details())
    feed = list(zip(places, inputs.values(), strict=True))

    def call() -> Any:
        for place, array in feed:
            own.set_tensor(place, array)
        own.invoke()
        return own.get_tensor(answer)

    return call


OWN: Mapping[str, Callable[[Session, Arrays], Call]] = {"ort": _ort, "litert": _litert}


def measure(bundle: Bundle, rounds: int) -> dict[str, Any]:
    """Return nanoseconds per call of one item: the runtime's own, the raw and the checked one.

    Raises:
        UsageError: the own call of the bundle's runtime is not known here, or takes integers.
    """
    with open_session(bundle) as session:
        if session.runtime not in OWN or bundle.precision == "int8":
            raise UsageError(
                f"the runtime's own call of {bundle.name} in {session.runtime!r} is not measured; "
                f"take a bundle of floats that one of {', '.join(OWN)} opens"
            )
        inputs = repeated(read_golden(bundle).inputs, 1)
        calls = {
            "own": OWN[session.runtime](session, inputs),
            "raw": lambda: session.raw.run(inputs),
            "checked": lambda: session.run(inputs),
        }
        samples = _in_turns(calls, rounds)
        return {"bundle": bundle.name, "runtime": session.runtime, "samples_ns": samples}


def _in_turns(calls: Mapping[str, Call], rounds: int) -> dict[str, list[int]]:
    samples: dict[str, list[int]] = {name: [] for name in calls}
    for call in calls.values():
        warm(call, 100)
    order = random.Random(0)
    for _ in range(rounds):
        for name in order.sample(list(calls), len(calls)):
            samples[name].append(round(timed(calls[name])))
    return samples


def cost_us(samples: Mapping[str, list[int]], name: str) -> tuple[float, float, float]:
    """Return the median difference to the runtime's own call in µs, and its 95 % interval."""
    gaps = (np.array(samples[name]) - np.array(samples["own"])) / 1e3
    return float(np.median(gaps)), *median_interval(gaps.tolist())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", nargs="*", type=Path, default=[shipped_bundle("bridge-face")])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/call-cost.json"))
    parser.add_argument("--rounds", type=int, default=3_000)
    asked = parser.parse_args()
    found = [measure(read_bundle(path), asked.rounds) for path in asked.bundles]
    rows = []
    for one in found:
        one["cost_us"] = {name: cost_us(one["samples_ns"], name) for name in CALLS[1:]}
        own = np.median(one["samples_ns"]["own"]) / 1e3
        shown = (f"{m:.2f} ({low:.2f} to {high:.2f})" for m, low, high in one["cost_us"].values())
        rows.append([one["bundle"], one["runtime"], f"{own:.1f}", *shown])
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "call-cost",
        "command": "python -m edgesdk_benchmarks.call_cost",
        "environment": environment(),
        "rounds": asked.rounds,
        "found": found,
    }
    # On one line, as benchmark results are: it holds many thousand samples.
    write_atomic(asked.output, json.dumps(clean(document)).encode() + b"\n")
    head = ("bundle", "runtime", "own call µs", "raw.run adds µs", "session.run adds µs")
    sys.stdout.write(plain_table(head, rows) + f"\nwritten {asked.output}\n")


if __name__ == "__main__":
    main()
