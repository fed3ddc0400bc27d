"""What travels through Flower, and the server's side of it: asking clients and reading answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from edgesdk.core.notes import note
from edgesdk_training.federated.seam import Update, Weights

if TYPE_CHECKING:
    from edgesdk_training.federated.settings import FederatedSettings
    from edgesdk_training.federated.state import State

POLL_S = 0.2
SHARED, TOLD = "shared", "told"
# Nothing is reported to anybody.
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0",
}  # fmt: skip
# Of a round: its loss, the pictures a teacher looked at; and in processes of their own, how many
# of the client's own pictures were told right, of how many.
FIGURES = ("loss", "teacher_pictures", "right", "own")


def carried(tensors: Weights) -> Any:
    """Return tensors as Flower carries them."""
    from flwr.app import Array, ArrayRecord

    return ArrayRecord({name: Array(t.numpy()) for name, t in tensors.items()})


def packed(update: Update, **more: float) -> Any:
    """Return what leaves a client as Flower carries it: shared tensors and figures, no more."""
    from flwr.app import ConfigRecord, RecordDict

    told = {"client": update.client, "round": update.round, "examples": update.examples}
    figures = ConfigRecord({**told, **update.scalars, **more})
    return RecordDict({SHARED: carried(update.shared), TOLD: figures})


def reply(content: Any, message: Any) -> Any:
    """Return the answer to a message."""
    from flwr.app import Message

    return Message(content, reply_to=message)


def introduced(client: int, message: Any) -> Any:
    """Return a client's answer to the question which one it is."""
    from flwr.app import ConfigRecord, RecordDict

    return reply(RecordDict({TOLD: ConfigRecord({"client": client})}), message)


class Asking:
    """Asks clients through Flower; an answer that cannot be read counts as none.

    Args:
        grid: Flower's.
        settings: Of the recipe.
        kept: (client, its figures) -> what the server may know of the client's own network.
        told: Sent with every round beside its number.
    """

    def __init__(
        self,
        grid: Any,
        settings: FederatedSettings,
        kept: Callable[[int, Mapping[str, float]], Weights],
        told: Mapping[str, str] | None = None,
    ) -> None:
        self._grid, self._settings, self._kept, self._told = grid, settings, kept, told or {}
        self._clients: dict[int, int] = {}

    def __call__(
        self, state: State, asked: list[int], number: int
    ) -> tuple[list[Update], dict[int, str]]:
        """Return the clients' answers of a round and why each other has none."""
        from flwr.app import ConfigRecord, RecordDict

        self._meet()
        nodes = {client: node for node, client in self._clients.items()}
        told = ConfigRecord({"round": number, **self._told})
        content = RecordDict({SHARED: carried(state.shared), TOLD: told})
        answers = self._send({nodes[c]: content for c in asked if c in nodes}, "train")
        late = f"it is gone, or did not answer within {self._settings.timeout_s:g} s"
        failures = {c: late if c in nodes else "it is not there" for c in asked}
        updates = []
        for answer in answers:
            client = self._clients.get(answer.metadata.src_node_id)
            if client is None:  # Flower's own word that some node is gone
                continue
            found = self._read(answer, client)
            failures.pop(client, None)
            if isinstance(found, str):
                failures[client] = found
            else:
                updates.append(found)
        return updates, failures

    def _read(self, answer: Any, client: int) -> Update | str:
        if answer.has_error():
            return f"it failed ({answer.error.reason})"
        try:
            told = dict(answer.content[TOLD])
            shared = answer.content[SHARED].to_torch_state_dict()
            of_round, examples = int(told["round"]), int(told["examples"])
            figures = {name: float(told[name]) for name in FIGURES if name in told}
            return Update(
                client, of_round, shared, self._kept(client, figures), examples, figures
            )  # fmt: skip
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

    def _meet(self) -> None:
        """Ask nodes that are new which client they are; of two that say the same, the later."""
        from flwr.app import RecordDict

        here = self._waited()
        self._clients = {node: c for node, c in self._clients.items() if node in here}
        new = [node for node in here if node not in self._clients]
        for answer in self._send({node: RecordDict() for node in new}, "query"):
            if not answer.has_error():
                client = int(answer.content[TOLD]["client"])
                self._clients[answer.metadata.src_node_id] = client
                last = self._settings.clients - 1
                never = f", and is never asked: the last is client {last}" if client > last else ""
                note(f"client {client} is there{never}")

    def _waited(self) -> list[int]:
        """Return the nodes; at first, once all clients have come or time is up."""
        until = time.monotonic() + (0 if self._clients else self._settings.timeout_s)
        nodes = list(self._grid.get_node_ids())
        while len(nodes) < self._settings.clients and time.monotonic() < until:
            time.sleep(POLL_S)
            nodes = list(self._grid.get_node_ids())
        return nodes
