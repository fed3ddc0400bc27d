"""ONNX Runtime: part of the base install."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.cuda import probe
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.hush import hush
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Arrays
from edgesdk_runtimes._session import BaseSession, distribution_version

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")
# By default products of fp32 are rounded to 10 bits, which no golden check survives, and
# algorithms are searched anew for each batch of another size than the one before.
OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
# ONNX Runtime 1.32 on a CPU ends the whole process where it fuses a transposition into a
# product of float16, as attention has it.
CRASHES_IN_HALF = "MatmulTransposeFusion"


class OrtSession(BaseSession):
    """An ONNX file opened by ONNX Runtime."""

    runtime = "ort"

    def __init__(self, bundle: Bundle, device: str, threads: int) -> None:
        super().__init__(bundle)
        self._device, self._threads = device, threads
        self._session = self._open(self._options())
        self._names = [spec.name for spec in bundle.outputs]

    def _options(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it logs as an error it raises as well
        # Without VNNI its int8 products overflow 16 bits; this computes them in another way there.
        options.add_session_config_entry("session.x64quantprecision", "1")
        if self._device != "cpu":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _open(self, options: Any) -> Any:
        import onnxruntime

        risky = self._device == "cpu" and self.bundle.precision == "fp16"
        wanted: Any = [CPU] if self._device == "cpu" else [_cuda(self._device)]
        try:
            # Its own retry on the CPU prints a banner and hides the cause.
            session = onnxruntime.InferenceSession(
                str(self.bundle.entry_path),
                options,
                providers=wanted,
                enable_fallback=0,
                **({"disabled_optimizers": [CRASHES_IN_HALF]} if risky else {}),
            )
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's classes are private
            raise EdgeSdkError(
                f"ONNX Runtime cannot open {self.bundle.entry_path} on {self._device}: {error}"
            ) from None
        if self._device != "cpu" and CUDA not in session.get_providers():
            raise UnsupportedError(
                f"ONNX Runtime fell back from {self._device} to the CPU; check the CUDA "
                "libraries, or ask for --device cpu"
            )
        return session

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))

    def placement(self) -> Mapping[str, int] | None:
        """Return operators per execution provider, read from ONNX Runtime's own profile."""
        with TemporaryDirectory() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = self._open(options)
            session.run(self._names, _zeros(self.bundle))
            events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        ran = [e["args"]["provider"] for e in events if "provider" in e.get("args", {})]
        units = Counter({CPU: "cpu", CUDA: "gpu"}.get(provider, provider) for provider in ran)
        return dict(units) or None


def _cuda(device: str) -> tuple[str, dict[str, str]]:
    """Return the provider of a GPU, with the CUDA libraries of Python packages loaded."""
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        with hush():  # what is absent is told by the session that does not open
            onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(3)  # it warns of plug-ins that no one asked for
    return CUDA, {"device_id": device.partition(":")[2] or "0", **OPTIONS}


def _zeros(bundle: Bundle) -> dict[str, Any]:
    return {
        spec.name: np.zeros([size or 1 for size in spec.shape], spec.dtype)
        for spec in bundle.inputs
    }


def _has_cuda() -> bool:
    import onnxruntime

    return CUDA in onnxruntime.get_available_providers()


class Ort:
    """The plug-in."""

    aliases = ("onnxruntime", "onnx")
    extra = ""
    requires = ("onnxruntime",)
    formats = ("onnx",)
    kind = "native"

    def available(self) -> str | None:
        """Return None: the base install brings it."""
        return None if self.version() else "no onnxruntime; install it with: pip install edgesdk"

    def devices(self) -> Sequence[str]:
        """Return "cpu", and "cuda:0" where the GPU build is installed and finds a driver."""
        return ("cpu", "cuda:0") if _has_cuda() and probe()[0] is not None else ("cpu",)

    def version(self) -> str:
        """Return the distribution and its version; where two are installed, the one imported."""
        found = [d for d in map(distribution_version, DISTRIBUTIONS) if d]
        if len(found) < 2:
            return "".join(found)
        name = "onnxruntime-gpu " if _has_cuda() else "onnxruntime "
        return next((d for d in found if d.startswith(name)), found[0])

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open an ONNX bundle."""
        return OrtSession(bundle, device, threads)


PLUGIN: Runtime = Ort()
