"""Three figures of every round: the global network, personal ones at home, and abroad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk_training.federated.local import answers
from edgesdk_training.holdout import hold_out

if TYPE_CHECKING:
    from edgesdk_training.federated.seam import Method, Weights
    from edgesdk_training.federated.state import State
    from edgesdk_training.federated.world import Pictures, World

LEAST_PAIRS = 20


class Judge:
    """Counts right answers; a personal network is asked again only when it has learnt.

    Args:
        method: Tells whether there is a global network at all.
        world: The pictures.
        model: A network of the right shape; its weights are overwritten.
    """

    def __init__(self, method: Method, world: World, model: Any) -> None:
        self._method, self._world, self._model = method, world, model
        # A head over people says nothing about those of other clients; embeddings do.
        self._embeds = hasattr(model, "exported")
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
        for client in changed:
            mine = state.kept[client]
            self._own[client] = self._right(mine, self._world.clients[client].own)
            abroad = self._abroad_of(client, mine)
            if abroad is not None:
                self._abroad[client] = abroad

    def _abroad_of(self, client: int, weights: Weights) -> float | None:
        """Return what a personal network is worth on others' pictures.

        Classes are the same everywhere: the share of everybody's pictures that is told right. Of
        faces: the accuracy of telling people of other clients apart, None where they are few.
        """
        everybody = self._world.everybody
        if not self._embeds:
            return self._right(weights, everybody) / len(everybody)
        self._model.load_state_dict(weights, strict=False)
        rows = answers(self._model, everybody.images)[1].numpy(force=True)
        people = everybody.labels.numpy(force=True).copy()
        people[np.isin(people, self._world.clients[client].learn.labels.numpy(force=True))] = -1
        pairs = hold_out(people, len(people), 0)
        if len(pairs.same) < LEAST_PAIRS:
            return None
        return float(pairs.judge(lambda items: rows[items]).accuracy)

    def client(self, number: int) -> dict[str, float]:
        """Return a client's own two figures, none before its first round."""
        if number not in self._own:
            return {}
        own = self._own[number] / len(self._world.clients[number].own)
        abroad = self._abroad.get(number)
        return {"personal_accuracy": own} | ({} if abroad is None else {"generality": abroad})

    def _right(self, weights: Weights, pictures: Pictures) -> int:
        self._model.load_state_dict(weights, strict=False)
        scores, _ = answers(self._model, pictures.images)
        return int((scores.argmax(1) == pictures.labels).sum())


class Reported(Judge):
    """Judges the global network alone: what personal ones are worth, their clients tell.

    `kept` of a state holds two numbers of each client: how many of its own pictures its network
    tells right, of how many.
    """

    def judged(self, state: State, changed: Sequence[int]) -> dict[str, float | None]:
        """Return the figures after a round; generality is known to nobody."""
        found = super().judged(state, ())
        right, own = (sum(float(told[k]) for told in state.kept.values()) for k in ("right", "own"))
        return {**found, "personal_accuracy": right / own if own else None}

    def look_again(self, state: State) -> None:
        """Do nothing: personal networks are elsewhere."""


def _mean(values: Any) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
