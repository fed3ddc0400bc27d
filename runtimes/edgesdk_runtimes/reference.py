"""The reference: a stored graph run by numpy alone. Slow and exact, for verdicts and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.files import read_json
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import DTYPES, Array, Arrays
from edgesdk.core.typed import MALFORMED, check_known
from edgesdk_runtimes._reference_ops import OPS
from edgesdk_runtimes._session import BaseSession

VERSION = 1
NODE = {"op": str, "attrs": Mapping[str, Any], "inputs": list[str], "outputs": list[str]}
WEIGHT = {"dtype": str, "shape": list[int], "offset": int}


class ReferenceSession(BaseSession):
    """A graph.json with its weights.bin; the exporter `reference` describes the format."""

    runtime = "reference"

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._graph = read_json(bundle.entry_path, "graph")
        try:
            self._open(bundle.entry_path.parent / "weights.bin")
        except MALFORMED as error:
            raise UsageError(
                f"the graph {bundle.entry_path} is damaged ({error}); export it again"
            ) from None

    def _open(self, weights: Path) -> None:
        """Check the nodes and read the weights; raises one of MALFORMED for a damaged graph."""
        if self._graph["version"] != VERSION:
            raise ValueError(f"version {self._graph['version']}, this edgesdk reads {VERSION}")
        for node in self._graph["nodes"]:
            check_known("node", node, NODE, NODE)
        unknown = {n["op"] for n in self._graph["nodes"]} - set(OPS)
        if unknown:
            raise UnsupportedError(
                f"the reference runtime has no operator {', '.join(sorted(unknown))}; "
                "use another target"
            )
        content = weights.read_bytes()
        self._weights = {n: _weight(content, about) for n, about in self._graph["weights"].items()}

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        values: dict[str, Array | None] = {**self._weights, **inputs, "": None}
        # As other runtimes, it answers with infinity and says nothing.
        with np.errstate(all="ignore"):
            for node in self._graph["nodes"]:
                answer = OPS[node["op"]](node["attrs"], *(values[name] for name in node["inputs"]))
                parts = answer if isinstance(answer, tuple) else (answer,)
                values.update(zip(node["outputs"], parts, strict=False))
        return {spec.name: np.array(values[spec.name]) for spec in self.bundle.outputs}

    def placement(self) -> Mapping[str, int]:
        """Return all operators on the CPU."""
        return {"cpu": len(self._graph["nodes"])}


def _weight(content: bytes, about: Mapping[str, Any]) -> Array:
    check_known("weight", about, WEIGHT, WEIGHT)
    if about["dtype"] not in DTYPES:
        raise ValueError(f"a weight of type {about['dtype']!r:.60}")
    dtype = np.dtype(about["dtype"]).newbyteorder("<")
    count = prod(about["shape"])
    array = np.frombuffer(content, dtype, count, about["offset"])
    return array.astype(about["dtype"]).reshape(about["shape"])


class Reference:
    """The plug-in."""

    aliases = ("numpy",)
    extra = ""
    requires = ()
    formats = ("reference",)
    kind = "interpreter"

    def available(self) -> str | None:
        """Return None: numpy is always there."""
        return None

    def devices(self) -> Sequence[str]:
        """Return the CPU."""
        return ("cpu",)

    def version(self) -> str:
        """Return numpy's version."""
        return f"numpy {np.__version__}"

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open a reference bundle; numpy decides on threads."""
        return ReferenceSession(bundle)


PLUGIN: Runtime = Reference()
