"""FedCKD: every client gets a network of its own that still knows what others know.

Two frozen teachers: the received network, and the client's own one of its last round. Rivals
by setting: `method=pfedsd` (the second teacher alone), `own=0` (the first alone), `fedavg`,
`fedper`, `local`. See `methods/fedckd.py` for what is published.

    edgesdk train fedckd --data clients=cifar10.npz.xz --set skew=dirichlet:0.1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk_training.federated.recipe import FederatedRecipe
from edgesdk_training.federated.settings import FederatedSettings

if TYPE_CHECKING:
    from edgesdk.core.protocols import Recipe


@dataclass(frozen=True)
class Settings(FederatedSettings):
    """Set below: what is told of the shared settings."""

    method: str = "fedckd"
    skew: str = "dirichlet:0.1"
    participation: float = 0.6
    distil: float = 0.1
    temperature: float = 2.0


Settings.__doc__ = FederatedSettings.__doc__


class FedCkdRecipe(FederatedRecipe):
    """The plug-in."""

    name = "fedckd"
    settings = Settings


PLUGIN: Recipe = FedCkdRecipe()
