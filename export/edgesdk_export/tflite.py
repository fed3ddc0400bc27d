"""TensorFlow Lite files for LiteRT, made from a checkpoint.

fp16 stores float16 weights and computes in float32. int8 is static: 8-bit weights per
channel, 8-bit activations, int8 input and output with the scale and zero point that
`TensorSpec` holds; the session's caller sees float32 all the same.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.jobs import BOTH, REST
from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import TORCH
from edgesdk.core.tensors import Arrays, TensorSpec
from edgesdk_export import _plain_ops
from edgesdk_export._float_layers import layers_in_float, told
from edgesdk_export._quiet import converting
from edgesdk_export._source import batch_of, facts, specs, versions
from edgesdk_export._tflite_float import PRELU_SAID, scopes_in_float, writes_prelu
from edgesdk_export._where import layer_meant

ENTRY = "model.tflite"
PRODUCTS = FP16_OPS = ("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE", "FULLY_CONNECTED")


class TfliteExporter:
    """See the module."""

    aliases: tuple[str, ...] = ("litert",)
    extra = "tflite"
    requires: tuple[str, ...] = ("torch", "litert_torch", "ai_edge_quantizer", "ai_edge_litert")
    accepts: tuple[str, ...] = (TORCH,)
    leaves_float = BOTH

    def available(self) -> str | None:
        """See Exporter."""
        return None

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        return job.source.lacks(TORCH)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        path = job.folder / ENTRY
        with converting("litert_torch", partial(layer_meant, job)):
            _convert(job, path)
            if job.precision == "fp16":
                _to_fp16(path)
            elif job.precision == "int8":
                _to_int8(path, job)
        stamp(path, facts(job.source))
        inputs, outputs = specs(job.source, batch_of(job))
        codes = _codes(path)
        tools = ["torch", "litert-torch", "litert-converter", "ai-edge-litert"]
        return Artefact(
            entry=ENTRY,
            inputs=_coded(inputs, codes["inputs"]),
            outputs=_coded(outputs, codes["outputs"]),
            format="tflite",
            tool_versions=versions(*tools, *["ai-edge-quantizer"][: job.precision != "fp32"]),
            decisions=tuple(_decisions(job)),
            build=_build(job),
        )


def _convert(job: ExportJob, path: Path) -> None:
    import litert_torch
    import torch
    from litert_torch.fx_infra import decomp

    if ("float", batch_of(job)) in job.kept:
        path.write_bytes(job.kept["float", batch_of(job)])
        return
    decomp.update_pre_convert_decomp(_plain_ops.for_tflite())
    module = job.source.torch_module()
    examples = tuple(
        torch.zeros((batch_of(job) or 1, *spec.shape[1:]), dtype=getattr(torch, spec.dtype))
        for spec in specs(job.source)[0]
    )
    # Its own `export` ends the process where the disk is full.
    content = litert_torch.convert(module, examples).model_content()
    path.write_bytes(content)
    job.kept["float", batch_of(job)] = content


def _to_fp16(path: Path) -> None:
    from ai_edge_quantizer import qtyping, quantizer, recipe_manager

    recipe = recipe_manager.RecipeManager()
    for name in FP16_OPS:
        recipe.add_weight_only_config(
            ".*", qtyping.TFLOperationName(name), num_bits=16, algorithm_key="float_casting"
        )
    work = quantizer.Quantizer(str(path), recipe.get_quantization_recipe())
    _replace(path, work.quantize(None))


def _to_int8(path: Path, job: ExportJob) -> None:
    from ai_edge_quantizer import qtyping, quantizer, recipe, recipe_manager

    manager = recipe_manager.RecipeManager()
    if REST in job.in_float:
        for name in PRODUCTS:
            operation = qtyping.TFLOperationName(name)
            manager.add_static_config(".*", operation, activation_num_bits=8, weight_num_bits=8)
    else:
        manager.load_quantization_recipe(recipe.static_wi8_ai8())
    apart = layers_in_float(job)
    named = [name for name in job.in_float if name != REST]
    for scope in scopes_in_float(path, apart, named):
        manager.add_quantization_config(
            scope, qtyping.TFLOperationName.ALL_SUPPORTED, algorithm_key="no_quantize"
        )
    if apart:
        # What asks for more than 8 bits is not to be rounded to them on its way out.
        out = qtyping.TFLOperationName.OUTPUT
        manager.add_quantization_config(".*", out, algorithm_key="no_quantize")
    work = quantizer.Quantizer(str(path), manager.get_quantization_recipe())
    _replace(path, work.quantize(_ranges(path, job, manager)))


def _ranges(path: Path, job: ExportJob, manager: Any) -> Any:
    """Return what each tensor was seen to hold; what leaves more in float needs no more."""
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    if ("ranges", batch_of(job)) in job.kept:
        return deepcopy(job.kept["ranges", batch_of(job)])
    # The tool's own moving average of ranges cuts off the strong activations of some faces:
    # cosine p1 0.886 against 0.986 with the true extremes (bridge-face at 16 px, real faces).
    ranges = calibrator.Calibrator(
        str(path), num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    ranges.calibrate(_samples(path, job), manager)
    job.kept["ranges", batch_of(job)] = ranges.get_model_qsvs()
    return deepcopy(ranges.get_model_qsvs())


def _samples(path: Path, job: ExportJob) -> dict[str, list[Arrays]]:
    """Return the calibration set by signature, under the file's own input names."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(path))
    [(key, signature)] = model.get_signature_list().items()
    kinds = {n: d["dtype"] for n, d in model.get_signature_runner(key).get_input_details().items()}
    given = zip(signature["inputs"], job.calibration.values(), strict=True)
    names = {name: array.astype(kinds[name], copy=False) for name, array in given}
    size = batch_of(job) or 1
    count = min(len(array) for array in names.values())
    starts = range(0, count - size + 1, size)
    return {key: [{n: a[i : i + size] for n, a in names.items()} for i in starts]}


def _replace(path: Path, result: Any) -> None:
    """Write the quantized file over the float one; the tool refuses to overwrite."""
    path.unlink()
    result.export_model(str(path))


def _codes(path: Path) -> dict[str, list[tuple[float, int] | None]]:
    """Return (scale, zero point) of each input and output, None for floats."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(path))
    details = {"inputs": model.get_input_details(), "outputs": model.get_output_details()}
    return {
        side: [
            (float(d["quantization"][0]), int(d["quantization"][1]))
            if d["quantization"][0]
            else None
            for d in tensors
        ]
        for side, tensors in details.items()
    }


def _coded(
    tensors: tuple[TensorSpec, ...], codes: list[tuple[float, int] | None]
) -> tuple[TensorSpec, ...]:
    return tuple(
        spec if code is None else replace(spec, scale=code[0], zero_point=code[1])
        for spec, code in zip(tensors, codes, strict=True)
    )


def _normalised(job: ExportJob) -> bool:
    return job.precision == "int8" and bool(job.source.postprocess.get("normalised"))


def _decisions(job: ExportJob) -> list[str]:
    notes = []
    if batch_of(job) is None:
        notes.append("batch: stored as 1, free by resizing the input when the file is opened")
    if job.precision == "fp16":
        notes.append("fp16: weights are stored in float16, arithmetic stays in float32")
    if job.precision == "int8":
        notes.append("int8: static, weights per channel, ranges are the minimum and maximum seen")
        notes += told(layers_in_float(job))
        notes += [PRELU_SAID] if writes_prelu(job.source.torch_module()) else []
    if _normalised(job):
        notes.append("int8 output is not exactly of unit length: the runtime normalises it again")
    return notes


def _build(job: ExportJob) -> dict[str, Any]:
    resizable = {"resizable": batch_of(job) is None}
    return {**resizable, "renormalise": True} if _normalised(job) else resizable


def stamp(path: Path, texts: Mapping[str, str]) -> None:
    """Write `texts` into the file's metadata buffers."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    raw = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(raw, 0)
    for buffer in model.buffers:
        # The quantizer keeps weights behind the table, by position; packing moves them.
        if buffer.offset > 1:
            buffer.data = np.frombuffer(raw, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    model.metadata = model.metadata or []
    for key, value in texts.items():
        text, entry = schema.BufferT(), schema.MetadataT()
        text.data = np.frombuffer(value.encode(), np.uint8)
        entry.name, entry.buffer = key, len(model.buffers)
        model.buffers.append(text)
        model.metadata.append(entry)
    builder = flatbuffers.Builder(len(raw))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


PLUGIN: Exporter = TfliteExporter()
