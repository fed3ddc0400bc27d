"""A graph and its weights that numpy alone can run: slow, exact, and easy to read.

`graph.json` holds the network, `weights.bin` its constants behind each other:

    {"version": 1, "opset": 20,
     "inputs": ["image"], "outputs": ["embedding"],
     "nodes": [{"op": "Conv", "inputs": ["image", "w", "b"], "outputs": ["y"],
                "attrs": {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}}],
     "weights": {"w": {"dtype": "float32", "shape": [16, 3, 3, 3], "offset": 0, "bytes": 1728}}}

Operators mean what ONNX defines for that opset (domain ai.onnx). Nodes stand in an order in
which they can run. An input "" is an optional one left out; an attribute that is absent has
its ONNX default. `offset` counts bytes from the start of weights.bin, values are
little-endian in row-major order, each offset is a multiple of 16. `Constant` nodes and
attributes that hold a tensor are stored as weights, so a graph holds none of them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.files import write_atomic, write_json
from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import ONNX
from edgesdk.core.tensors import Array
from edgesdk_export._graph import constants
from edgesdk_export._source import Needs, batch_of, need, specs, versions

GRAPH, WEIGHTS = "graph.json", "weights.bin"
VERSION = 1
ALIGN = 16


class ReferenceExporter:
    """See the module."""

    aliases: tuple[str, ...] = ("numpy",)
    extra = "onnx"
    requires: tuple[str, ...] = ("onnx",)
    accepts: tuple[str, ...] = (ONNX,)

    def available(self) -> str | None:
        """See Exporter."""
        return None

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        return job.source.lacks(ONNX)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        need("target 'reference'", Needs(self.requires, self.extra))
        batch, work = batch_of(job), job.folder / "model.onnx"
        tools = job.source.write_onnx(work, batch)
        _write(work, job.folder)
        work.unlink()
        inputs, outputs = specs(job.source, batch)
        return Artefact(
            entry=GRAPH,
            inputs=inputs,
            outputs=outputs,
            format="reference",
            tool_versions=versions(*tools, "onnx"),
            build={"weights": WEIGHTS},
        )


def _write(onnx_file: Path, folder: Path) -> None:
    import onnx

    model = onnx.load(onnx_file)
    stored = constants(model.graph)
    table, data = _packed(stored)
    write_atomic(folder / WEIGHTS, data)
    graph = {
        "version": VERSION,
        "opset": max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
        "inputs": [v.name for v in model.graph.input if v.name not in stored],
        "outputs": [v.name for v in model.graph.output],
        "nodes": [_node(node) for node in model.graph.node if node.op_type != "Constant"],
        "weights": table,
    }
    write_json(folder / GRAPH, graph)


def _node(node: Any) -> dict[str, Any]:
    if node.domain not in ("", "ai.onnx"):
        raise UnsupportedError(
            f"operator {node.op_type} of domain {node.domain} is not plain ONNX; the reference "
            "target cannot hold it"
        )
    return {
        "op": node.op_type,
        "inputs": list(node.input),
        "outputs": list(node.output),
        "attrs": {a.name: _value(node, a) for a in node.attribute},
    }


def _value(node: Any, attribute: Any) -> Any:
    from onnx import helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int | float):
        return value
    if isinstance(value, list) and all(isinstance(v, int | float) for v in value):
        return list(value)
    raise UnsupportedError(
        f"attribute {attribute.name} of {node.op_type} holds a graph or tensor; the reference "
        "target cannot hold it"
    )


def _packed(stored: dict[str, Array]) -> tuple[dict[str, Any], bytes]:
    table, data = {}, bytearray()
    for name, array in stored.items():
        raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % ALIGN)
        shape = list(array.shape)
        table[name] = {
            "dtype": array.dtype.name,
            "shape": shape,
            "offset": len(data),
            "bytes": len(raw),
        }
        data += raw
    return table, bytes(data)


PLUGIN: Exporter = ReferenceExporter()
