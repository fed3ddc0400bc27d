"""LiteRT, the successor of TensorFlow Lite; the old tflite-runtime where only that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.biometrics import unit
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Array, Arrays
from edgesdk_runtimes._session import SerialSession, distribution_version, renormalised

NEW, OLD = "ai_edge_litert", "tflite_runtime"


def interpreter_class() -> Any:
    """Return the interpreter of LiteRT, or the older one of tflite-runtime."""
    if plugins.installed(NEW):
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tflite_runtime.interpreter import Interpreter
    return Interpreter


class LitertSession(SerialSession):
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
            self._allocate()
        except (RuntimeError, ValueError) as error:
            raise EdgeSdkError(
                f"LiteRT cannot open {bundle.entry_path}: {error}; export it again"
            ) from None
        self._unit = renormalised(bundle)

    def _allocate(self) -> None:
        """Make room for the tensors, and look up once what each run needs to know of them."""
        self._interpreter.allocate_tensors()
        inputs = zip(self.bundle.inputs, self._interpreter.get_input_details(), strict=True)
        outputs = zip(self.bundle.outputs, self._interpreter.get_output_details(), strict=True)
        self._inputs = [(spec.name, _Slot(detail)) for spec, detail in inputs]
        self._outputs = [(spec.name, _Slot(detail)) for spec, detail in outputs]

    def alone(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        if any(inputs[name].shape != slot.shape for name, slot in self._inputs):
            self._resize(inputs)
        for name, slot in self._inputs:
            self._interpreter.set_tensor(slot.index, slot.coded(inputs[name]))
        self._interpreter.invoke()
        return {name: self._output(name, slot) for name, slot in self._outputs}

    def _resize(self, inputs: Arrays) -> None:
        for name, slot in self._inputs:
            slot.shape = ()  # no batch fits until all room is made
            self._interpreter.resize_tensor_input(slot.index, inputs[name].shape)
        self._allocate()

    def _output(self, name: str, slot: _Slot) -> Array:
        array: Array = self._interpreter.get_tensor(slot.index)
        if not slot.scale:
            return array
        decoded = slot.decoded(array)
        return unit(decoded) if name == self._unit else decoded

    def free(self) -> None:
        """Free the interpreter."""
        self._interpreter = None


class _Slot:
    """An input or output of the interpreter; `scale` is 0 where it holds no integer codes."""

    def __init__(self, detail: Mapping[str, Any]) -> None:
        self.index = int(detail["index"])
        self.shape: tuple[int, ...] = tuple(int(size) for size in detail["shape"])
        self._kind = np.dtype(detail["dtype"])
        scale, self._zero = detail["quantization"]
        self.scale = np.float32(scale if self._kind.kind in "iu" else 0)

    def coded(self, array: Array) -> Array:
        if not self.scale:
            # Converters narrow whole numbers: the caller's int64 may be int32 in the file.
            return array.astype(self._kind, copy=False)
        limits = np.iinfo(self._kind)
        with np.errstate(over="ignore"):  # beyond every code: clipped to the last one
            code: Array = np.rint(array / self.scale + self._zero)
        return code.clip(limits.min, limits.max).astype(self._kind)

    def decoded(self, array: Array) -> Array:
        codes = array.astype(np.float32)
        return np.asarray((codes - self._zero) * self.scale)


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
