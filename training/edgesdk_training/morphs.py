"""Morphs: blends of two aligned faces, labelled by the teacher; as many new people as wanted.

Eyes, nose and mouth of aligned faces lie at the same places, so a blend is a face again, and
what the teacher says of it is worth as much as what it says of a real one. A student that is
shown few faces many times learns more from faces it has not seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk.core.tensors import Array

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Morphs:
    """Which faces are blended, and how; a sequence of pictures for the teacher.

    Attributes:
        pictures: The faces, uint8 [N, S, S, 3].
        first: Index of one face of each blend, [M].
        second: Index of the other, which is mirrored, [M].
        share: How much of the other is in it, 0..1, [M].
    """

    pictures: Tensor
    first: Tensor
    second: Tensor
    share: Tensor

    def __len__(self) -> int:
        return len(self.first)

    @property
    def content(self) -> str:
        """Hash of all that the blends are made of."""
        digest = hashlib.sha256()
        for part in (self.pictures, self.first, self.second, self.share):
            digest.update(part.numpy(force=True))
        return digest.hexdigest()

    def __getitem__(self, index: int) -> Array:
        """Return blend `index`, [S, S, 3] uint8 RGB."""
        face: Array = self.between(index, index + 1)[0]
        return face

    def between(self, start: int, stop: int) -> Array:
        """Return the blends from `start` to before `stop`, uint8 [B, S, S, 3]."""
        import torch

        chosen = torch.arange(start, stop, device=self.first.device)
        rows: Array = self.blend(chosen).numpy(force=True)
        return rows

    def blend(self, chosen: Tensor) -> Tensor:
        """Return the blends of numbers `chosen` [B], uint8 [B, S, S, 3]."""
        import torch

        one = self.pictures[self.first[chosen]].float()
        other = self.pictures[self.second[chosen]].flip(2).float()
        share = self.share[chosen][:, None, None, None]
        return torch.lerp(one, other, share).round().to(torch.uint8)


def draw_morphs(pictures: Tensor, among: Array, count: int, seed: int) -> Morphs:
    """Return `count` blends of pairs drawn from the pictures of index `among` [N]."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    pairs = torch.from_numpy(among)[torch.randint(len(among), (2, count), generator=generator)]
    share = torch.rand(count, generator=generator)
    return Morphs(pictures, *(t.to(pictures.device) for t in (*pairs, share)))
