"""Faces behind masks: batches for both steps, and how both fare on people held out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.biometrics import cosine, verification
from edgesdk.core.tensors import Array
from edgesdk_training.augment import augment, blurred, shrink, turned
from edgesdk_training.faces import Faces
from edgesdk_training.holdout import FOLDS
from edgesdk_training.occluders import Bank, paste
from edgesdk_training.whiten import fold_whitening

if TYPE_CHECKING:
    from torch import Generator, Tensor

JUDGED_AT_ONCE = 256
# The closed form sees this many faces or a few more, bare and masked.
MOST_WHITENED = 2000


@dataclass(frozen=True, slots=True)
class MaskedFaces(Faces):
    """Public faces of which a part is shown behind occluders.

    Attributes:
        bank: Occluders to train with, at working size.
        unseen: Occluders of kinds that training never shows, at working size.
        share: Part of the faces that is hidden.
        side: Working size of the network in pixels.
        whole: Network whose `readable` stands before the recogniser; None for none.
        bf16: Whether it computes in bfloat16.
        turn: Largest turn in degrees of what the recogniser learns on.
    """

    bank: Bank
    unseen: Bank
    share: float
    side: int
    whole: Any
    bf16: bool
    turn: float

    def pairs(self, chosen: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return varied faces, the same partly hidden, and by how much.

        Returns:
            Twice [B, 3, W, W] in -1..1, and [B, 1, W, W] in 0..1.
        """
        clean = augment(self._look(chosen), self.side, self.how, generator)
        hidden, opacity = paste(clean, self.bank, self.share, generator)
        # After pasting, so that an edge is as sharp as the face around it.
        seen = blurred(hidden, 2 * self.how.blur, generator)
        return clean / 127.5 - 1, seen / 127.5 - 1, opacity

    def batch(self, chosen: Tensor, size: int, generator: Generator) -> Tensor:
        """Return what the recogniser sees, [B, 3 or 4, W, W] in -1..1."""
        seen = self.pairs(chosen, generator)[1]
        if self.turn:
            # Alignment leaves black corners, and so does this.
            seen = turned(seen + 1, self.turn, generator) - 1
        return self.completed(seen)

    def completed(self, seen: Tensor) -> Tensor:
        """Return faces [B, 3, W, W] as the network before the recogniser leaves them.

        A fourth channel tells a recogniser that has one what is hidden.
        """
        import torch

        if self.whole is None:
            return seen
        with torch.no_grad(), torch.autocast(seen.device.type, torch.bfloat16, enabled=self.bf16):
            face: Tensor = self.whole.readable(seen)
        return face.float()

    def views(self, chosen: Array, bank: Bank | None, seed: int = 0) -> tuple[Tensor, ...]:
        """Return faces as a device sees them: bare, hidden by `bank`, and by how much.

        Args:
            chosen: Numbers of pictures [B].
            bank: Occluders; None leaves the faces bare.
            seed: Of the choice of occluders.
        """
        import torch

        pictures = self.pictures[torch.from_numpy(chosen).to(self.pictures.device)]
        bare = shrink(pictures.permute(0, 3, 1, 2).float(), self.side)
        if bank is None:
            return bare / 127.5 - 1, bare / 127.5 - 1, torch.zeros_like(bare[:, :1])
        generator = torch.Generator(bare.device).manual_seed(seed)
        hidden, opacity = paste(bare, bank, 1.0, generator)
        return bare / 127.5 - 1, hidden / 127.5 - 1, opacity

    def rows(self, recogniser: Any, chosen: Array, bank: Bank | None, seed: int = 0) -> Tensor:
        """Return the identity layer [N, D] of pictures, hidden by `bank` where it is given."""
        import torch

        found = []
        with torch.no_grad():
            for start in range(0, len(chosen), JUDGED_AT_ONCE):
                part = chosen[start : start + JUDGED_AT_ONCE]
                seen = self.views(part, bank, seed + start)[1]
                found.append(recogniser.heads(self.completed(seen))[1])
        return torch.cat(found)

    def behind(self, network: Any) -> MaskedFaces:
        """Return the same faces as a frozen network with `readable` leaves them."""
        return replace(self, whole=network)

    def unknown(self, most: int) -> Array:
        """Return numbers of pictures of people held out; of any where nobody is."""
        items = self.train.numpy(force=True) if self.held is None else self.held.items
        return np.asarray(items[np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)])

    def whiten(self, recogniser: Any, shrinkage: float) -> None:
        """Fold a whitening into the recogniser: what a mask changes in an answer counts less.

        Each chosen face is seen bare and masked; both are pictures of one person.
        """
        import torch

        recogniser.eval()
        known = self.labelled.numpy(force=True)
        chosen = known[:: max(1, len(known) // MOST_WHITENED)]
        rows = [self.rows(recogniser, chosen, bank) for bank in (None, self.bank)]
        labels = self.labels[torch.from_numpy(chosen).to(self.labels.device)]
        fold_whitening(recogniser, torch.cat(rows), labels.repeat(2), shrinkage)

    def verify(self, recogniser: Any) -> dict[str, float]:
        """Return accuracies on people held out: both bare, one masked, both masked."""
        if self.held is None:
            return {}
        held, folds = self.held, np.arange(len(self.held.same)) % FOLDS
        bare, one, other = (
            self.rows(recogniser, held.items, bank, seed).numpy(force=True)
            for bank, seed in ((None, 0), (self.bank, 1), (self.bank, 100_001))
        )
        sides = {"bare": (bare, bare), "mixed": (bare, one), "masked": (one, other)}
        return {
            f"holdout_{name}": verification(cosine(a[held.a], b[held.b]), held.same, folds).accuracy
            for name, (a, b) in sides.items()
        }


def masked_faces(faces: Faces, **more: Any) -> MaskedFaces:
    """Return `faces` with the fields that masked ones have beside them."""
    return MaskedFaces(**{f.name: getattr(faces, f.name) for f in fields(Faces)}, **more)
