"""ExecuTorch programs (.pte) for XNNPACK on processors of phones and boards, made from torch.

What XNNPACK does not know stays with ExecuTorch's portable kernels. fp16 stores and computes in
float16, input and output stay float32. int8 is static (PT2E): 8-bit weights per channel and
activations of convolutions, products and what XNNPACK takes between them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from edgesdk.core.batches import CHUNK, in_batches
from edgesdk.core.jobs import REST
from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import TORCH
from edgesdk_export._float_layers import layers_in_float, told
from edgesdk_export._quiet import converting
from edgesdk_export._source import batch_of, facts, specs, versions
from edgesdk_export._where import layer_meant
from edgesdk_runtimes._pte import read_pte

ENTRY = "model.pte"


class ExecutorchExporter:
    """See the module."""

    aliases: tuple[str, ...] = ("pte", "et")
    extra = "executorch"
    requires: tuple[str, ...] = ("torch", "executorch", "torchao")
    accepts: tuple[str, ...] = (TORCH,)
    leaves_float = REST

    def available(self) -> str | None:
        """See Exporter."""
        return None

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        return job.source.lacks(TORCH)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        with converting("executorch", partial(layer_meant, job)):
            program = _lowered(_traced(job), facts(job.source))
        (job.folder / ENTRY).write_bytes(program)
        inputs, outputs = specs(job.source, batch_of(job))
        return Artefact(
            entry=ENTRY,
            inputs=inputs,
            outputs=outputs,
            format="executorch",
            tool_versions=versions("torch", "executorch", *["torchao"][: job.precision == "int8"]),
            decisions=tuple(_decisions(job, program)),
            build={"renormalise": True} if _normalised(job) else {},
        )


def _traced(job: ExportJob) -> Any:
    """Return the network as a torch.export.ExportedProgram of the job's precision."""
    module = job.source.torch_module()
    if job.precision == "fp16":
        return _exported(_in_half(module), job, nested=True)
    program = _exported(module, job)
    return _exported(_in_8_bit(program.module(), job), job) if job.precision == "int8" else program


def _exported(module: Any, job: ExportJob, nested: bool = False) -> Any:
    """Trace a module; `nested` where it takes its inputs as one starred argument."""
    import torch

    tensors = specs(job.source)[0]
    examples = tuple(
        torch.zeros((batch_of(job) or 2, *s.shape[1:]), dtype=getattr(torch, s.dtype))
        for s in tensors
    )
    free = torch.export.Dim("batch", min=1, max=int(job.target.options["largest_batch"]))
    shapes: tuple[Any, ...] | None = tuple({0: free} for _ in tensors)
    if batch_of(job) is not None:
        shapes = None
    elif nested:
        shapes = (shapes,)
    return torch.export.export(module, examples, dynamic_shapes=shapes)


def _lowered(program: Any, texts: dict[str, str]) -> bytes:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(
        program, partitioner=[XnnpackPartitioner()], constant_methods=texts
    )
    content: bytes = edge.to_executorch().buffer
    return content


def _in_half(module: Any) -> Any:
    """Return a copy of the module in float16 that takes and gives float32."""
    from copy import deepcopy

    import torch

    class Half(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = deepcopy(module).half()

        def forward(self, *inputs: Any) -> Any:
            found = self.inner(*(_cast(t, torch.float32, torch.float16) for t in inputs))
            if isinstance(found, tuple | list):
                return tuple(_cast(t, torch.float16, torch.float32) for t in found)
            return _cast(found, torch.float16, torch.float32)

    return Half().eval()


def _cast(tensor: Any, before: Any, after: Any) -> Any:
    return tensor.to(after) if tensor.dtype == before else tensor


def _in_8_bit(graph: Any, job: ExportJob) -> Any:
    """Return the traced graph with static 8-bit codes, their ranges from the calibration."""
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    prepared = prepare_pt2e(graph, _quantizer(job))

    def seen(arrays: Any) -> dict[str, Any]:
        prepared(*(torch.from_numpy(array) for array in arrays.values()))
        return {"": next(iter(arrays.values()))[:, :0]}

    with torch.no_grad():
        in_batches(seen, dict(job.calibration), size=batch_of(job), most=CHUNK)
    return convert_pt2e(prepared)


def _quantizer(job: ExportJob) -> Any:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as tool

    config = tool.get_symmetric_quantization_config(is_per_channel=True)
    quantizer = tool.XNNPACKQuantizer().set_filter_function(_may_be_coded(job))
    if REST not in job.in_float:
        return quantizer.set_global(config)
    for operator in (*tool.CONV_TARGETS, *tool.LINEAR_TARGETS):
        quantizer.set_operator_type(operator, config)
    return quantizer


def _may_be_coded(job: ExportJob) -> Callable[[Any], bool]:
    """Return whether a node of the graph may be coded: those of some layers ask to stay out."""
    names = layers_in_float(job)

    def coded(node: Any) -> bool:
        stack = node.meta.get("nn_module_stack", {}).values()
        return not any(str(kind).rpartition(".")[2] in names for _, kind in stack)

    return coded


def _normalised(job: ExportJob) -> bool:
    return job.precision == "int8" and bool(job.source.postprocess.get("normalised"))


def _decisions(job: ExportJob, program: bytes) -> list[str]:
    notes = []
    if batch_of(job) is None:
        # The tool may plan for fewer than it was told.
        [most, *_], _ = read_pte(program).inputs[0]
        notes.append(f"batch: free; memory is planned for {most} items, more are run in turns")
    if job.precision == "fp16":
        notes.append("fp16: weights and arithmetic in float16, input and output stay float32")
    if job.precision == "int8":
        notes.append("int8: static, weights per channel; what XNNPACK does not take stays in float")
        notes += told(layers_in_float(job))
    if _normalised(job):
        notes.append("int8 output is not exactly of unit length: the runtime normalises it again")
    return notes


PLUGIN: Exporter = ExecutorchExporter()
