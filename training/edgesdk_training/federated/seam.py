"""What a method of federated training is: what may leave, one local round, the merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import Plugin
    from edgesdk_training.federated.settings import FederatedSettings

Weights = Mapping[str, "Tensor"]
# (places in the client's pictures, scores, features) -> what is added to the cross-entropy.
Penalty = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Job:
    """One local round of one client.

    Attributes:
        model: A network of the right shape; its weights are overwritten.
        begun: The network that all began with, by tensor.
        received: What the server sent, by tensor.
        kept: The client's own whole network after its last round, None before its first.
        images: uint8 [N, S, S, 3], the client's pictures to learn from.
        labels: int64 [N].
        classes: Number of classes there are, of which the client may have a few.
        settings: Of the recipe.
        round: Number of the round, from 0.
        client: Number of the client.
        seed: Of the run.
    """

    model: Any
    begun: Weights
    received: Weights
    kept: Weights | None
    images: Tensor
    labels: Tensor
    classes: int
    settings: FederatedSettings
    round: int
    client: int
    seed: int


@dataclass(frozen=True)
class Update:
    """What a local round gives.

    Attributes:
        client: Number of the client.
        round: The round it belongs to.
        shared: What leaves the client, by tensor.
        kept: The client's whole network, which stays there.
        examples: Number of pictures it learnt from.
        scalars: Figures for the log: loss, teacher_pictures (those that a teacher looked at).
    """

    client: int
    round: int
    shared: Weights
    kept: Weights
    examples: int
    scalars: Mapping[str, float] = field(default_factory=dict)


class Method(Protocol):
    """A plug-in of `edgesdk_training.methods`; see `Plugin` for what each declares."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names."""

    @property
    def whole(self) -> bool:
        """Whether the merged network can answer alone: false where heads stay private."""

    def shared(self, names: Sequence[str]) -> list[str]:
        """Return which tensors of a network may leave a client."""

    def local(self, job: Job) -> Update:
        """Learn from one client's pictures."""

    def merge(self, updates: Sequence[Update], weights: Sequence[float]) -> Weights:
        """Return the new shared tensors.

        Args:
            updates: Of the clients that answered in time and in order; at least one.
            weights: How much each counts; they add up to 1.
        """


__all__ = ["Job", "Method", "Penalty", "Plugin", "Update", "Weights"]
