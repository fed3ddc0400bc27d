"""Three figures of every round: the global network, personal ones at home, and abroad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgesdk_training.federated.local import answers

if TYPE_CHECKING:
    from edgesdk_training.federated.seam import Method, Weights
    from edgesdk_training.federated.state import State
    from edgesdk_training.federated.world import Pictures, World


class Judge:
    """Counts right answers; a personal network is asked again only when it has learnt.

    Args:
        method: Tells whether there is a global network at all.
        world: The pictures.
        model: A network of the right shape; its weights are overwritten.
    """

    def __init__(self, method: Method, world: World, model: Any) -> None:
        self._method, self._world, self._model = method, world, model
        self._own: dict[int, int] = {}
        self._abroad: dict[int, float] = {}

    def look_again(self, state: State) -> None:
        """Judge the personal networks of a state that was read back."""
        self._look(state, list(state.kept))

    def judged(self, state: State, changed: Sequence[int]) -> dict[str, float | None]:
        """Return the figures after a round, None for what there is not.

        Args:
            state: Where the federation stands.
            changed: Clients that have learnt since.
        """
        self._look(state, changed)
        everybody = self._world.everybody
        one = {**state.begun, **state.shared}
        pictures = sum(len(self._world.clients[client].own) for client in self._own)
        return {
            "global_accuracy": self._right(one, everybody) / len(everybody)
            if self._method.whole
            else None,
            "personal_accuracy": sum(self._own.values()) / pictures if pictures else None,
            "generality": _mean(self._abroad.values()),
        }

    def _look(self, state: State, changed: Sequence[int]) -> None:
        everybody = self._world.everybody
        for client in changed:
            mine = state.kept[client]
            self._own[client] = self._right(mine, self._world.clients[client].own)
            self._abroad[client] = self._right(mine, everybody) / len(everybody)

    def client(self, number: int) -> dict[str, float]:
        """Return a client's own two figures, none before its first round."""
        if number not in self._own:
            return {}
        own = self._own[number] / len(self._world.clients[number].own)
        return {"personal_accuracy": own, "generality": self._abroad[number]}

    def _right(self, weights: Weights, pictures: Pictures) -> int:
        self._model.load_state_dict(weights, strict=False)
        scores, _ = answers(self._model, pictures.images)
        return int((scores.argmax(1) == pictures.labels).sum())


def _mean(values: Any) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
