"""The same rounds in Flower's simulation: it carries the messages, its clients do the learning.

A client's pictures and its own network lie in its own folder below the run's; neither is ever
part of a message. The server's part, `Asking`, is the one thing that differs from the driver in
one process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError
from edgesdk_training.federated import engine
from edgesdk_training.federated.engine import rounds
from edgesdk_training.federated.messages import (
    QUIET,
    SHARED,
    TOLD,
    introduced,
    packed,
    reply,
)
from edgesdk_training.federated.places import Place, learnt
from edgesdk_training.federated.seam import Method
from edgesdk_training.federated.secure import asking, masked
from edgesdk_training.federated.state import State, begin

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk_training.federated.judge import Judge
    from edgesdk_training.federated.settings import FederatedSettings
    from edgesdk_training.federated.world import World

read, judges = engine.read, engine.judges


def ready() -> None:
    """Refuse to begin where Flower is not installed."""
    absent = [name for name in ("flwr", "ray") if not plugins.installed(name)]
    if absent:
        raise MissingDependencyError("engine=flower", absent, "federated")


def federate(
    context: RunContext,
    settings: FederatedSettings,
    method: Method,
    world: World,
    model: Any,
    judge: Judge,
) -> State:
    """Run all rounds that are not done yet in Flower's simulation and return where they lead.

    Raises:
        EdgeSdkError: the simulation ended before its last round.
    """
    os.environ.update(QUIET)
    # Ray's workers give way to everything (nice 15), and starve on a machine that does other work.
    os.environ.setdefault("RAY_worker_niceness", "0")
    from flwr.serverapp import ServerApp
    from flwr.simulation import run_simulation

    home = context.folder / "state" / "clients"
    begun = begin(method, model)
    _furnished(home, world, begun)
    ended: list[State | EdgeSdkError] = []
    app = ServerApp()

    def main(grid: Any, _: Any) -> None:
        ask = asking(settings)(grid, settings, lambda client, _: Place(home / str(client)).kept())
        try:
            ended.append(rounds(context, settings, method, judge, begun, ask))
        except EdgeSdkError as error:
            ended.append(error)

    app.main()(main)
    client_app = _client_app(home, settings, context.seed, model, len(world.classes))
    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(app, client_app, len(world.clients), backend_config=resources)
    if not ended:
        raise EdgeSdkError("Flower's simulation ended early; its own log above says why")
    if isinstance(ended[0], EdgeSdkError):
        raise ended[0]
    return ended[0]


def _furnished(home: Path, world: World, begun: State) -> None:
    """Give every client a folder with its pictures."""
    for number, client in enumerate(world.clients):
        pictures = {"images": client.learn.images.cpu(), "labels": client.learn.labels.cpu()}
        Place(home / str(number)).write("pictures", pictures)
    Place(home).write("begun", dict(begun.begun))


def _client_app(
    home: Path, settings: FederatedSettings, seed: int, model: Any, classes: int
) -> Any:
    """Return what runs at each client."""
    from flwr.clientapp import ClientApp

    app = ClientApp(mods=[masked])

    def who(message: Any, at: Any) -> Any:
        return introduced(int(at.node_config["partition-id"]), message)

    def learn(message: Any, at: Any) -> Any:
        number = int(at.node_config["partition-id"])
        received = message.content[SHARED].to_torch_state_dict()
        place, begun = Place(home / str(number)), Place(home).read("begun")
        round_number = int(message.content[TOLD]["round"])
        update = learnt(
            place, number, settings, model, begun, classes, received, round_number, seed
        )
        return reply(packed(update), message)

    app.query()(who)
    app.train()(learn)
    return app
