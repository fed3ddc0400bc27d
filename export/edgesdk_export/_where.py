"""Which layer of a torch network a converter means, when it names an operator in its own words."""

import re
from collections.abc import Iterator
from typing import Any

from edgesdk.core.hush import hush
from edgesdk.core.protocols import ExportJob
from edgesdk_export._source import batch_of, specs


def layer_meant(job: ExportJob, text: str) -> str:
    """Return the layer that holds the operator which a converter names.

    Args:
        job: Whose source is a torch module.
        text: What the converter said.

    Returns:
        Such as "'head.up' (Upsample)", "" where the text names none or the network does not tell.
    """
    try:
        with hush():
            return next((_place(node) for node in _nodes(job) if _is_named(node, text)), "")
    except Exception:  # noqa: BLE001 - this is about a message; the first fault is what counts
        return ""


def _nodes(job: ExportJob) -> Iterator[Any]:
    """Yield the operators of the network, then those that they are made of."""
    import torch

    examples = tuple(
        torch.zeros((batch_of(job) or 2, *spec.shape[1:]), dtype=getattr(torch, spec.dtype))
        for spec in specs(job.source)[0]
    )
    program = torch.export.export(job.source.torch_module(), examples)
    yield from program.run_decompositions({}).graph.nodes
    yield from program.run_decompositions().graph.nodes


def _is_named(node: Any, text: str) -> bool:
    """Tell whether the text has an operator's name behind a word that says what it is."""
    operator = getattr(getattr(node.target, "overloadpacket", None), "__name__", None)
    return operator is not None and bool(
        re.search(rf"(?:\b(?:node|kind|op|operator)s?\W+(?:aten\W+)?|\baten\W+){operator}\b", text)
    )


def _place(node: Any) -> str:
    *_, (path, kind) = node.meta["nn_module_stack"].values()
    name = str(getattr(kind, "__name__", kind)).rpartition(".")[2]
    return f"{path!r} ({name})" if path else ""
