"""What Flower starts in real processes: the server's rounds, and a client's part of each.

`flower_app/` is the app that Flower packs and carries; it is these two functions. A client gets
the settings with every round, for Flower starts it anew each time.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import canonical, read_json, sha256_bytes, write_json
from edgesdk.core.notes import LOGGER, note
from edgesdk_training.federated.judge import Judge, Reported
from edgesdk_training.federated.messages import SHARED, TOLD, introduced, packed, reply
from edgesdk_training.federated.places import Place, learnt
from edgesdk_training.federated.secure import asking, masked
from edgesdk_training.federated.world import Client, World, read_own, read_served, read_world

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.context import Context
    from edgesdk_training.federated.seam import Method
    from edgesdk_training.federated.settings import FederatedSettings
    from edgesdk_training.federated.state import State

PLAN = "EDGESDK_FEDERATION"  # names the server's plan, a file that clients never see
ENDED = "ended.json"
ABOUT = "client.json"  # in a client's folder
GRID: ContextVar[Any] = ContextVar("grid")
read, judges = read_served, Reported


def server_app() -> Any:
    """Return what Flower runs at the server."""
    from flwr.serverapp import ServerApp

    app = ServerApp()
    app.main()(_serve)
    return app


def client_app() -> Any:
    """Return what Flower runs at a client."""
    from flwr.clientapp import ClientApp

    app = ClientApp(mods=[masked])

    def who(message: Any, at: Any) -> Any:
        return introduced(int(_about(at)["number"]), message)

    def learn(message: Any, at: Any) -> Any:
        return reply(_learn(_about(at), Path(at.node_config["folder"]), message.content), message)

    app.query()(who)
    app.train()(learn)
    return app


def _serve(grid: Any, _: Any) -> None:
    """Run the recipe that the plan names, and leave beside the plan how it ended."""
    from edgesdk_training._train import train

    LOGGER.addHandler(logging.StreamHandler())
    LOGGER.setLevel(logging.INFO)
    place = Path(os.environ[PLAN])
    plan = read_json(place, "plan")
    GRID.set(grid)
    ended: dict[str, Any] = {"error": None}
    try:
        train(**arguments(plan), progress=_tell)
    except EdgeSdkError as error:
        ended = {"error": str(error), "exit_code": error.exit_code}
    write_json(place.with_name(ENDED), ended)


def _tell(done: int, total: int, label: str) -> None:
    note(f"{label}: {done}/{total}")


def arguments(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `train` takes, out of a plan as it was stored."""
    data = {"clients": [Path(path) for path in plan["data"]]}
    return {**plan, "data": data, "out": Path(plan["out"])}


def ready() -> None:
    """Refuse to begin where this process was not started by Flower."""
    if GRID.get(None) is None:
        raise UsageError("engine=processes is started by: edgesdk federate server")


def federate(
    context: RunContext,
    settings: FederatedSettings,
    method: Method,
    world: World,
    model: Any,
    judge: Judge,
) -> State:
    """Run all rounds that are not done yet with the clients that Flower reaches."""
    import torch

    from edgesdk_training.federated.engine import rounds
    from edgesdk_training.federated.state import begin

    plan = {
        "student": context.student, "classes": list(world.classes), "seed": context.seed,
        "settings": asdict(replace(settings, size=world.size)),
    }  # fmt: skip

    def told(_: int, figures: Mapping[str, float]) -> dict[str, Tensor]:
        return {name: torch.tensor(figures[name]) for name in ("right", "own")}

    ask = asking(settings)(GRID.get(), settings, told, {"plan": json.dumps(plan)})
    return rounds(context, settings, method, judge, begin(method, model), ask)


def _about(at: Any) -> Mapping[str, Any]:
    """Return what a client was started with: data, number, deal."""
    about: Mapping[str, Any] = read_json(Path(at.node_config["folder"]) / ABOUT, "client")
    return about


def _learn(about: Mapping[str, Any], folder: Path, content: Any) -> Any:
    """Do a client's round, and leave its personal network in its own folder."""
    from edgesdk_training.context import Context
    from edgesdk_training.federated.local import answers, whole_state
    from edgesdk_training.federated.networks import configured, network
    from edgesdk_training.federated.settings import FederatedSettings
    from edgesdk_training.settings import read_settings

    plan = json.loads(content[TOLD]["plan"])
    number, seed, classes = int(about["number"]), int(plan["seed"]), list(plan["classes"])
    settings = read_settings(FederatedSettings, None, plan["settings"])
    student = plugins.load(plugins.STUDENTS, plan["student"])
    config = configured(student, settings, settings.size, len(classes))
    model = network(plan["student"], config, len(classes), seed)
    place, begun = Place(folder / "state"), whole_state(model)
    context = Context(
        folder, {"clients": [Path(about["data"])]}, student=plan["student"], seed=seed,
        recipe_sha256=sha256_bytes(canonical(plan)),
    )  # fmt: skip
    _furnish(place, context, settings, classes, about)
    update = learnt(
        place, number, settings, model, begun, len(classes),
        content[SHARED].to_torch_state_dict(), int(content[TOLD]["round"]), seed,
    )  # fmt: skip
    pictures = place.read("pictures")
    scores, _ = answers(model, pictures["own_images"])
    right, own = int((scores.argmax(1) == pictures["own_labels"]).sum()), len(scores)
    _leave(context, settings, config, model, classes, update.examples, right / own)
    return packed(update, right=right, own=own)


def _furnish(
    place: Place,
    context: Context,
    settings: FederatedSettings,
    classes: list[str],
    about: Mapping[str, Any],
) -> None:
    """Decode a client's pictures, once for all rounds of a federation."""
    key = sha256_bytes(canonical([context.recipe_sha256, dict(about)]))
    stored = place.read("pictures")
    if stored is not None and stored["key"] == key:
        return
    if stored is not None:  # of another federation, whose network is not this one's
        (place.folder / "kept.pt").unlink(missing_ok=True)
    if about["deal"]:
        mine = _dealt(context, settings, int(about["number"]), classes)
    else:
        mine = read_own(context, settings, classes)
    place.write("pictures", {
        "key": key, "images": mine.learn.images, "labels": mine.learn.labels,
        "own_images": mine.own.images, "own_labels": mine.own.labels,
    })  # fmt: skip


def _dealt(
    context: Context, settings: FederatedSettings, number: int, classes: list[str]
) -> Client:
    """Return the part of everybody's pictures that the run's skew deals to this client."""
    world = read_world(context, settings, (settings.size,))
    if list(world.classes) != classes:
        raise UsageError("--deal takes the server's own set: the classes of this one differ")
    return world.clients[number]


def _leave(
    context: Context,
    settings: FederatedSettings,
    config: Any,
    model: Any,
    classes: list[str],
    pictures: int,
    accuracy: float,
) -> None:
    """Store the personal network as a checkpoint like any other."""
    from edgesdk_training.federated.networks import exported
    from edgesdk_training.leave import store

    labels = classes if exported(model) is model else ()
    store(
        context, settings.method, settings, config, exported(model), place="personal",
        data="own pictures", metrics={"personal_accuracy": accuracy}, labels=labels,
        pictures=pictures,
    )  # fmt: skip
