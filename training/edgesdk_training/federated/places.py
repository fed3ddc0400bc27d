"""A client's own folder: its pictures and its own network lie there, and never leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk_training.federated.seam import Job, Method, Update, Weights

if TYPE_CHECKING:
    from edgesdk_training.federated.settings import FederatedSettings


@dataclass(frozen=True)
class Place:
    """A client's own folder.

    Attributes:
        folder: Where it lies.
    """

    folder: Path

    def write(self, name: str, value: Any) -> None:
        """Store plain tensors and numbers, whole or not at all."""
        import io

        import torch

        from edgesdk.core.files import write_atomic

        self.folder.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        torch.save(value, stream)
        write_atomic(self.folder / f"{name}.pt", stream.getvalue())

    def read(self, name: str) -> Any:
        """Return what was stored, None where nothing was. Tensors and numbers only, no pickle."""
        import torch

        path = self.folder / f"{name}.pt"
        return torch.load(path, weights_only=True) if path.is_file() else None

    def keep(self, number: int, weights: Weights) -> None:
        """Store the client's own network after a round, beside the one before it."""
        kept = {"round": number, "before": self.kept(number), "after": dict(weights)}
        self.write("kept", kept)

    def kept(self, number: int | None = None) -> Any:
        """Return the client's own network before a round, or the latest; None before its first.

        A server that was killed asks for a round again, and gets what it would have got.
        """
        stored = self.read("kept")
        if stored is None:
            return None
        again = number is not None and number <= stored["round"]
        return stored["before" if again else "after"]


def learnt(
    place: Place,
    client: int,
    settings: FederatedSettings,
    model: Any,
    begun: Weights,
    classes: int,
    received: Weights,
    number: int,
    seed: int,
) -> Update:
    """Do a client's round out of its own folder, and keep its own network there.

    Args:
        place: Holds `pictures` (images, labels), and `kept` after the first round.
        client: Its number.
        settings: Of the recipe.
        model: A network of the right shape; its weights are overwritten.
        begun: The network that all began with.
        classes: Number of classes.
        received: What the server sent.
        number: Of the round, from 0.
        seed: Of the run.
    """
    import torch

    torch.set_num_threads(1)
    pictures = place.read("pictures")
    method: Method = plugins.load(plugins.METHODS, settings.method)
    job = Job(
        model, begun, received, place.kept(number), pictures["images"], pictures["labels"],
        classes, settings, number, client, seed,
    )  # fmt: skip
    update = method.local(job)
    place.keep(number, update.kept)
    return update
