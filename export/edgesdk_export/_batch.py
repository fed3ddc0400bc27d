"""A free batch, or a batch of 1 where the free one does not hold."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgesdk.core.batches import in_batches
from edgesdk.core.bundle import Bundle, list_files
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UnsupportedError
from edgesdk.core.jobs import REST
from edgesdk.core.protocols import Artefact
from edgesdk.core.task import task_of
from edgesdk.core.tensors import Arrays
from edgesdk_export._calibration import VERIFY_SEED
from edgesdk_export._in_float import ALL_BUT
from edgesdk_export._plan import Plan
from edgesdk_export._proof import Opened, batch_share, opened
from edgesdk_export._source import Run, batch_of, info
from edgesdk_export._verify import source_run

TOGETHER = 3
Assemble = Callable[[Plan, Artefact, Path], Bundle]


def convert(plan: Plan, stage: Path, assemble: Assemble) -> tuple[Plan, Artefact]:
    """Let the exporter write the artefact, with a fixed batch of 1 where a free one fails.

    Args:
        plan: What is asked; where it names a batch, nothing is tried.
        stage: Empty folder.
        assemble: Makes the bundle that a runtime opens.

    Returns:
        The plan that was followed, and what the exporter answered.

    Raises:
        EdgeSdkError: the tool refused the network with a free batch and with one of 1; the
            error is that of the free batch.
    """
    if batch_of(plan.job(stage)) is not None:
        return _exported(plan, stage)
    refusal: EdgeSdkError | None = None
    try:
        plan, artefact = _exported(plan, stage)
        why = _why_not_free(assemble(plan, artefact, stage), artefact, plan)
    except MissingDependencyError:
        raise
    except EdgeSdkError as error:
        refusal, why = error, _cause(error)
    if not why:
        return plan, artefact
    _refuse_joined(plan)
    _empty(stage)
    said = f"batch 1: a free one does not hold: {why}"
    alone = replace(plan, batch=1, decisions=(*plan.decisions, said))
    try:
        return _exported(alone, stage)
    except EdgeSdkError:
        if refusal is not None:
            raise refusal from None
        raise


def _exported(plan: Plan, stage: Path) -> tuple[Plan, Artefact]:
    """Export; where a tool cannot quantize the network, all but its products in float."""
    try:
        return plan, plan.exporter.export(plan.job(stage))
    except MissingDependencyError:
        raise
    except EdgeSdkError as error:
        if not plan.leaves or REST in plan.in_float:
            raise
        _empty(stage)
        tried = plan.leaving((REST,), ALL_BUT, _cause(error))
        try:
            return tried, tried.exporter.export(tried.job(stage))
        except EdgeSdkError:
            raise error from None


def _cause(error: EdgeSdkError) -> str:
    """Return a message without its advice, for a way out was found."""
    return re.split(r"; take another target|; name the batch", str(error))[0]


def _why_not_free(bundle: Bundle, artefact: Artefact, plan: Plan) -> str:
    """Return what keeps the artefact from taking more than one item, "" for nothing."""
    drawn = task_of(plan.source.task).draw(info(plan.source), TOGETHER, VERIFY_SEED)
    arrays = drawn.arrays
    # Runtimes look at the manifest's list of files, never at bundle.json itself.
    whole = replace(bundle, files=list_files(bundle.path))
    with opened(whole, artefact.not_run) as here:
        if not isinstance(here, Opened) or here.broken:
            return ""
        try:
            return why_tied(here.run, arrays, plan.precision)
        except EdgeSdkError as error:
            return str(error)  # some tools make a free batch that runs with the example's alone


def _refuse_joined(plan: Plan) -> None:
    """Raise UnsupportedError where the source itself cannot be judged item by item."""
    arrays = task_of(plan.source.task).draw(info(plan.source), TOGETHER, VERIFY_SEED).arrays
    run, name = source_run(plan.source)[0], plan.source.name
    try:
        why = why_tied(run, arrays, "fp32")
    except EdgeSdkError:
        return
    if why:
        raise UnsupportedError(
            f"{name} itself joins the items of a batch ({why}); export the network without that, "
            "or name the one batch it is for with --batch"
        )


def why_tied(run: Run, arrays: Arrays, precision: str) -> str:
    """Return why `run` cannot take the items of `arrays` together, "" where it can.

    Raises:
        EdgeSdkError: a single item fails too.
    """
    alone = in_batches(run, arrays, 1)
    if not all(np.isfinite(array).all() for array in alone.values()):
        return ""
    try:
        together = in_batches(run, arrays)
    except EdgeSdkError as error:
        return str(error)
    for name, want in alone.items():
        found = together[name]
        if found.shape != want.shape:
            return f"{name} of {TOGETHER} items has shape {found.shape}, {want.shape} wanted"
        gap = float(np.abs(found.astype(np.float64) - want).max())
        if not gap <= batch_share(precision) * float(np.abs(want).max()):
            return f"items of a batch change each other: {name} by {gap:.3g}"
    return ""


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
