"""OpenVINO on the CPU. It computes in fp32: left alone, it would take bf16 where a CPU has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.hush import hush
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Arrays
from edgesdk_runtimes._session import SerialSession, distribution_version

FILE = "model.xml"
# Operators that only hold or pass on values.
NO_WORK = ("Const", "Input", "Output", "Reorder")


class OpenvinoSession(SerialSession):
    """A network compiled for the CPU."""

    runtime = "openvino"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        super().__init__(bundle)
        import openvino

        file = bundle.entry_path / str(bundle.build.get("file", FILE))
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            with hush():
                self._model: Any = openvino.Core().compile_model(file, "CPU", settings)
                self._request: Any = self._model.create_infer_request()
                self._outputs = [(s.name, self._model.output(s.name)) for s in bundle.outputs]
        except RuntimeError as error:
            text = " ".join(str(error).split())[:300]
            raise EdgeSdkError(f"OpenVINO cannot open {file}: {text}; export it again") from None

    def alone(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        found = self._request.infer(dict(inputs))
        return {name: np.array(found[port]) for name, port in self._outputs}

    def placement(self) -> Mapping[str, int] | None:
        """Return the number of operators per unit: all that work are on the CPU."""
        ops = self._model.get_runtime_model().get_ordered_ops()
        kinds = Counter(str(op.get_rt_info()["layerType"].value) for op in ops)
        return {"cpu": sum(count for kind, count in kinds.items() if kind not in NO_WORK)}

    def free(self) -> None:
        """Free request and network."""
        self._outputs, self._request, self._model = [], None, None


class Openvino:
    """The plug-in."""

    aliases = ("ov",)
    extra = "openvino"
    requires = ("openvino",)
    formats = ("openvino",)
    kind = "native"

    def available(self) -> str | None:
        """Return None where the package is installed."""
        if plugins.installed("openvino"):
            return None
        return "no openvino; install it with: pip install 'edgesdk[openvino]'"

    def devices(self) -> Sequence[str]:
        """Return the CPU."""
        return ("cpu",)

    def version(self) -> str:
        """Return the distribution and its version."""
        return distribution_version("openvino")

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open an OpenVINO bundle."""
        return OpenvinoSession(bundle, threads)


PLUGIN: Runtime = Openvino()
