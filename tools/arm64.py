"""Run bundles on ARM64 kernels: the aarch64 wheels of the runtimes under qemu, for numbers only.

qemu is 50 to 280 times slower than a phone of the same kind, so no time is taken here.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.tensors import Array

ROOT = Path(__file__).parent.parent
PHONES = ROOT / "build" / "phones"
# A small phone of 2015 without half-precision arithmetic, and a big core of 2018 with it.
CPUS = ("cortex-a53", "cortex-a76")
TIMEOUT_S = 600


def missing() -> str | None:
    """Return why nothing can be run, None where all is prepared."""
    needed = ("qemu-aarch64", "arm64/.ready", "site.txt")
    absent = [n for n in needed if not (PHONES / n).exists()]
    return (
        f"no {', '.join(absent)} in build/phones; prepare it with: make phones" if absent else None
    )


def answers(
    bundles: Sequence[Path], cpu: str
) -> tuple[list[Array], dict[str, Any], list[dict[str, str]]]:
    """Return what the bundles answer on an ARM64 CPU.

    That is each one's first output for its golden crops, the versions, and each one's golden
    stages -> "pass" or "fail".

    Args:
        bundles: Folders, onnx or tflite.
        cpu: A model that qemu knows, such as "cortex-a76".

    Raises:
        EdgeSdkError: a bundle does not run there, such as on an illegal instruction.
    """
    with TemporaryDirectory() as out:
        done = subprocess.run(
            _command(Path(out), bundles, cpu),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        if done.returncode:
            raise EdgeSdkError(f"on {cpu}, exit code {done.returncode}: {done.stderr[-2000:]}")
        versions = json.loads((Path(out) / "versions.json").read_text())
        golden = json.loads((Path(out) / "golden.json").read_text())
        return [np.load(Path(out) / f"{i}.npy") for i in range(len(bundles))], versions, golden


def _command(out: Path, bundles: Sequence[Path], cpu: str) -> list[str]:
    python = next((PHONES / "arm64" / "usr" / "bin").glob("python3.*"))
    sources = (".", "runtimes", "export", "training", "benchmarks")
    path = ":".join(map(str, [PHONES / "site", *(ROOT / s for s in sources)]))
    variables = {
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    }
    settings = [word for k, v in variables.items() for word in ("-E", f"{k}={v}")]
    qemu = [str(PHONES / "qemu-aarch64"), "-cpu", cpu, "-L", str(PHONES / "arm64"), *settings]
    script = str(ROOT / "tools" / "arm64_answer.py")
    return [*qemu, str(python), script, str(out), *(str(b.resolve()) for b in bundles)]
