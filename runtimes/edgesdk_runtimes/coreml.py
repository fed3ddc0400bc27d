"""Core ML: Apple's own runtime on macOS; elsewhere an interpreter of the converted program.

The interpreter proves the conversion, not the device: it may give a verdict, never a speed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Arrays
from edgesdk_runtimes._session import BaseSession, SerialSession, distribution_version, use_threads

UNITS = {"cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "npu": "CPU_AND_NE", "all": "ALL"}


class NativeSession(SerialSession):
    """A package run by macOS. Never run by the project's own tests, which have no Mac.

    Apple allows one thread at a time to use a model.
    """

    runtime = "coreml"

    def __init__(self, bundle: Bundle, device: str) -> None:
        import coremltools

        super().__init__(bundle)
        units = getattr(coremltools.ComputeUnit, UNITS[device])
        self._model = coremltools.models.MLModel(str(bundle.entry_path), compute_units=units)

    def alone(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        answer = self._model.predict(dict(inputs))
        return {spec.name: answer[spec.name] for spec in self.bundle.outputs}


class InterpreterSession(BaseSession):
    """A package run operator by operator in torch."""

    runtime = "coreml"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        from edgesdk_runtimes._coreml_program import read_program

        super().__init__(bundle)
        self._threads = threads
        try:
            self._program = read_program(bundle.entry_path)
        except EdgeSdkError:
            raise
        except Exception as error:  # noqa: BLE001 - protobuf and coremltools have their own
            raise EdgeSdkError(
                f"the Core ML program {bundle.entry_path} cannot be read: {error}; export it again"
            ) from None

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        use_threads(self._threads)
        answer = self._program([inputs[spec.name] for spec in self.bundle.inputs])
        names = (spec.name for spec in self.bundle.outputs)
        return dict(zip(names, answer, strict=True))

    def placement(self) -> dict[str, int]:
        """Return all operators on the CPU: that is where the interpreter runs."""
        return {"cpu": len(self._program)}


class CoreMl:
    """The plug-in."""

    aliases = ("mlpackage", "apple")
    extra = "coreml"
    requires = ("coremltools", "torch")
    formats = ("mlpackage",)

    @property
    def kind(self) -> str:
        """Return "native" on macOS, "interpreter" elsewhere."""
        return "native" if sys.platform == "darwin" else "interpreter"

    def available(self) -> str | None:
        """Return None where coremltools and torch are installed."""
        absent = plugins.missing(self)
        if absent:
            return f"no {', '.join(absent)}; install it with: pip install 'edgesdk[coreml]'"
        return None

    def devices(self) -> Sequence[str]:
        """Return the compute units of a Mac; the CPU elsewhere."""
        return ("cpu", "gpu", "npu", "all") if self.kind == "native" else ("cpu",)

    def version(self) -> str:
        """Return the distribution and its version."""
        return distribution_version("coremltools")

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open an mlpackage bundle."""
        if self.kind == "native":
            return NativeSession(bundle, device)
        return InterpreterSession(bundle, threads)


PLUGIN: Runtime = CoreMl()
