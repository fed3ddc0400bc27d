"""LiteRT, the successor of TensorFlow Lite; the old tflite-runtime where only that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.biometrics import unit
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Array, Arrays
from edgesdk_runtimes._session import BaseSession, distribution_version

NEW, OLD = "ai_edge_litert", "tflite_runtime"


def interpreter_class() -> Any:
    """Return the interpreter of LiteRT, or the older one of tflite-runtime."""
    if plugins.installed(NEW):
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tflite_runtime.interpreter import Interpreter
    return Interpreter


class LitertSession(BaseSession):
    """A .tflite file; one interpreter, resized when the batch changes.

    Integer inputs and outputs are coded and decoded here, by the file's own scale and zero
    point, so that the caller sees float32.
    """

    runtime = "litert"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        super().__init__(bundle)
        try:
            self._interpreter: Any = interpreter_class()(
                model_path=str(bundle.entry_path), num_threads=threads
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise EdgeSdkError(
                f"LiteRT cannot open {bundle.entry_path}: {error}; export it again"
            ) from None
        self._inputs = self._interpreter.get_input_details()
        self._outputs = self._interpreter.get_output_details()
        self._renormalise = bool(bundle.build.get("renormalise"))

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        arrays = [inputs[spec.name] for spec in self.bundle.inputs]
        self._resize(arrays)
        for detail, array in zip(self._inputs, arrays, strict=True):
            self._interpreter.set_tensor(detail["index"], _coded(array, detail))
        self._interpreter.invoke()
        names = (spec.name for spec in self.bundle.outputs)
        return {n: self._output(d) for n, d in zip(names, self._outputs, strict=True)}

    def _resize(self, arrays: Sequence[Array]) -> None:
        unlike = False
        for detail, array in zip(self._inputs, arrays, strict=True):
            if tuple(detail["shape"]) != array.shape:
                self._interpreter.resize_tensor_input(detail["index"], array.shape)
                unlike = True
        if unlike:
            self._interpreter.allocate_tensors()
            self._inputs = self._interpreter.get_input_details()
            self._outputs = self._interpreter.get_output_details()

    def _output(self, detail: Any) -> Array:
        array = self._interpreter.get_tensor(detail["index"])
        scale, zero = detail["quantization"]
        if np.issubdtype(array.dtype, np.integer) and scale:
            array = (array.astype(np.float32) - zero) * np.float32(scale)
            if self._renormalise:
                array = unit(array)
        return np.asarray(array)

    def close(self) -> None:
        """Free the interpreter."""
        self._interpreter = None


def _coded(array: Array, detail: Any) -> Array:
    scale, zero = detail["quantization"]
    kind = np.dtype(detail["dtype"])
    if kind.kind not in "iu" or not scale:
        return array
    limits = np.iinfo(kind)
    code: Array = np.rint(array / np.float32(scale) + zero)
    return code.clip(limits.min, limits.max).astype(kind)


class Litert:
    """The plug-in."""

    aliases = ("tflite", "tensorflow-lite", "tflite-runtime")
    extra = "litert"
    requires = (NEW,)
    formats = ("tflite",)
    kind = "native"

    def available(self) -> str | None:
        """Return None where either interpreter is installed."""
        if plugins.installed(NEW) or plugins.installed(OLD):
            return None
        return "no ai_edge_litert; install it with: pip install 'edgesdk[litert]'"

    def devices(self) -> Sequence[str]:
        """Return the CPU: delegates for GPU and NPU exist on phones only."""
        return ("cpu",)

    def version(self) -> str:
        """Return the distribution and its version; the old one is named as such."""
        if plugins.installed(NEW):
            return distribution_version("ai-edge-litert")
        return distribution_version("tflite-runtime") + " (old; ai-edge-litert replaces it)"

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open a tflite bundle."""
        return LitertSession(bundle, threads)


PLUGIN: Runtime = Litert()
