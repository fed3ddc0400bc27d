"""A fresh process that opens one bundle: load time, first run, peak memory.

python -m edgesdk_benchmarks._worker BUNDLE RUNTIME DEVICE THREADS   (one JSON line)
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgesdk.core.batches import repeated
from edgesdk.core.bundle import Bundle, read_bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.golden import read_golden

TIMEOUT_S = 120


def cold_start(bundle: Bundle, runtime: str, device: str, threads: int) -> dict[str, Any]:
    """Return load_ns, first_ns, baseline_mb, peak_mb and model_mb of a fresh process.

    All values are None where the process did not succeed; "error" says why.
    """
    command = [sys.executable, "-m", "edgesdk_benchmarks._worker"]
    command += [str(bundle.path), runtime, device, str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"a fresh process did not open and run it within {TIMEOUT_S:g} s"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"error": f"a fresh process that opens it ended with {done.returncode}: {last}"}
    return answer


def peak_mb() -> float | None:
    """Return the largest resident memory of this process so far, None where unknown.

    Linux: `VmHWM`, for getrusage there counts the parent's memory of before the exec too.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(words: list[str]) -> None:
    """Print what opening and running once cost, or the sentence of what went wrong."""
    try:
        answer = _cost(words)
    except EdgeSdkError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))  # noqa: T201


def _cost(words: list[str]) -> dict[str, Any]:
    path, runtime, device, threads = words
    from edgesdk_runtimes._open import open_session

    bundle = read_bundle(Path(path))
    inputs = repeated(read_golden(bundle).inputs, bundle.inputs[0].shape[0] or 1)
    baseline = peak_mb()
    begin = time.perf_counter_ns()
    session = open_session(bundle, runtime, device, int(threads))
    loaded = time.perf_counter_ns()
    session.run(inputs)
    first = time.perf_counter_ns()
    peak = peak_mb()
    known = baseline is not None and peak is not None
    return {
        "load_ns": loaded - begin,
        "first_ns": first - loaded,
        "baseline_mb": baseline,
        "peak_mb": peak,
        "model_mb": peak - baseline if known and peak and baseline else None,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
