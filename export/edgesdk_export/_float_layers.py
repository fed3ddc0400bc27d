"""Layers that ask to stay in float at int8, by `in_float = True` on their class.

Exporters that start from torch find them in the module. An ONNX file made from torch names their
nodes in its own metadata, so that whoever codes it, and from wherever, leaves them.
"""

import json
from pathlib import Path
from typing import Any

from edgesdk.core.protocols import ExportJob

KEY = "edgesdk.in_float"
# Where torch.onnx writes the classes that an operator lies in, a list as Python writes it.
CLASSES = "pkg.torch.onnx.class_hierarchy"


def classes_in_float(module: Any) -> list[str]:
    """Return the class names of the layers of a torch module that ask to stay in float."""
    return sorted({type(m).__name__ for m in module.modules() if getattr(m, "in_float", False)})


def layers_in_float(job: ExportJob) -> list[str]:
    """Return the class names of such layers of a job that starts from torch."""
    return classes_in_float(job.source.torch_module())


def tensors_in_float(module: Any) -> list[str]:
    """Return the names of parameters and buffers of the layers that ask to stay in float."""
    return [
        f"{path}.{name}" if path else name
        for path, layer in module.named_modules()
        if getattr(layer, "in_float", False)
        for name in dict([*layer.named_parameters(), *layer.named_buffers()])
    ]


def nodes_by_class(graph: Any, classes: list[str]) -> dict[str, list[str]]:
    """Return class -> names of the nodes that it is made of, as torch.onnx left them in a graph."""
    found: dict[str, list[str]] = {}
    for node in graph.node:
        told = next((p.value for p in node.metadata_props if p.key == CLASSES), "")
        inside = {part.strip(" []'\"").rpartition(".")[2] for part in told.split(",")}
        for name in inside.intersection(classes):
            found.setdefault(name, []).append(node.name)
    return found


def text_of(nodes: dict[str, list[str]]) -> dict[str, str]:
    """Return the metadata that tells of such nodes, nothing where there are none."""
    return {KEY: json.dumps(nodes)} if nodes else {}


def nodes_in_float(model: Any) -> dict[str, list[str]]:
    """Return class -> names of nodes that the metadata of an ONNX model says stay in float."""
    told = next((p.value for p in model.metadata_props if p.key == KEY), "{}")
    found: dict[str, list[str]] = json.loads(told)
    return found


def told_of_file(file: Path) -> list[str]:
    """Return the decisions about the layers that an int8 ONNX file keeps in float."""
    import onnx

    return told(list(nodes_in_float(onnx.load(file))))


def told(layers: list[str], kind: str = "float") -> list[str]:
    """Return the decision about each layer that was left in float."""
    return [f"int8: {name} stays in {kind}" for name in layers]
