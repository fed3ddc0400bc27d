"""OpenVINO networks (IR: model.xml and model.bin), made from the network's ONNX file.

fp16 stores float16 weights; a CPU computes in float32 all the same. int8 is coded by calibrated
Q/DQ pairs, which OpenVINO turns into its own: weights in 7 bits, for its kernels on processors
without VNNI overflow with 8 (docs/design/07-int8-for-openvino.md).
"""

from pathlib import Path

from edgesdk.core.jobs import LAYERS
from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import ONNX
from edgesdk_export._float_layers import told_of_file
from edgesdk_export._plain_ops import for_openvino
from edgesdk_export._quantize import to_int8
from edgesdk_export._quiet import converting
from edgesdk_export._source import batch_of, facts, specs, versions

ENTRY, FILE = "model_ir", "model.xml"


class OpenvinoExporter:
    """See the module."""

    aliases: tuple[str, ...] = ("ir", "ov")
    extra = "openvino"
    requires: tuple[str, ...] = ("openvino", "onnx")
    accepts: tuple[str, ...] = (ONNX,)
    leaves_float = LAYERS

    def available(self) -> str | None:
        """See Exporter."""
        return None

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        return job.source.lacks(ONNX)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        batch, work = batch_of(job), job.folder / "model.onnx"
        tools = job.source.write_onnx(work, batch)
        if job.precision == "int8" != job.source.precision:
            exact = work.rename(job.folder / "fp32.onnx")
            tools += to_int8(
                exact, work, job.calibration, facts(job.source), batch,
                in_float=job.in_float, seven_bits=True,
            )  # fmt: skip
            exact.unlink()
        _convert(work, job)
        decided = _decisions(job, work)
        work.unlink()
        inputs, outputs = specs(job.source, batch)
        return Artefact(
            entry=ENTRY,
            inputs=inputs,
            outputs=outputs,
            format="openvino",
            tool_versions=versions(*tools, "openvino"),
            decisions=tuple(decided),
            build={"file": FILE},
        )


def _convert(onnx_file: Path, job: ExportJob) -> None:
    import openvino

    with converting("openvino"):
        model = openvino.convert_model(onnx_file)
        for_openvino(model)
        openvino.save_model(
            model, job.folder / ENTRY / FILE, compress_to_fp16=job.precision == "fp16"
        )


def _decisions(job: ExportJob, work: Path) -> list[str]:
    if job.precision == job.source.precision:
        return []
    return {
        "fp16": ["fp16: weights are stored in float16, a CPU computes in float32"],
        "int8": [
            "int8: static, weights per channel, in 7 bits for processors that add products in 16; "
            "the convolution of the input, the last product "
            "and the normalisation stay in float"
        ],
    }[job.precision] + (told_of_file(work) if job.precision == "int8" else [])


PLUGIN: Exporter = OpenvinoExporter()
