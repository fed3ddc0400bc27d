"""FedLMD: clients with few classes each make one network that knows all.

The received network teaches about a client's rare classes alone, or (`teacher_free=true`)
nobody does and all of them are held alike. Rivals by setting: `method=fedavg`, `fedprox`,
`fedntd`, `local`. See `methods/fedlmd.py` for what is published.

    edgesdk train fedlmd --data clients=cifar10.npz.xz --set skew=shards:2 --set rounds=40
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

    method: str = "fedlmd"


Settings.__doc__ = FederatedSettings.__doc__


class FedLmdRecipe(FederatedRecipe):
    """The plug-in."""

    name = "fedlmd"
    settings = Settings


PLUGIN: Recipe = FedLmdRecipe()
