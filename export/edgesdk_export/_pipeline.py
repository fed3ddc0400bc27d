"""From a source to a proven bundle: plan, convert, golden vectors, card, proof, publish."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgesdk.core.bundle import (
    MANIFEST,
    VERIFY,
    Bundle,
    Checkpoint,
    list_files,
    read_bundle,
    refuse_foreign,
)
from edgesdk.core.errors import EdgeSdkError, GateFailedError
from edgesdk.core.licence import complete
from edgesdk.core.protocols import Artefact
from edgesdk.core.stages import alone_in, publish, staging
from edgesdk.core.task import Run
from edgesdk.core.tensors import Arrays
from edgesdk.core.verify import Verification, read_verification
from edgesdk_export._batch import convert
from edgesdk_export._bisect import where_it_leaves
from edgesdk_export._card import write_licence
from edgesdk_export._golden import take_over, write_golden
from edgesdk_export._in_float import relax
from edgesdk_export._plan import ExportOptions, Plan, lineage, make_plan
from edgesdk_export._precision import effective_of, refuse_lost
from edgesdk_export._proof import Opened, opened
from edgesdk_export._rounding import allowing
from edgesdk_export._source import Source, is_rebuild, own_sha256, source_of
from edgesdk_export._verify import (
    Progress,
    compare_all,
    finish,
    refuse_hopeless,
    samples,
    silent,
    source_run,
    verify_bundle,
    with_task,
)

__all__ = ["ExportOptions", "export_bundle", "verify_bundle"]

INHERITED = (
    "thresholds: inherited from the source, not fitted on this artefact; give a set (--data)"
)
REMEDIES = {
    "int8": "; calibrate on items like those it will see (--calib), or take --precision fp16",
    "fp16": "; take --precision fp32",
}
MARK = 8  # digits of a source's hash in the name of its bundle
UNFITTED = "thresholds: none, for the source has none; give a set (--data) to fit them"


def export_bundle(
    source: Source | Checkpoint | Bundle,
    options: ExportOptions,
    out: Path,
    progress: Progress | None = None,
) -> Bundle:
    """Export a source to one target and prove it.

    Args:
        source: Any source; a checkpoint or a bundle is one.
        options: What is asked.
        out: Folder that holds bundles; the new one is `out/<model>-<target>-<precision>`,
            with a mark behind the model where that is the bundle of another model.
        progress: Called with (done, total, label).

    Returns:
        The finished bundle; a complete one of the same recipe and proof is returned as it is.

    Raises:
        GateFailedError: the artefact broke a tolerance, and lies in `<name>.rejected`; or
            nothing here could prove it, and nothing is left.
        UsageError: see `make_plan`; or files of somebody else lie where the bundle would.
        UnsupportedError: see `make_plan`.
    """
    tell = progress or silent
    tell(0, 4, "plan")
    plan = make_plan(source_of(source), options)
    final = out / plan.name(_mark(plan, out))
    existing = None if options.force else _existing(final, plan)
    if existing is not None:
        _as_asked(existing, options)
        refuse_unproven(existing.name, read_verification(final / VERIFY), options.require_proof)
        # How the model was chosen this time, not the time it was made.
        kept = existing.decisions[len(options.decisions) :]
        return replace(existing, decisions=(*options.decisions, *kept))
    for place in (final, _rejected(final)):
        refuse_foreign(place)
    with staging(final) as stage:
        tell(1, 4, "convert")
        run, by = source_run(plan.source, plan.options.batch)
        taken = samples(plan.source, plan.data)
        refuse_hopeless(plan.source.name, run, taken)
        items = taken.arrays
        plan = _allowing(plan, run, items)
        made, artefact = convert(plan, stage, _assemble)
        tell(2, 4, "golden vectors")
        _write_golden(plan, stage, run)
        write_licence(stage, plan.source.path, plan.source.licence)
        tell(3, 4, "verify")
        made, bundle, found = relax(made, artefact, items, partial(_judged, stage, run, by))
        bundle = _marked(bundle, _mark(plan, out))
        if not found.failed:
            refuse_unproven(final.name, found, options.require_proof)
            bundle = _as_asked(bundle, options)
        sealed = finish(bundle, found)
        if found.failed:
            where = where_it_leaves(bundle, plan.source, items)
            instead = made.decisions[len(plan.decisions) :]
            _reject(stage, final, (*found.reasons, where, *instead), plan.precision)
        # Another export may have taken the name meanwhile.
        with alone_in(out):
            mark = _mark(plan, out)
            if mark and not sealed.build.get("mark"):
                sealed = finish(_marked(bundle, mark), found)
            final = out / sealed.name
            publish(stage, final)
    tell(4, 4, "done")
    return replace(sealed, path=final)


def _as_asked(bundle: Bundle, options: ExportOptions) -> Bundle:
    """Return the bundle with what it lacks of its precision told; see `refuse_lost`."""
    effective, strict = bundle.build.get("effective", {}), options.require_precision
    said = refuse_lost(bundle.name, bundle.precision, effective, strict)
    return replace(bundle, decisions=(*bundle.decisions, *said))


def _allowing(plan: Plan, run: Run, items: Arrays) -> Plan:
    """Return the plan with a tolerance that the source itself would meet."""
    allowed, said = allowing(plan.tolerance, run, items)
    return replace(plan, allowed=allowed, decisions=(*plan.decisions, *said))


def _mark(plan: Plan, out: Path) -> str:
    """Return "", or what tells this model from another one whose bundle has its name."""
    try:
        there = json.loads((out / plan.name() / MANIFEST).read_text("utf-8"))["source_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return "" if there == plan.source.sha256 else plan.source.sha256[:MARK]


def _marked(bundle: Bundle, mark: str) -> Bundle:
    if not mark:
        return bundle
    said = f"name: {mark} tells it from the bundle of another model called {bundle.model}"
    return replace(
        bundle, build={**bundle.build, "mark": mark}, decisions=(*bundle.decisions, said)
    )


def _existing(final: Path, plan: Plan) -> Bundle | None:
    """Return the bundle that lies there already, if it is whole and of the same recipe."""
    if not (final / MANIFEST).is_file():
        return None
    try:
        found = read_bundle(final)
    except EdgeSdkError:
        return None
    same = found.build.get("export_sha256") == plan.sha256
    return found if same and found.build.get("proof") == plan.proof else None


def _assemble(plan: Plan, artefact: Artefact, stage: Path) -> Bundle:
    source = plan.source
    inherited = INHERITED if source.thresholds else UNFITTED
    effective = effective_of(stage, artefact)
    return Bundle(
        path=stage,
        target=plan.target.name,
        precision=plan.precision,
        format=artefact.format,
        entry=artefact.entry,
        inputs=artefact.inputs,
        outputs=artefact.outputs,
        licence=complete(source.licence),
        verify={},
        thresholds=source.thresholds,
        runtimes=plan.target.runtimes,
        calib_sha256=plan.calibration.sha256 if plan.calibration else None,
        tool_versions=artefact.tool_versions,
        decisions=(*plan.decisions, *artefact.decisions, *([] if plan.data else [inherited])),
        build={
            **artefact.build,
            "export_sha256": plan.sha256,
            "proof": plan.proof,
            "parent_sha256": own_sha256(source),
            **({"effective": effective} if effective else {}),
        },
        proxy=artefact.proxy,
        profile=plan.profile.name if plan.profile else None,
        **lineage(source),
    )


def _write_golden(plan: Plan, stage: Path, run: Run) -> None:
    if is_rebuild(plan.source, plan.target.name):
        take_over(stage, plan.source)
    else:
        write_golden(stage, plan.source, run, plan.tolerance)


def _judged(
    stage: Path, run: Run, by: dict[str, str], plan: Plan, artefact: Artefact
) -> tuple[Bundle, Verification]:
    return _prove(plan, _assemble(plan, artefact, stage), artefact, run, by)


def _prove(
    plan: Plan, bundle: Bundle, artefact: Artefact, run: Run, by: dict[str, str]
) -> tuple[Bundle, Verification]:
    if not plan.options.verify:
        said = "verification was switched off"
        bundle = replace(bundle, decisions=(*bundle.decisions, said))
        return bundle, Verification(verdict="skipped", level="host", reasons=(said,))
    # Runtimes look at the manifest's list of files, never at bundle.json itself.
    bundle = replace(bundle, files=list_files(bundle.path))
    with opened(bundle, artefact.not_run) as here:
        if not isinstance(here, Opened):
            return bundle, Verification(verdict="not-run", level="host", reasons=here)
        bundle = _with_placement(bundle, here)
        found = compare_all(bundle, here, plan.source, run, by, plan.data, plan.tolerance)
        if plan.data is None or found.failed:
            return bundle, found
        return with_task(bundle, found, (run, here.run), plan.data, plan.options.max_drop)


def _with_placement(bundle: Bundle, here: Opened) -> Bundle:
    """Return the bundle with the units that its own operators run on, where that is told."""
    try:
        placed = None if here.proxy else here.placed()
    except Exception:  # noqa: BLE001 - runtimes raise classes of their own; the run tells them
        placed = None
    if not placed:
        return bundle
    return replace(bundle, build={**bundle.build, "placement": dict(placed)})


def refuse_unproven(name: str, found: Verification, itself: bool) -> None:
    """Raise GateFailedError where neither the artefact nor what stands for it was run.

    Args:
        name: Of the bundle.
        found: The verdict, which is no failed one.
        itself: Whether the artefact itself must have run here.
    """
    why = "; ".join(found.reasons)
    if itself and not found.proven_itself:
        raise GateFailedError(
            f"{name} is {found.proof} and --require-proof wants the artefact itself to run: {why}"
        )
    if not found.proven and found.verdict != "skipped":
        raise GateFailedError(
            f"{name} could not be proven here, so there is no bundle: {why}; take another target, "
            "export it where it runs, or take it unproven with --no-verify"
        )


def _rejected(final: Path) -> Path:
    return final.with_name(final.name + ".rejected")


def _reject(stage: Path, final: Path, reasons: Sequence[str], precision: str) -> None:
    """Leave the numbers in `<name>.rejected`, no bundle under the name itself, and raise."""
    rejected = _rejected(final)
    publish(stage, rejected)
    aside = ""
    if final.exists():
        kept = final.with_name(f".{final.name}.replaced")
        publish(final, kept)
        aside = f"; the earlier bundle was moved to {kept}"
    remedy = REMEDIES.get(precision, "")
    told = "; ".join(reason.rstrip(".") for reason in reasons)
    raise GateFailedError(
        f"{final.name} differs from its source: {told}. Its numbers are in "
        f"{rejected / VERIFY}{aside}{remedy}"
    )
