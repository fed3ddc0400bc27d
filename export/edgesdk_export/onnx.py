"""ONNX files: fp32, fp16 by conversion, int8 by Q/DQ pairs with unsigned activations.

From an fp32 ONNX bundle, fp32 is a copy that needs no other package.
"""

from pathlib import Path

from edgesdk.core.jobs import LAYERS
from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import ONNX
from edgesdk_export._float_layers import told_of_file
from edgesdk_export._quantize import OF_ONNX, to_fp16, to_int8
from edgesdk_export._source import batch_of, facts, specs, versions

ENTRY = "model.onnx"
CODED = (
    "int8: static Q/DQ pairs, weights per channel, input and output stay float32; the first "
    "convolution with what leads to it, the last product and the normalisation stay in float"
)
OVERFLOW = (
    "int8: on x86 processors without VNNI its products may overflow in ONNX Runtime, unless the "
    "session option session.x64quantprecision is 1, which edgesdk sets"
)


class OnnxExporter:
    """See the module."""

    aliases: tuple[str, ...] = ()
    extra = "onnx"
    requires: tuple[str, ...] = ()
    accepts: tuple[str, ...] = (ONNX,)
    needs = OF_ONNX
    leaves_float = LAYERS

    def available(self) -> str | None:
        """See Exporter."""
        return None

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        return job.source.lacks(ONNX)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        batch, entry = batch_of(job), job.folder / ENTRY
        exact, texts = job.folder / "fp32.onnx", facts(job.source)
        tools = job.source.write_onnx(exact, batch)
        if job.precision == job.source.precision:
            exact.rename(entry)
        elif job.precision == "fp16":
            tools += to_fp16(exact, entry, texts)
        else:
            tools += to_int8(exact, entry, job.calibration, texts, batch, in_float=job.in_float)
        exact.unlink(missing_ok=True)
        inputs, outputs = specs(job.source, batch)
        return Artefact(
            entry=ENTRY,
            inputs=inputs,
            outputs=outputs,
            format="onnx",
            tool_versions=versions(*tools),
            decisions=tuple(decisions(job, entry)),
        )


def decisions(job: ExportJob, file: Path) -> list[str]:
    """Return what was chosen for an ONNX file."""
    overflow = [OVERFLOW] if job.precision == "int8" else []
    if job.precision == job.source.precision:
        return overflow
    if job.precision == "fp16":
        return ["fp16: weights and arithmetic in float16, input and output stay float32"]
    return [CODED, *overflow, *told_of_file(file)]


PLUGIN: Exporter = OnnxExporter()
