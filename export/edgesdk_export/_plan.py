"""What an export is asked to do, checked and hashed before anything is converted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import bundle_name
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.files import canonical, clean, sha256_bytes
from edgesdk.core.protocols import Exporter, ExportJob
from edgesdk.core.target import Profile, Target, Tolerance, read_profile, read_target
from edgesdk.core.task import FALLBACK, Evaluation, is_known, task_of
from edgesdk_export._calibration import Calibration, calibrate, refuse_overlap
from edgesdk_export._flushed import SAID, FlushedSource
from edgesdk_export._graph import LARGEST_BATCH
from edgesdk_export._source import Source, batch_of, own_sha256, versions
from edgesdk_export._task import check_max_drop


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What a user may ask of an export.

    Attributes:
        target: Target or an alias of it.
        precision: fp32, fp16 or int8; None for the target's first one.
        batch: Fixed batch size, None for a free one.
        profile: Device profile to build for.
        calib: Real items for int8, as the task reads them; None for drawn ones.
        calib_samples: Number of calibration items.
        calib_seed: Seed that draws them.
        strict: Refuse damaged pictures among them instead of passing them over.
        data: Set with the truth about its items, for the accuracy and the thresholds.
        max_drop: Largest loss on `data`, absolute.
        verify: Compare the artefact with its source.
        require_proof: Refuse what did not itself run on this machine.
        flush_denormals: Take denormal weights for zero.
        force: Export again although the bundle exists.
        require_precision: Refuse an artefact of which most is at another precision.
        decisions: Sentences about choices made before, such as which model was taken.
    """

    target: str
    precision: str | None = None
    batch: int | None = None
    profile: str | None = None
    calib: Path | None = None
    # With 128 drawn faces the worst cosines of int8 hang twice as much on the draw; see
    # benchmarks/results/calibration-spread.json.
    calib_samples: int = 512
    calib_seed: int = 0
    strict: bool = False
    data: Path | None = None
    max_drop: float = 0.01
    verify: bool = True
    require_proof: bool = False
    flush_denormals: bool = False
    force: bool = False
    require_precision: bool = False
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One export, ready to run.

    Attributes:
        source: What is exported.
        exporter: The plug-in.
        target: Its constraints.
        precision: Resolved.
        profile: Resolved, None for none.
        options: As asked.
        calibration: None where the precision needs none.
        data: Set to judge source and artefact on, None for none.
        machine: What of this machine the artefact depends on, "" for nothing.
        decisions: Sentences so far.
        batch: Fixed batch size that is made, None for a free one.
        in_float: What int8 leaves in float, as in ExportJob.
        allowed: What this source needs in place of the target's tolerance, None for that one.
        kept: As in ExportJob; all that is made of this plan shares it.
    """

    source: Source
    exporter: Exporter
    target: Target
    precision: str
    profile: Profile | None
    options: ExportOptions
    calibration: Calibration | None
    data: Evaluation | None
    machine: str
    decisions: tuple[str, ...]
    batch: int | None = None
    in_float: tuple[str, ...] = ()
    allowed: Tolerance | None = None
    kept: dict[Any, Any] = field(default_factory=dict, compare=False)

    def name(self, mark: str = "") -> str:
        """Return the name of the bundle's folder."""
        profile = self.profile.name if self.profile else None
        return bundle_name(self.source.model, self.target.name, self.precision, profile, mark)

    @property
    def tolerance(self) -> Tolerance:
        """What is allowed at this precision."""
        return self.allowed or self.target.tolerance[self.precision]

    @property
    def sha256(self) -> str:
        """Hash of everything that decides the numbers of the artefact."""
        tools = versions(*self.target.options.get("tools", ()))
        recipe = {
            "source": own_sha256(self.source),
            "target": [self.target.name, self.precision, self.target.options],
            "batch": self.options.batch,
            **({"flush_denormals": True} if self.options.flush_denormals else {}),
            "profile": clean(self.profile and _fields(self.profile)),
            "calibration": self.calibration and self.calibration.sha256,
            "tools": tools,
        }
        return sha256_bytes(canonical(clean(recipe)))

    @property
    def proof(self) -> dict[str, Any]:
        """What the proof depends on besides the artefact; equal proofs need no second run."""
        return {
            "verified": self.options.verify,
            "data_sha256": self.data and self.data.sha256,
            "max_drop": self.options.max_drop if self.data else None,
            "machine": self.machine,
        }

    @property
    def leaves(self) -> str:
        """What the exporter can leave in float at this precision, "" for nothing."""
        return getattr(self.exporter, "leaves_float", "") if self.precision == "int8" else ""

    def leaving(self, nodes: Sequence[str], named: str, why: str) -> "Plan":
        """Return this plan with `nodes` in float, and the sentence that says so."""
        said = f"int8 leaves {named} in float: {why}"
        return replace(self, in_float=tuple(nodes), decisions=(*self.decisions, said))

    def job(self, folder: Path) -> ExportJob:
        """Return what the exporter is told."""
        flush = self.options.flush_denormals
        return ExportJob(
            source=FlushedSource(self.source) if flush else self.source,
            target=self.target,
            precision=self.precision,
            folder=folder,
            calibration=self.calibration.arrays if self.calibration else {},
            batch=self.batch,
            profile=self.profile,
            in_float=self.in_float,
            kept=self.kept,
        )


def _fields(profile: Profile) -> list[Any]:
    return [profile.name, list(profile.batch), list(profile.accelerators)]


def make_plan(source: Source, options: ExportOptions) -> Plan:
    """Check what was asked and prepare it.

    Raises:
        UsageError: a name or number makes no sense, or calibration and data overlap.
        MissingDependencyError: the toolchain is not installed.
        UnsupportedError: this machine or this combination cannot do it.
    """
    name = plugins.resolve(plugins.EXPORTERS, options.target)
    exporter: Exporter = plugins.load(plugins.EXPORTERS, name)
    target = read_target(name, type(exporter).__module__.split(".")[0])
    precision, why = _precision(source, target, options.precision)
    _refuse_coded(source, precision)
    profile = _profile(target, options.profile)
    if options.batch is not None and not 1 <= options.batch <= LARGEST_BATCH:
        raise UsageError(
            f"batch must be 1 to {LARGEST_BATCH}, found {options.batch}; leave it out for any"
        )
    check_max_drop(options.max_drop)
    _check_machine(name, exporter, source)
    bare = Plan(
        source, exporter, target, precision, profile, options, None, None, "", (), options.batch
    )
    refusal = exporter.supports(bare.job(Path()))
    if refusal:
        raise UnsupportedError(f"target {name!r} at {precision} cannot be made: {refusal}")
    calibration = _calibration(source, target, precision, options)
    data = task_of(source.task).evaluation(options.data) if options.data else None
    if calibration and data and calibration.hashes:
        refuse_overlap(calibration, data.hashes())
    machine = getattr(exporter, "machine", str)()
    said = [
        *options.decisions,
        *(f"{source.name}: {note}" for note in source.notes),
        why,
        *([SAID] if options.flush_denormals else []),
        *_batch_note(bare),
        *_task_note(source),
        *([calibration.why] if calibration else []),
    ]
    return Plan(
        source, exporter, target, precision, profile, options, calibration, data, machine,
        tuple(said), options.batch,
    )  # fmt: skip


def _batch_note(plan: Plan) -> list[str]:
    batch = batch_of(plan.job(Path()))
    if batch is None:
        return []
    return [f"batch {batch}: {'asked' if plan.options.batch else 'that of the source bundle'}"]


def _task_note(source: Source) -> list[str]:
    if is_known(source.task):
        return []
    return [
        f"task {source.task!r}: no plug-in knows it here, so the numbers alone are proven, as for "
        f"task {FALLBACK!r}"
    ]


def _precision(source: Source, target: Target, asked: str | None) -> tuple[str, str]:
    if asked is not None:
        found = target.precision(asked)
        return found, f"precision {found}: asked"
    if source.target == target.name:
        return source.precision, f"precision {source.precision}: that of the source bundle"
    if source.precision != "fp32" and not source.target:
        own = target.precision(source.precision)
        return own, f"precision {own}: that of {source.name} already"
    first = target.precision(None)
    return first, f"precision {first}: the first one of target {target.name}"


def _refuse_coded(source: Source, precision: str) -> None:
    """Raise UnsupportedError where a network from outside has another precision for good."""
    if not source.target and source.precision not in ("fp32", precision):
        raise UnsupportedError(
            f"{source.name} is {source.precision} already, and {precision} cannot be made of that; "
            f"take --precision {source.precision}, or start from the fp32 file it was made of"
        )


def _profile(target: Target, asked: str | None) -> Profile | None:
    if asked is None:
        return None
    profile = read_profile(asked)
    if profile.target != target.name:
        raise UsageError(
            f"profile {asked!r} belongs to target {profile.target!r}, not {target.name!r}"
        )
    return profile


def _check_machine(name: str, exporter: Exporter, source: Source) -> None:
    plugins.require(f"target {name!r}", exporter)
    why = exporter.available()
    if why:
        raise UnsupportedError(why)
    source.check()


def _calibration(
    source: Source, target: Target, precision: str, options: ExportOptions
) -> Calibration | None:
    if precision in target.options.get("calibrated", ()) and precision != source.precision:
        place = options.calib or source.samples
        return calibrate(source, place, options.calib_samples, options.calib_seed, options.strict)
    if options.calib is not None:
        raise UsageError(
            f"target {target.name!r} at {precision} uses no calibration; leave out --calib"
        )
    return None


def lineage(source: Source) -> dict[str, Any]:
    """Return the manifest's fields about where the weights come from."""
    same = ("model", "task", "preprocess", "postprocess", "labels", "cost", "metrics", "ledger")
    return {
        **source.lineage,
        **{name: getattr(source, name) for name in same},
        "source_sha256": source.sha256,
    }
