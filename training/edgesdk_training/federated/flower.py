"""The same rounds on Flower: its simulation carries the messages, its clients do the learning.

A client's pictures and its own network lie in its own folder below the run's; neither is ever
part of a message. The server's part, `ask`, is the one thing that differs from the driver in
one process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError
from edgesdk_training.federated.engine import rounds
from edgesdk_training.federated.judge import Judge
from edgesdk_training.federated.seam import Job, Method, Update, Weights
from edgesdk_training.federated.state import State, begin

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk_training.federated.settings import FederatedSettings
    from edgesdk_training.federated.world import World

POLL_S = 0.2
SHARED, TOLD = "shared", "told"
# Nothing is reported to anybody.
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Place:
    """A client's own folder.

    Attributes:
        folder: Where it lies.
    """

    folder: Path

    def write(self, name: str, value: Any) -> None:
        """Store plain tensors and numbers, whole or not at all."""
        import io

        import torch

        from edgesdk.core.files import write_atomic

        self.folder.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        torch.save(value, stream)
        write_atomic(self.folder / f"{name}.pt", stream.getvalue())

    def read(self, name: str) -> Any:
        """Return what was stored, None where nothing was. Tensors and numbers only, no pickle."""
        import torch

        path = self.folder / f"{name}.pt"
        return torch.load(path, weights_only=True) if path.is_file() else None


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
        MissingDependencyError: Flower is not installed.
        EdgeSdkError: the simulation ended before its last round.
    """
    absent = [name for name in ("flwr", "ray") if not plugins.installed(name)]
    if absent:
        raise MissingDependencyError("engine=flower", absent, "federated")
    os.environ.update(QUIET)
    from flwr.serverapp import ServerApp
    from flwr.simulation import run_simulation

    home = context.folder / "state" / "clients"
    for number, client in enumerate(world.clients):
        pictures = {"images": client.learn.images.cpu(), "labels": client.learn.labels.cpu()}
        Place(home / str(number)).write("pictures", pictures)
    begun = begin(method, model)
    Place(home).write("begun", dict(begun.begun))
    ended: list[State | EdgeSdkError] = []
    app = ServerApp()

    def main(grid: Any, _: Any) -> None:
        ask = _Grid(grid, settings, home)
        try:
            ended.append(rounds(context, settings, method, world, judge, begun, ask))
        except EdgeSdkError as error:
            ended.append(error)

    app.main()(main)
    client_app = _client_app(home, settings, context, model, len(world.classes))
    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(app, client_app, len(world.clients), backend_config=resources)
    if not ended:
        raise EdgeSdkError("Flower's simulation ended early; its own log above says why")
    if isinstance(ended[0], EdgeSdkError):
        raise ended[0]
    return ended[0]


def _client_app(
    home: Path, settings: FederatedSettings, context: RunContext, model: Any, classes: int
) -> Any:
    """Return what runs at each client."""
    from flwr.app import RecordDict
    from flwr.clientapp import ClientApp

    seed = context.seed
    app = ClientApp()

    def who(message: Any, at: Any) -> Any:
        from flwr.app import ConfigRecord, Message

        mine = ConfigRecord({"client": int(at.node_config["partition-id"])})
        return Message(RecordDict({TOLD: mine}), reply_to=message)

    def learn(message: Any, at: Any) -> Any:
        from flwr.app import Message

        number = int(at.node_config["partition-id"])
        round_number = int(message.content[TOLD]["round"])
        received = message.content[SHARED].to_torch_state_dict()
        update = learnt(home, number, settings, model, classes, received, round_number, seed)
        return Message(packed(update), reply_to=message)

    app.query()(who)
    app.train()(learn)
    return app


def learnt(
    home: Path,
    client: int,
    settings: FederatedSettings,
    model: Any,
    classes: int,
    received: Weights,
    number: int,
    seed: int,
) -> Update:
    """Do a client's round out of its own folder, and keep its own network there."""
    import torch

    torch.set_num_threads(1)
    place = Place(home / str(client))
    pictures, begun = place.read("pictures"), Place(home).read("begun")
    method: Method = plugins.load(plugins.METHODS, settings.method)
    job = Job(
        model, begun, received, place.read("kept"), pictures["images"], pictures["labels"],
        classes, settings, number, client, seed,
    )  # fmt: skip
    update = method.local(job)
    place.write("kept", dict(update.kept))
    return update


def packed(update: Update) -> Any:
    """Return what leaves a client as Flower carries it: shared tensors and figures, no more."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

    arrays = ArrayRecord({name: Array(t.numpy()) for name, t in update.shared.items()})
    told = {"client": update.client, "round": update.round, "examples": update.examples}
    return RecordDict({SHARED: arrays, TOLD: ConfigRecord({**told, **update.scalars})})


class _Grid:
    """Asks clients through Flower; an answer that cannot be read counts as none."""

    def __init__(self, grid: Any, settings: FederatedSettings, home: Path) -> None:
        self._grid, self._settings, self._home = grid, settings, home
        self._nodes: dict[int, int] = {}

    def __call__(
        self, state: State, asked: list[int], number: int
    ) -> tuple[list[Update], dict[int, str]]:
        """Return the clients' answers of a round and why each other has none."""
        from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

        if not self._nodes:
            self._nodes = self._who()
        arrays = ArrayRecord({name: Array(t.numpy()) for name, t in state.shared.items()})
        content = RecordDict({SHARED: arrays, TOLD: ConfigRecord({"round": number})})
        replies = self._send({self._nodes[c]: content for c in asked if c in self._nodes}, "train")
        seconds = f"{self._settings.timeout_s:g} s"
        failures = {client: f"it did not answer within {seconds}" for client in asked}
        updates = []
        numbers = {node: client for client, node in self._nodes.items()}
        for reply in replies:
            client = numbers[reply.metadata.src_node_id]
            found = f"it failed ({reply.error.reason})" if reply.has_error() else self._read(
                reply.content, client
            )  # fmt: skip
            failures.pop(client, None)
            if isinstance(found, str):
                failures[client] = found
            else:
                updates.append(found)
        return updates, failures

    def _read(self, content: Any, client: int) -> Update | str:
        try:
            told = dict(content[TOLD])
            shared = content[SHARED].to_torch_state_dict()
            kept = Place(self._home / str(client)).read("kept")
            scalars = {k: float(told[k]) for k in ("loss", "teacher_pictures")}
            return Update(client, int(told["round"]), shared, kept, int(told["examples"]), scalars)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            return f"its answer cannot be read ({error!r})"

    def _send(self, contents: Mapping[int, Any], kind: str) -> Iterable[Any]:
        from flwr.app import Message

        messages = [
            Message(content, dst_node_id=node, message_type=kind)
            for node, content in contents.items()
        ]
        found: Iterable[Any] = self._grid.send_and_receive(
            messages, timeout=self._settings.timeout_s
        )
        return found

    def _waited(self) -> list[int]:
        """Return the nodes once all clients have come, or those that came in time."""
        until = time.monotonic() + self._settings.timeout_s
        nodes = list(self._grid.get_node_ids())
        while len(nodes) < self._settings.clients and time.monotonic() < until:
            time.sleep(POLL_S)
            nodes = list(self._grid.get_node_ids())
        return nodes

    def _who(self) -> dict[int, int]:
        """Return the node of each client, by its number; nodes say which client they are."""
        from flwr.app import RecordDict

        nodes = self._waited()
        replies = self._send({node: RecordDict() for node in nodes}, "query")
        good = [reply for reply in replies if not reply.has_error()]
        return {int(r.content[TOLD]["client"]): r.metadata.src_node_id for r in good}
