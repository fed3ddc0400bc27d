"""Local only: nothing travels; what each client reaches alone."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_training.federated.seam import Method
from edgesdk_training.methods.fedavg import FedAvg


class Local(FedAvg):
    """The plug-in."""

    aliases = ("local-only",)
    whole = False

    def shared(self, names: Sequence[str]) -> list[str]:
        """Return nothing."""
        return []


PLUGIN: Method = Local()
