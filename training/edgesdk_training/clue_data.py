"""Real, soft and generated pictures as batches of crops, both sides through the same steps."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array
from edgesdk.generated import Kind, crops, kind_of, mirrored_to, pooled
from edgesdk_training.data import parts_of
from edgesdk_training.soft import SOFT, jpeg

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from edgesdk.core.protocols import RunContext

# A crop is cut larger, compressed, and cut again: the blocks of JPEG then lie anywhere.
MARGIN = 8
HELD_OUT = 6  # every sixth photo, with all that was made of it


class Sample:
    """Pictures of a labelled set, by kind.

    Attributes:
        pictures: uint8 RGB.
        kinds: What each is.
    """

    def __init__(self, pictures: Sequence[Array], kinds: Sequence[Kind]) -> None:
        self.pictures, self.kinds = pictures, kinds
        self.generated = np.array([k.generated for k in kinds], bool)
        self._of: dict[str, dict[str, list[int]]] = {"real": {}, "soft": {}, "fake": {}}
        for index, kind in enumerate(kinds):
            self._of[kind.side].setdefault(kind.name, []).append(index)

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, random: np.random.Generator, soft: float) -> int:
        """Return a picture: either side half the time, within a side each kind alike.

        Args:
            random: Chooses.
            soft: Part of the real side that is soft.
        """
        real = "soft" if self._of["soft"] and random.random() < soft else "real"
        kinds = self._of["fake" if random.random() < 0.5 else real]
        inside = kinds[str(random.choice(list(kinds)))]
        return int(inside[random.integers(len(inside))])


def read_samples(
    context: RunContext, without: Sequence[str], size: int
) -> tuple[Sample, Sample, str]:
    """Return the pictures to learn from, those to calibrate on, and the sets' name.

    Args:
        context: Gives the role `images`.
        without: Beginnings of the names of kinds that are left out, such as "ae-".
        size: Least side; smaller pictures are mirrored.

    Raises:
        UsageError: the set lacks real or generated pictures, or has too few to hold some out.
    """
    data = context.data("images")
    parts: tuple[list[Any], list[Any]] = ([], [])
    for index, (kind, name) in enumerate(_told(data)):
        if kind is None or any(kind.name.startswith(w) for w in without):
            continue
        held = zlib.crc32(PurePosixPath(name).stem.encode()) % HELD_OUT == 0
        parts[held].append((mirrored_to(data[index], size + MARGIN), kind))
        if index % 500 == 0:
            context.progress(index, len(data), "read pictures")
    found = [Sample([p for p, _ in part], [k for _, k in part]) for part in parts]
    for sample in found:
        if not sample.generated.any() or not any(k.side == "real" for k in sample.kinds):
            raise UsageError(
                f"{data.name} needs real and generated pictures, in folders called real and fake "
                "(and soft, for photos that tools worked on), some to learn from and some to "
                "calibrate on; make them with: python tools/make_fakes.py"
            )
    return found[0], found[1], data.name


def _told(data: Any) -> list[tuple[Kind | None, str]]:
    parts = parts_of(data)
    names = [n for part in parts for n in getattr(part, "names", [""] * len(part))]
    return [(kind_of(PurePosixPath(name).parent.as_posix()), name) for name in names]


def varied(picture: Array, size: int, random: np.random.Generator, worked: float) -> Array:
    """Return a crop as it might come along: worked on, compressed, mirrored, uint8.

    Args:
        picture: At least `size` + 8 px a side.
        size: Side of the crop.
        random: Chooses everything.
        worked: Chance of a tool such as resizing, whichever side the picture is of: being soft
            then tells nothing.
    """
    crop = _cut(picture, size + MARGIN, random)
    if random.random() < worked:
        crop = SOFT[str(random.choice(list(SOFT)))](crop, random)
    if random.random() < 0.8:
        crop = jpeg(crop, int(random.integers(60, 99)))
    crop = _cut(mirrored_to(crop, size), size, random)
    if random.random() < 0.25:
        crop = jpeg(crop, int(random.integers(70, 99)))
    return crop[:, ::-1] if random.random() < 0.5 else crop


def _cut(picture: Array, side: int, random: np.random.Generator) -> Array:
    top, left = (int(random.integers(0, n - side + 1)) for n in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def drawer(
    sample: Sample, size: int, soft: float, worked: float
) -> Callable[[Tensor, Generator], tuple[Tensor, Tensor]]:
    """Return what draws a batch: crops [N, 3, S, S] in -1..1 and labels [N], 1 for generated."""

    def draw(order: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        import torch

        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        random = np.random.default_rng(int(seed))
        chosen = [sample.draw(random, soft) for _ in range(len(order))]
        batch = [varied(sample.pictures[i], size, random, worked) for i in chosen]
        labels = torch.from_numpy(sample.generated[chosen]).float()
        return as_input(np.stack(batch)).to(order.device), labels.to(order.device)

    return draw


def as_input(pictures: Array) -> Tensor:
    """Return uint8 [N, S, S, 3] as the network's input [N, 3, S, S] in -1..1."""
    import torch

    batch = torch.from_numpy(pictures).movedim(-1, 1).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def logits_of(model: Any, pictures: Sequence[Array], size: int, device: str = "cpu") -> Array:
    """Return the pooled logit of every picture [N], float64."""
    import torch

    found = np.empty(len(pictures))
    with torch.inference_mode():
        for index, picture in enumerate(pictures):
            cut = crops(picture, size)
            answer = model(as_input(cut).to(device))
            found[index] = pooled(answer[:, 0].double().cpu().numpy(), cut)
    return found
