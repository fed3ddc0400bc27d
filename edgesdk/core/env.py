"""Facts of this machine that a number is worthless without. Unknown is None, never 0."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "CUDA_VISIBLE")
DISTRIBUTIONS = (
    "edgesdk", "numpy", "onnxruntime", "onnxruntime-gpu", "ai-edge-litert", "tflite-runtime",
    "coremltools", "tensorrt", "tensorrt-rtx-cu13", "torch",
)  # fmt: skip
CPU = Path("/sys/devices/system/cpu/cpu0/cpufreq")
CGROUP = Path("/sys/fs/cgroup")
# Two results that differ here were not taken on the same ground.
DECISIVE = ("cpu", "cores", "affinity", "os", "governor", "cpu_limit", "gpu")


def environment() -> dict[str, Any]:
    """Return the facts of this machine, now."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "affinity": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": _text(CPU / "scaling_governor"),
        "clocks_mhz": {
            "now": _khz("scaling_cur_freq") or _proc_mhz(),
            "lowest": _khz("scaling_min_freq"),
            "highest": _khz("scaling_max_freq"),
        },
        "cpu_limit": _cpu_limit(),
        "memory_mb": _memory(),
        "memory_limit_mb": _memory_limit(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "power_mode": _text(Path("/sys/firmware/acpi/platform_profile")),
        "gpu": gpu(),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(VARIABLES)},
        "versions": {n: v for n in DISTRIBUTIONS if (v := _version(n))},
        "ci": bool(os.environ.get("CI")),
    }


def unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return sentences on what differs decisively between two environments."""
    return [
        f"{key}: {a.get(key)} against {b.get(key)}" for key in DECISIVE if a.get(key) != b.get(key)
    ]


def gpu() -> str | None:
    """Return name and driver of the first NVIDIA GPU, None where there is none."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _khz(name: str) -> float | None:
    text = _text(CPU / name)
    return float(text) / 1000 if text and text.isdigit() else None


def _info(key: str) -> str | None:
    lines = (_text(Path("/proc/cpuinfo")) or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def _proc_mhz() -> float | None:
    text = _info("cpu MHz")
    return float(text) if text else None


def _cpu() -> str | None:
    return _info("model name") or platform.processor() or None


def _cpu_limit() -> float | None:
    """Return the container's limit in cores, None for no limit."""
    quota, _, period = (_text(CGROUP / "cpu.max") or "max").partition(" ")
    return float(quota) / float(period) if quota.isdigit() and period else None


def _memory() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (ValueError, OSError, AttributeError):
        return None


def _memory_limit() -> float | None:
    text = _text(CGROUP / "memory.max") or ""
    return float(text) / 2**20 if text.isdigit() else None
