"""Core ML packages (ML programs), made from a checkpoint on any system.

fp16 computes in float16; input and output stay float32. int8 codes the weights alone, per
channel: coding activations needs Apple's own runtime, which only macOS has.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import TORCH
from edgesdk_export import _plain_ops
from edgesdk_export._float_layers import layers_in_float, tensors_in_float, told
from edgesdk_export._quiet import converting
from edgesdk_export._source import batch_of, facts, specs, versions
from edgesdk_export._where import layer_meant

ENTRY = "model.mlpackage"
ORIGIN_KEYS = ("com.github.apple.coremltools.conversion_date",)


class CoremlExporter:
    """See the module."""

    aliases: tuple[str, ...] = ("mlpackage", "apple")
    extra = "coreml"
    requires: tuple[str, ...] = ("torch", "coremltools")
    accepts: tuple[str, ...] = (TORCH,)

    def available(self) -> str | None:
        """See Exporter."""
        return None

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        return job.source.lacks(TORCH)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        with converting("coremltools", partial(layer_meant, job)):
            model = _convert(job)
            if job.precision == "int8":
                model = _weights_in_8_bit(model, tensors_in_float(job.source.torch_module()))
            _describe(model, job)
            model.save(str(job.folder / ENTRY))
        # A by-product that nothing of ours or Apple's reads.
        (job.folder / ENTRY / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)
        inputs, outputs = specs(job.source, batch_of(job))
        return Artefact(
            entry=ENTRY,
            inputs=inputs,
            outputs=outputs,
            format="mlpackage",
            tool_versions=versions("torch", "coremltools"),
            decisions=tuple(_decisions(job)),
            build={"min_os": job.target.options["min_os"], "arithmetic": _arithmetic(job)},
        )


def _arithmetic(job: ExportJob) -> str:
    return "float32" if job.precision == "fp32" else "float16"


def _convert(job: ExportJob) -> Any:
    import coremltools as ct
    import torch

    tensors, outputs = specs(job.source)
    largest = int(job.target.options["largest_batch"])
    examples = tuple(
        torch.zeros((batch_of(job) or 2, *s.shape[1:]), dtype=getattr(torch, s.dtype))
        for s in tensors
    )
    free = torch.export.Dim("batch", min=1, max=largest)
    program = torch.export.export(
        job.source.torch_module(),
        examples,
        dynamic_shapes=tuple({0: free} for _ in tensors) if batch_of(job) is None else None,
    )
    first = batch_of(job) or ct.RangeDim(1, largest, 1)
    return ct.convert(
        program.run_decompositions(_plain_ops.for_coreml()),
        convert_to="mlprogram",
        inputs=[ct.TensorType(name=s.name, shape=(first, *s.shape[1:])) for s in tensors],
        outputs=[ct.TensorType(name=s.name) for s in outputs],
        compute_precision=getattr(ct.precision, _arithmetic(job).upper()),
        minimum_deployment_target=getattr(ct.target, job.target.options["min_os"]),
        compute_units=ct.ComputeUnit.CPU_ONLY,
        skip_model_load=True,
    )


def _weights_in_8_bit(model: Any, left: Sequence[str]) -> Any:
    """Return the model with weights in 8 bits, but those of these names, as torch calls them."""
    from coremltools.optimize import coreml as optimize

    every = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    # torch.export begins the names of parameters with p_, of buffers with b_; the precision ends
    # them here.
    began = tuple(f"{kind}_{name.replace('.', '_')}_to_" for name in left for kind in "pb")
    found = optimize.get_weights_metadata(model, weight_threshold=0)
    apart = {name: None for name in found if name.startswith(began)}
    config = optimize.OptimizationConfig(global_config=every, op_name_configs=apart)
    return optimize.linear_quantize_weights(model, config=config)


def _describe(model: Any, job: ExportJob) -> None:
    texts = facts(job.source)
    for key in ORIGIN_KEYS:
        model.user_defined_metadata.pop(key, None)
    model.user_defined_metadata.update(texts)
    model.short_description = f"{job.source.model}: {job.source.task}"
    model.license = texts["edgesdk.licence_weights"]


def _decisions(job: ExportJob) -> list[str]:
    notes = []
    if batch_of(job) is None:
        notes.append(
            f"batch: free from 1 to {job.target.options['largest_batch']}; the Neural Engine "
            "prefers a fixed one (--batch)"
        )
    if job.precision == "fp16":
        notes.append("fp16: weights and arithmetic in float16, input and output stay float32")
    if job.precision == "int8":
        notes.append(
            "int8: weights alone, per channel and symmetric; activations stay float16, for coding "
            "them needs Core ML's own runtime on macOS"
        )
        notes += told(layers_in_float(job), "float16")
    return notes


PLUGIN: Exporter = CoremlExporter()
