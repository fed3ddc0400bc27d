"""FedBSD: clients share a backbone, each keeps a head of its own that never travels.

The received backbone teaches the client's own one by its softened features. Rivals by setting:
`method=fedper`, `fedavg`, `local`. See `methods/fedbsd.py` for what is published.

    edgesdk train fedbsd --data clients=cifar10.npz.xz --set skew=dirichlet:0.1
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

    method: str = "fedbsd"
    skew: str = "dirichlet:0.1"
    temperature: float = 2.0


Settings.__doc__ = FederatedSettings.__doc__


class FedBsdRecipe(FederatedRecipe):
    """The plug-in."""

    name = "fedbsd"
    settings = Settings


PLUGIN: Recipe = FedBsdRecipe()
