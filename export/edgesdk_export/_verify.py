"""The verdict on a bundle: numbers, golden vectors and the task, beside the source."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from edgesdk.core.batches import in_batches
from edgesdk.core.bundle import VERIFY, Bundle, Checkpoint, seal
from edgesdk.core.errors import GateFailedError, UnsupportedError
from edgesdk.core.session import guarded
from edgesdk.core.stages import copy_linked, publish, staging
from edgesdk.core.target import Tolerance
from edgesdk.core.task import Evaluation, Judged, Run, Samples, info_of, task_of
from edgesdk.core.verify import Verification, write_verification
from edgesdk.tasks._inputs import read_arrays
from edgesdk_export._calibration import VERIFY_SEED
from edgesdk_export._card import write_card
from edgesdk_export._find import find_source
from edgesdk_export._golden import check_golden, golden_tolerance
from edgesdk_export._half_proof import judge_half
from edgesdk_export._proof import Opened, compare, opened, settle
from edgesdk_export._source import Source, info, source_of, specs
from edgesdk_export._task import check_max_drop, contrast

Progress = Callable[[int, int, str], None]
SAMPLES, FEW = 64, 2


def silent(done: int, total: int, label: str) -> None:
    """Tell nobody."""


def source_run(source: Source, batch: int | None = None) -> tuple[Run, dict[str, str]]:
    """Return a function that runs any number of items of the source, and what it runs on.

    Args:
        source: What is run.
        batch: Items that are run at once where the source takes any number, None for as many.
    """
    run, by = source.runner()
    safe = guarded(run, "the source itself", GateFailedError)
    return partial(in_batches, safe, size=specs(source)[0][0].shape[0] or batch), by


def compare_all(
    bundle: Bundle,
    here: Opened,
    source: Source,
    run: Run,
    by: dict[str, str],
    data: Evaluation | None,
    tolerance: Tolerance,
) -> Verification:
    """Compare artefact and source, in real half precision too; check golden vectors.

    They are compared on items of `data`, else on the samples that came with the source, else on
    drawn ones.
    """
    if here.broken:
        base = Verification(verdict="fail", level=here.level, by=here.by, source=by)
        return settle(base, [here.broken], here.proxy)
    arrays = samples(source, data).arrays
    found = replace(compare(bundle, here, run, arrays, tolerance), source=by)
    found, beyond = judge_half(found, bundle, source, run, arrays, tolerance)
    stages, reasons = check_golden(bundle, here.run)
    return settle(replace(found, stages=stages), [*beyond, *reasons], here.proxy)


def samples(source: Source, data: Evaluation | None) -> Samples:
    """Return what source and artefact are compared on."""
    model, task = info(source), task_of(source.task)
    if data is not None:
        return data.samples(model, SAMPLES, VERIFY_SEED)
    if source.samples is not None:
        return read_arrays(model, source.samples, SAMPLES, VERIFY_SEED, task.item)
    drawn: Samples = task.draw(model, SAMPLES, VERIFY_SEED)
    return drawn


def refuse_hopeless(name: str, run: Run, taken: Samples) -> None:
    """Raise UnsupportedError where the source gives NaN, or other numbers each time.

    Args:
        name: Of the source.
        run: Runs it.
        taken: The items that an artefact would be compared on.
    """
    few = {name: array[:FEW] for name, array in taken.arrays.items()}
    one, other = run(few), run(few)
    if any(not np.array_equal(one[n], other[n], equal_nan=one[n].dtype.kind == "f") for n in one):
        raise UnsupportedError(
            f"{name} gives other numbers each time it is run, so nothing can be compared with it; "
            "export the network without what draws at random, or in eval mode"
        )
    for output, array in run(taken.arrays).items():
        rows = np.asarray(array, np.float64).reshape(len(array), -1)
        bad = int((~np.isfinite(rows)).any(1).sum())
        if bad:
            raise UnsupportedError(
                f"{name} itself gives NaN or infinity in {output!r} for {bad} of {len(rows)} "
                f"{taken.what}, so nothing can be compared with it; look for NaN among its "
                "weights, or give items like those it will see (--samples inputs.npz, or a range "
                "in model.toml)"
            )


def with_task(
    bundle: Bundle, found: Verification, runs: tuple[Run, Run], data: Evaluation, max_drop: float
) -> tuple[Bundle, Verification]:
    """Judge source and artefact by their task; add the numbers and the thresholds fitted."""
    before, after = task_of(bundle.task).judge(info_of(bundle), runs, data)
    task, reasons = contrast(before, after, data, max_drop)
    bundle = replace(
        bundle,
        thresholds={**bundle.thresholds, **after.thresholds},
        decisions=(*bundle.decisions, *_fitted(bundle, after, data)),
    )
    proxy = found.verdict == "not-run"
    return bundle, settle(replace(found, task=task), reasons, proxy)


def _fitted(bundle: Bundle, after: Judged, data: Evaluation) -> list[str]:
    """Return sentences on thresholds: which were fitted here, and which stay and why."""
    said = []
    if after.thresholds:
        names = ", ".join(after.thresholds)
        said.append(f"thresholds {names}: fitted on this artefact with {len(data)} {data.counted}")
    for name, why in after.unfitted.items():
        left = "that of the source stays" if name in bundle.thresholds else "there is none"
        said.append(f"threshold {name}: not fitted, {left}; {why}")
    return said


def finish(bundle: Bundle, found: Verification) -> Bundle:
    """Write verdict, card and, last of all, the manifest."""
    write_verification(bundle.path / VERIFY, found)
    judged = replace(bundle, verify=found.summary())
    write_card(judged, found)
    return seal(judged)


def replace_verdict(bundle: Bundle, found: Verification) -> None:
    """Put a finished bundle with the new verdict in the place of the old one, in one step."""
    final = bundle.path.resolve()
    with staging(final) as stage:
        copy_linked(final, stage)
        finish(replace(bundle, path=stage), found)
        publish(stage, final)


def verify_bundle(
    bundle: Bundle,
    source: Source | Checkpoint | Bundle | None = None,
    data: Path | None = None,
    max_drop: float = 0.01,
    update: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Check a bundle on this machine.

    The golden vectors are run stage by stage; where the source is given, or found among
    shipped models and neighbours of the bundle, the outputs are compared on 64 items.

    Args:
        bundle: What to check; `read_bundle` has checked its hashes.
        source: What it was made of.
        data: Set with the truth about its items, as the task reads it.
        max_drop: Largest loss on `data`, absolute.
        update: Write the new verdict, and thresholds fitted on `data`, into the bundle.
        progress: Called with (done, total, label).

    Returns:
        The verdict with its numbers; nothing is raised for a failed gate.
    """
    tell = progress or silent
    tell(0, 3, "open")
    origin = source_of(source) if source else find_source(bundle)
    check_max_drop(max_drop)
    judged = task_of(bundle.task).evaluation(data) if data else None
    if judged is not None and origin is None:
        raise UnsupportedError(
            f"the accuracy of {bundle.path} is judged beside its source, which was not found; "
            "name it with --source, or leave --data out"
        )
    with opened(bundle) as here:
        tell(1, 3, "compare")
        if not isinstance(here, Opened):
            stages, reasons = check_golden(bundle, None)
            found = _not_run(stages, reasons, here)
        elif origin is None:
            found = _golden_only(bundle, here)
        else:
            run, by = source_run(origin, bundle.inputs[0].shape[0])
            found = compare_all(bundle, here, origin, run, by, judged, golden_tolerance(bundle))
            if judged is not None and not found.failed:
                tell(2, 3, "accuracy")
                bundle, found = with_task(bundle, found, (run, here.run), judged, max_drop)
    if update:
        replace_verdict(bundle, found)
    tell(3, 3, "done")
    return found


def _golden_only(bundle: Bundle, here: Opened) -> Verification:
    stages, reasons = check_golden(bundle, here.run)
    said = "the source was not found: only the golden vectors were checked"
    base = Verification(
        verdict="pass", level=here.level, by=here.by, stages=stages, reasons=(*here.notes, said)
    )
    return settle(base, reasons, here.proxy)


def _not_run(stages: dict[str, str], reasons: list[str], why: tuple[str, ...]) -> Verification:
    verdict = "fail" if reasons else "not-run"
    return Verification(verdict=verdict, level="host", stages=stages, reasons=(*reasons, *why))
