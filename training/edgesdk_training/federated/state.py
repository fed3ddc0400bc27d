"""Where a federation stands, whoever drives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgesdk_training.federated.local import whole_state
from edgesdk_training.federated.seam import Method, Weights

Row = Mapping[str, float | None]


@dataclass
class State:
    """Where a federation stands.

    Attributes:
        begun: The network that all began with.
        shared: What travels, as the server has it.
        kept: Each client's own whole network; absent before its first round.
        rows: The figures of each round.
    """

    begun: Weights
    shared: Weights
    kept: dict[int, Weights] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def stored(self) -> dict[str, Any]:
        """Return it as plain tensors and numbers."""
        return {"shared": dict(self.shared), "kept": dict(self.kept), "rows": list(self.rows)}


def begin(method: Method, model: Any) -> State:
    """Return the state before the first round, of a network with fresh weights."""
    begun = whole_state(model)
    return State(begun, {name: begun[name] for name in method.shared(list(begun))})
