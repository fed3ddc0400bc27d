"""TensorRT (11 and newer) and TensorRT-RTX engines on an NVIDIA GPU.

Written from the documented API and tested against fakes: no build machine of the project
has a GPU. The driver is asked through ctypes before any TensorRT library is touched, for
without one those fail in ways that no caller can catch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.cuda import probe
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Arrays
from edgesdk_runtimes._cuda import Buffer, CudaRuntime
from edgesdk_runtimes._session import SerialSession, distribution_version

MODULES = {"tensorrt-engine": "tensorrt", "tensorrt-rtx-engine": "tensorrt_rtx"}
DISTRIBUTIONS = {"tensorrt": ("tensorrt", "tensorrt-cu13"), "tensorrt_rtx": ("tensorrt-rtx-cu13",)}


class TensorRtSession(SerialSession):
    """An engine with its execution context and one device buffer per tensor."""

    runtime = "tensorrt"

    def __init__(self, bundle: Bundle, trt: Any, cuda: Any) -> None:
        super().__init__(bundle)
        self._cuda = cuda
        logger = trt.Logger(trt.Logger.ERROR)
        # The runtime must outlive the engine.
        self._runtime = trt.Runtime(logger)
        self._engine = self._runtime.deserialize_cuda_engine(bundle.entry_path.read_bytes())
        if self._engine is None:
            raise UnsupportedError(
                f"the engine {bundle.entry_path} does not load here; build it again with: "
                f"{bundle.build.get('rebuild', 'edgesdk export')}"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise UnsupportedError(
                f"the engine {bundle.entry_path} gets no execution context; free memory of the GPU"
            )
        self._stream = cuda.stream()
        self._buffers: dict[str, Buffer] = {}

    def alone(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch: copy in, execute, copy out, wait."""
        self._cuda.enter()
        for name, array in inputs.items():
            # A refused shape would leave that of the batch before, and its number of rows.
            if not self._context.set_input_shape(name, array.shape):
                raise self._refusal()
            self._room(name, array.nbytes).upload(np.ascontiguousarray(array), self._stream)
        results = {}
        for spec in self.bundle.outputs:
            shape = tuple(self._context.get_tensor_shape(spec.name))
            results[spec.name] = np.empty(shape, spec.dtype)
            self._room(spec.name, results[spec.name].nbytes)
        if not self._context.execute_async_v3(self._stream):
            raise self._refusal()
        for name, array in results.items():
            self._buffers[name].download(array, self._stream)
        self._cuda.wait(self._stream)
        return results

    def _refusal(self) -> UnsupportedError:
        return UnsupportedError(
            f"the engine {self.bundle.entry_path} refused the batch; its profile allows "
            f"{self.bundle.build.get('batch', 'unknown sizes')}"
        )

    def _room(self, name: str, size: int) -> Buffer:
        """Return the device buffer of a tensor, grown where it is too small."""
        if name not in self._buffers or self._buffers[name].size < size:
            if name in self._buffers:
                self._buffers[name].free()
            self._buffers[name] = self._cuda.buffer(size)
            self._context.set_tensor_address(name, self._buffers[name].address)
        return self._buffers[name]

    def placement(self) -> Mapping[str, int]:
        """Return all layers on the GPU: an engine runs nowhere else."""
        return {"gpu": int(self._engine.num_layers)}

    def free(self) -> None:
        """Free buffers and engine."""
        self._cuda.enter()
        for buffer in self._buffers.values():
            buffer.free()
        self._buffers = {}
        self._context = self._engine = self._runtime = None
        self._cuda.end(self._stream)


class TensorRt:
    """The plug-in."""

    aliases = ("trt", "tensorrt-rtx")
    extra = "tensorrt"
    formats = tuple(MODULES)
    kind = "native"

    @property
    def requires(self) -> tuple[str, ...]:
        """Return TensorRT where a GPU is present and neither library is."""
        either = any(map(plugins.installed, MODULES.values()))
        return () if either or probe()[0] is None else ("tensorrt",)

    def available(self) -> str | None:
        """Return None where a driver, a GPU and one of the two libraries are present."""
        gpu, why = probe()
        if gpu is None:
            return why
        if plugins.missing(self):
            return "no tensorrt; install it with: pip install 'edgesdk[tensorrt]'"
        return None

    def devices(self) -> Sequence[str]:
        """Return the first GPU, where there is one."""
        return () if probe()[0] is None else ("cuda:0",)

    def version(self) -> str:
        """Return the distribution and its version."""
        return distribution_version(*(n for names in DISTRIBUTIONS.values() for n in names))

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open an engine that was built for this library version and this GPU."""
        module = MODULES[bundle.format]
        self._check(bundle, module)
        return TensorRtSession(bundle, import_module(module), CudaRuntime())

    def _check(self, bundle: Bundle, module: str) -> None:
        rebuild = bundle.build.get("rebuild", "edgesdk export")
        if not plugins.installed(module):
            raise UnsupportedError(
                f"the engine {bundle.path} needs {module}, which is not installed; install it, "
                f"or build an engine for what is here with: {rebuild}"
            )
        built, here = bundle.build.get("builder_version"), import_module(module).__version__
        if built != here:
            raise UnsupportedError(
                f"the engine {bundle.path} was built by {module} {built}, here is {here}; "
                f"build it again with: {rebuild}"
            )
        gpu, why = probe()
        if gpu is None:
            raise UnsupportedError(f"the engine {bundle.path} cannot run here: {why}")
        if gpu.sm not in bundle.build.get("accelerators", []):
            made = ", ".join(bundle.build.get("accelerators", [])) or "unknown GPUs"
            raise UnsupportedError(
                f"the engine {bundle.path} was built for {made}, the GPU here is {gpu.sm}; "
                f"build it again with: {rebuild}"
            )


PLUGIN: Runtime = TensorRt()
