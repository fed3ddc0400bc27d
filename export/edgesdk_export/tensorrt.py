"""Engines for NVIDIA GPUs, with the ONNX file they were built from beside them.

A GPU with TensorRT 11 or newer builds for itself. An RTX card, or a machine without any
GPU, builds ahead of time with TensorRT-RTX; where the engine cannot run, the ONNX file
stands in for it and the bundle can be exported again on the real card.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from edgesdk.core import plugins
from edgesdk.core.cuda import Gpu, probe
from edgesdk.core.errors import MissingDependencyError, UnsupportedError
from edgesdk.core.files import write_atomic
from edgesdk.core.jobs import LAYERS
from edgesdk.core.protocols import Artefact, Exporter, ExportJob
from edgesdk.core.source import ONNX
from edgesdk_export._engine import build_engine, engine_facts
from edgesdk_export._float_layers import told_of_file
from edgesdk_export._quantize import OF_ONNX, to_fp16, to_int8
from edgesdk_export._source import batch_of, facts, is_rebuild, specs, versions

ENTRY, PROXY = "model.engine", "model.onnx"
FULL, RTX = "tensorrt", "tensorrt_rtx"
FORMATS = {FULL: "tensorrt-engine", RTX: "tensorrt-rtx-engine"}
OLDEST = 11


@dataclass(frozen=True, slots=True)
class Plan:
    """How an engine is built on this machine.

    Attributes:
        builder: Module that builds.
        accelerators: Compute capabilities to build for; () = the GPU present.
        not_run: Why the engine cannot run here, "" if it can.
        why: Sentence for the decisions.
    """

    builder: str
    accelerators: tuple[str, ...]
    not_run: str
    why: str


class TensorrtExporter:
    """See the module."""

    aliases: tuple[str, ...] = ("trt", "engine")
    requires: tuple[str, ...] = ()
    accepts: tuple[str, ...] = (ONNX,)
    needs = OF_ONNX
    leaves_float = LAYERS

    @property
    def extra(self) -> str:
        """Return the extra that serves this machine: a GPU builds for itself."""
        return "tensorrt-rtx" if probe()[0] is None else "tensorrt"

    def available(self) -> str | None:
        """See Exporter."""
        if plugins.installed(FULL) or plugins.installed(RTX):
            return None
        return str(_no_builder(probe()[0]))

    def machine(self) -> str:
        """Return what of this machine an engine depends on."""
        gpu, reason = probe()
        return gpu.sm if gpu else reason

    def supports(self, job: ExportJob) -> str | None:
        """See Exporter."""
        if is_rebuild(job.source, FULL):
            same = job.precision == job.source.precision
            return None if same else f"{job.source.name} can only be built again at its precision"
        return job.source.lacks(ONNX)

    def export(self, job: ExportJob) -> Artefact:
        """See Exporter."""
        gpu, reason = probe()
        plan = choose(job, gpu, reason)
        batch, network = batch_of(job), job.folder / PROXY
        tools = _write_network(job, batch)
        inputs, outputs = specs(job.source, batch)
        trt = import_module(plan.builder)
        sizes = _sizes(job, batch)
        engine = build_engine(trt, network, inputs, sizes, plan.accelerators)
        write_atomic(job.folder / ENTRY, engine)
        built_for = plan.accelerators or ((gpu.sm,) if gpu else ())
        return Artefact(
            entry=ENTRY,
            inputs=inputs,
            outputs=outputs,
            format=FORMATS[plan.builder],
            tool_versions={**versions(*tools), plan.builder: str(trt.__version__)},
            decisions=(plan.why, *_decisions(job, batch, sizes)),
            build={
                **engine_facts(trt, built_for, batch=list(sizes)),
                "gpu": None if gpu is None else gpu.name,
                "cuda": None if gpu is None else gpu.cuda,
                "rebuild": _rebuild_command(job),
            },
            proxy=PROXY,
            not_run=plan.not_run,
        )


def choose(job: ExportJob, gpu: Gpu | None, reason: str) -> Plan:
    """Return how to build here.

    Args:
        job: Target and profile.
        gpu: The GPU present, None for none.
        reason: Why there is none.

    Raises:
        MissingDependencyError: no builder is installed that serves this machine.
        UnsupportedError: the GPU or the profile is not one the builder serves.
    """
    wanted = job.profile.accelerators if job.profile else ()
    if _builder(job, gpu) == FULL:
        return _on_this_gpu(gpu, reason, wanted)
    covered = tuple(job.target.options["rtx_accelerators"])
    default = tuple(job.target.options["accelerators"]) if gpu is None else (gpu.sm,)
    asked = wanted or default
    foreign = [sm for sm in asked if sm not in covered]
    if foreign:
        raise UnsupportedError(
            f"{', '.join(foreign)} is not a TensorRT-RTX target ({', '.join(covered)} are); on a "
            "machine with that GPU: pip install 'edgesdk[tensorrt]'"
        )
    if gpu is not None and gpu.sm not in asked:
        reason = f"the engine is for {', '.join(asked)}, here is {gpu.sm}"
    return Plan(RTX, asked, reason, _why_rtx(asked, reason, bool(wanted)))


def _builder(job: ExportJob, gpu: Gpu | None) -> str:
    """Return the module to build with: TensorRT on a GPU that it is installed for, else RTX."""
    forced = str(job.target.options["builder"])
    if forced != "auto":
        if not plugins.installed(forced):
            raise MissingDependencyError("target 'tensorrt'", [forced], forced.replace("_", "-"))
        return forced
    cross = gpu is not None and job.profile and gpu.sm not in job.profile.accelerators
    if gpu is not None and plugins.installed(FULL) and not (cross and plugins.installed(RTX)):
        return FULL
    if plugins.installed(RTX):
        return RTX
    raise _no_builder(gpu)


def _no_builder(gpu: Gpu | None) -> MissingDependencyError:
    if gpu is not None:
        found = f"target 'tensorrt' on this {gpu.name} ({gpu.sm}, CUDA {gpu.cuda})"
        return MissingDependencyError(found, [f"tensorrt>={OLDEST}"], "tensorrt")
    return MissingDependencyError("target 'tensorrt' without a GPU", [RTX], "tensorrt-rtx")


def _on_this_gpu(gpu: Gpu | None, reason: str, wanted: tuple[str, ...]) -> Plan:
    if gpu is None:
        raise UnsupportedError(
            f"TensorRT builds on the GPU itself, and there is none: {reason}; build ahead of time "
            "with: pip install 'edgesdk[tensorrt-rtx]'"
        )
    if wanted and gpu.sm not in wanted:
        raise UnsupportedError(
            f"the profile is for {', '.join(wanted)}, this GPU is {gpu.sm}; leave out --profile, "
            "or build ahead of time with: pip install 'edgesdk[tensorrt-rtx]'"
        )
    found = _installed_version()
    if int(found.split(".")[0]) < OLDEST:
        raise UnsupportedError(
            f"TensorRT {found} is installed, {OLDEST} or newer is needed; upgrade with: "
            "pip install -U 'edgesdk[tensorrt]'"
        )
    return Plan(FULL, (), "", f"builder tensorrt {found}: it builds for the GPU present, {gpu.sm}")


def _installed_version() -> str:
    try:
        return version("tensorrt")
    except PackageNotFoundError:
        return str(import_module(FULL).__version__)


def _why_rtx(asked: tuple[str, ...], not_run: str, by_profile: bool) -> str:
    chosen = "as the profile says" if by_profile else "the default"
    text = f"builder tensorrt_rtx: ahead of time for {', '.join(asked)}, {chosen}"
    return f"{text}; not run here: {not_run}" if not_run else text


def _write_network(job: ExportJob, batch: int | None) -> list[str]:
    """Write the ONNX file that the engine is built from, in the precision asked for."""
    network, exact = job.folder / PROXY, job.folder / "fp32.onnx"
    if job.precision == job.source.precision:
        return job.source.write_onnx(network, batch)
    tools, texts = job.source.write_onnx(exact, batch), facts(job.source)
    if job.precision == "fp16":
        tools += to_fp16(exact, network, texts)
    else:
        tools += to_int8(exact, network, job.calibration, texts, batch, True, job.in_float)
    exact.unlink(missing_ok=True)
    return tools


def _sizes(job: ExportJob, batch: int | None) -> tuple[int, int, int]:
    """Return smallest, usual and largest batch."""
    if batch is not None:
        return batch, batch, batch
    if job.profile is not None:
        return job.profile.batch
    smallest, usual, largest = job.target.options["batch"]
    return smallest, usual, largest


def _decisions(job: ExportJob, batch: int | None, sizes: tuple[int, int, int]) -> list[str]:
    notes = ["precision: as the ONNX file says, the engine is strongly typed, TF32 is off"]
    if batch is None:
        notes.append(f"batch: {sizes[0]} to {sizes[2]}, tuned for {sizes[1]}")
    if job.precision == "int8":
        notes.append("int8: signed symmetric Q/DQ pairs and float biases, as TensorRT asks for")
        notes += told_of_file(job.folder / PROXY)
    if is_rebuild(job.source, FULL):
        notes.append("built again from the ONNX file of the source bundle")
    return notes


def _rebuild_command(job: ExportJob) -> str:
    profile = f" --profile {job.profile.name}" if job.profile else ""
    return f"edgesdk export BUNDLE --target tensorrt --precision {job.precision}{profile}"


PLUGIN: Exporter = TensorrtExporter()
