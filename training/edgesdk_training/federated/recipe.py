"""What the federated recipes share: read, let the driver run the rounds, store, tell."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_atomic
from edgesdk.core.protocols import RunResult
from edgesdk_training.federated.settings import FederatedSettings

if TYPE_CHECKING:
    from pathlib import Path

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.federated.judge import Judge
    from edgesdk_training.federated.state import State
    from edgesdk_training.federated.world import World

FIGURES = ("global_accuracy", "personal_accuracy", "generality", "bytes_up")
CURVES = (*FIGURES, "bytes_down", "clients", "teacher_pictures")


class FederatedRecipe:
    """All of a federated recipe but its name and the defaults of its settings."""

    aliases: tuple[str, ...] = ()
    extra = "train"
    requires = ("torch", "safetensors")
    students = ("class-net", "bridge-face")
    needs = ("clients",)
    asks_teacher = False
    settings: type = FederatedSettings
    name: str

    def steps(self, settings: FederatedSettings) -> str:
        """Say how long it is."""
        taking = max(1, round(settings.participation * settings.clients))
        return (
            f"{settings.rounds} rounds of {settings.method}, {taking} of {settings.clients} "
            f"clients in each, {settings.local_epochs} passes over their pictures"
        )

    def run(self, settings: FederatedSettings, context: RunContext) -> RunResult:
        """Read the clients, run the rounds, store the global and the personal networks."""
        import torch

        from edgesdk_training.federated.networks import configured, network

        if context.world > 1:
            raise UsageError("clients share one process; for more cores use --threads N")
        student = plugins.load(plugins.STUDENTS, context.student)
        method = plugins.load(plugins.METHODS, settings.method)
        # What the student cannot be is told before its pictures are read.
        configured(student, settings, settings.size or student.sizes[-1], 2)
        driver = _driver(settings.engine)
        driver.ready()
        world = driver.read(context, settings, student.sizes)
        settings = replace(settings, clients=len(world.clients) or settings.clients)
        config = configured(student, settings, world.size, len(world.classes))
        model = network(context.student, config, len(world.classes), context.seed)
        model.to(context.device, memory_format=torch.channels_last)
        plots = {"distribution": _plotted(context, world)} if world.clients else {}
        judge = driver.judges(method, world, deepcopy(model))
        state = driver.federate(context, settings, method, world, model, judge)
        found = figures(state, settings.last)
        checkpoints = _stored(self.name, settings, context, config, world, state, judge, found)
        return RunResult(context.folder, checkpoints, plots, found, curves=curves(state))


def _driver(engine: str) -> Any:
    """Return the module that runs the rounds, by `ready`, `read`, `judges` and `federate`."""
    from importlib import import_module

    module = {"local": "engine", "flower": "flower", "processes": "node"}[engine]
    return import_module(f"edgesdk_training.federated.{module}")


def figures(state: State, last: int) -> dict[str, float]:
    """Return the means of the last rounds, of what there is."""
    rows = state.rows[-last:]
    columns = {name: [v for row in rows if (v := row.get(name)) is not None] for name in FIGURES}
    return {name: fmean(found) for name, found in columns.items() if found}


def curves(state: State) -> dict[str, list[float | None]]:
    """Return the figures of every round."""
    return {name: [row.get(name) for row in state.rows] for name in CURVES}


def _plotted(context: RunContext, world: World) -> Path:
    from edgesdk_training.federated.plot import distribution

    path = context.folder / "distribution.svg"
    names = [client.name for client in world.clients]
    write_atomic(path, distribution(world.table(), names, world.classes).encode())
    return path


def _stored(
    recipe: str,
    settings: FederatedSettings,
    context: RunContext,
    config: Any,
    world: World,
    state: State,
    judge: Judge,
    found: dict[str, float],
) -> dict[str, Path]:
    """Store the global network, where there is one, and every client's own."""
    from edgesdk_training.federated.networks import exported, network
    from edgesdk_training.leave import store

    method = plugins.load(plugins.METHODS, settings.method)
    model = network(context.student, config, len(world.classes), context.seed)
    # Names of people stay where their pictures are.
    labels = world.classes if exported(model) is model else ()
    common = {**state.begun, **state.shared}
    own = {f"client-{n}": state.kept.get(n, common) for n in range(len(world.clients))}
    told = {f"client-{n}": judge.client(n) for n in range(len(world.clients))}
    places = {f"personal/{name}": weights for name, weights in own.items()}
    if method.whole:
        places = {"global": common, **places}
    stored = {}
    for place, weights in places.items():
        model.load_state_dict(weights, strict=False)
        name = place.rpartition("/")[2]
        stored[name] = store(
            context, recipe, settings, config, exported(model), place=place,
            data=world.name, metrics=told.get(name, found), labels=labels,
            pictures=sum(len(client.learn) for client in world.clients),
        )  # fmt: skip
    return stored
