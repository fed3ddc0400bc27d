"""ExecuTorch on the CPU, through its Python bindings: XNNPACK and portable kernels.

Its pool of threads belongs to the process. A method keeps the pool it was loaded with, so a
change of the number of threads loads every method again before it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.batches import in_batches
from edgesdk.core.biometrics import unit
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.hush import hush
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Array, Arrays
from edgesdk_runtimes._pte import read_pte
from edgesdk_runtimes._session import SerialSession, distribution_version, renormalised

METHOD = "forward"


class _Pool:
    """The pool of threads that all sessions of the process share.

    Attributes:
        lock: Held while a session loads or runs.
        turn: Raised with each change; a method of an earlier turn must not run.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.turn = 0

    def take(self, threads: int) -> int:
        """Make the pool that large and return the turn; called with the lock held."""
        from executorch.extension.pybindings import portable_lib

        if portable_lib._threadpool_get_thread_count() != threads:
            portable_lib._unsafe_reset_threadpool(threads)
            self.turn += 1
        return self.turn


_POOL = _Pool()


class ExecutorchSession(SerialSession):
    """A .pte file; the sessions of a process take turns."""

    runtime = "executorch"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        super().__init__(bundle)
        self._threads, self._turn = threads, -1
        self._content = bundle.entry_path.read_bytes()
        self._method: Any = None
        with _POOL.lock:
            self._load()
        self._unit = renormalised(bundle)

    def _load(self) -> None:
        """Load the method, again where the pool of threads is another than before."""
        with hush():
            turn = _POOL.take(self._threads)
            if turn == self._turn:
                return
            from executorch.runtime import Runtime as Library

            try:
                self._program: Any = Library.get().load_program(self._content)
                self._method = self._program.load_method(METHOD)
                meta = self._method.metadata
                self._largest = int(meta.input_tensor_meta(0).sizes()[0])
            except (RuntimeError, KeyError, ValueError) as error:
                text = " ".join(str(error).split())[:300]
                place = self.bundle.entry_path
                raise EdgeSdkError(
                    f"ExecuTorch cannot open {place}: {text}; export it again"
                ) from None
            self._turn = turn

    def alone(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch, in turns where the program's memory holds fewer items."""
        with _POOL.lock:
            self._load()
            return in_batches(self._run, inputs, most=self._largest)

    def _run(self, inputs: Arrays) -> dict[str, Array]:
        import torch

        given = [torch.from_numpy(_own(inputs[spec.name])) for spec in self.bundle.inputs]
        outputs = zip(self.bundle.outputs, self._method.execute(given), strict=True)
        found = {spec.name: np.array(tensor.numpy()) for spec, tensor in outputs}
        return {n: unit(a) if n == self._unit else a for n, a in found.items()}

    def placement(self) -> Mapping[str, int] | None:
        """Return the number of operators that XNNPACK takes and that portable kernels do."""
        return read_pte(self._content).placement

    def free(self) -> None:
        """Free method and program."""
        with _POOL.lock:
            self._method = self._program = None


def _own(array: Array) -> Array:
    """Return the array as torch takes it: whole, in order, and writable."""
    return np.require(array, requirements=["C", "W"])


class Executorch:
    """The plug-in."""

    aliases = ("pte",)
    extra = "executorch"
    requires = ("torch", "executorch")
    formats = ("executorch",)
    kind = "native"

    def available(self) -> str | None:
        """Return None where the package is installed."""
        if plugins.installed("executorch"):
            return None
        return "no executorch; install it with: pip install 'edgesdk[executorch]'"

    def devices(self) -> Sequence[str]:
        """Return the CPU."""
        return ("cpu",)

    def version(self) -> str:
        """Return the distribution and its version."""
        return distribution_version("executorch")

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open an ExecuTorch bundle."""
        return ExecutorchSession(bundle, threads)


PLUGIN: Runtime = Executorch()
