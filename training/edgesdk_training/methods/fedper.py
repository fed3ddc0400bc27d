"""FedPer: the backbone travels, each client keeps a head of its own (arXiv 1912.00818)."""

from __future__ import annotations

from collections.abc import Sequence

from edgesdk_training.federated.seam import Method
from edgesdk_training.methods.fedavg import FedAvg


class FedPer(FedAvg):
    """The plug-in."""

    whole = False

    def shared(self, names: Sequence[str]) -> list[str]:
        """Return the backbone's."""
        return [name for name in names if not name.startswith("head.")]


PLUGIN: Method = FedPer()
