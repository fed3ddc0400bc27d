"""The last step of a recipe: store what was trained, and say where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.protocols import RunResult

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import RunContext

RESEARCH = "research-only; trained on pictures that allow research alone"


def leave(
    context: RunContext,
    recipe: str,
    settings: Any,
    config: Any,
    model: Any,
    *,
    artefacts: Mapping[str, Path] | None = None,
    metrics: Mapping[str, Any],
    ledger: Mapping[str, Any] | None = None,
    **told: Any,
) -> RunResult:
    """Store the trained network of `context.student` and return the run's result.

    Args:
        context: Of the run.
        recipe: Its name.
        settings: Of the recipe, a dataclass.
        config: Of the student.
        model: The network, BatchNorm still inside or not; moved to the CPU.
        artefacts: Other files of the run, by name.
        metrics: Measured values.
        ledger: What protects private data, and how well.
        **told: As `store` takes it.
    """
    folder = store(context, recipe, settings, config, model, metrics=metrics, ledger=ledger, **told)
    return RunResult(context.folder, {"student": folder}, artefacts or {}, metrics, ledger or {})


def store(
    context: RunContext,
    recipe: str,
    settings: Any,
    config: Any,
    model: Any,
    *,
    data: str,
    metrics: Mapping[str, Any],
    place: str = "checkpoint",
    data_licence: str = "research, non-commercial",
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    labels: Sequence[str] = (),
    ledger: Mapping[str, Any] | None = None,
    begun: Mapping[str, Checkpoint | None] | None = None,
    reading: Mapping[str, Any] | None = None,
    **origin: Any,
) -> Path:
    """Store one trained network of `context.student` and return its folder.

    Args:
        context: Of the run.
        recipe: Its name.
        settings: Of the recipe, a dataclass.
        config: Of the student.
        model: The network, BatchNorm still inside or not; moved to the CPU.
        data: Name of the sets trained on; no path of this machine.
        metrics: Measured values.
        place: Folder inside the run's.
        data_licence: What the sets allow.
        thresholds: Fitted thresholds, by name.
        labels: Class names.
        ledger: What protects private data, and how well.
        begun: Weights that a setting named, by the setting's name; None where it was empty.
        reading: What was learnt of how inputs and outputs are read, such as a vocabulary.
        **origin: What else tells where the weights come from: teacher, pictures, ….
    """
    from edgesdk_training.checkpoint import save_checkpoint

    folder = context.folder / place
    given = {name: stored for name, stored in (begun or {}).items() if stored is not None}
    if context.rank == 0:
        save_checkpoint(
            folder,
            context.student,
            plugins.load(plugins.STUDENTS, context.student),
            config,
            model.cpu(),
            licence={"weights": RESEARCH, "data": f"{data_licence}: {data}"},
            provenance={
                "recipe": recipe,
                "recipe_sha256": context.recipe_sha256,
                "settings": asdict(settings) | {name: s.model for name, s in given.items()},
                **{
                    name: {"model": stored.model, "weights_sha256": stored.weights_sha256}
                    for name, stored in given.items()
                },
                "data": data,
                **origin,
                "seed": context.seed,
            },
            metrics=metrics,
            thresholds=thresholds,
            reading=reading,
            labels=labels,
            ledger=ledger,
        )
    return folder
