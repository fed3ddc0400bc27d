"""Augmentation of whole batches at once, on pictures already in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk.core.preprocess import resize_matrix

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far training pictures stray; all zero leaves them as they are.

    Attributes:
        flip: Probability of mirroring.
        shift: Largest shift as a part of the face's width.
        zoom: Largest change of scale, as a part.
        turn: Largest rotation in radians.
        light: Largest change of brightness and contrast, as a part of the range.
        blur: Largest Gaussian blur, standard deviation in pixels of the shrunk picture.
    """

    flip: float = 0.5
    shift: float = 0.03
    zoom: float = 0.04
    turn: float = 0.05
    light: float = 0.15
    blur: float = 0.4


def shrink(pictures: Tensor, size: int) -> Tensor:
    """Return float [B, 3, size, size] on the 0..255 scale, by the bundle's own resizing.

    Args:
        pictures: [B, 3, S, S] on the same scale.
        size: Side in pixels.
    """
    import torch

    matrix = torch.from_numpy(resize_matrix(pictures.shape[-1], size))
    return (matrix @ pictures @ matrix.T).clamp(0, 255)


def augment(pictures: Tensor, size: int, how: Augmentation, generator: Generator) -> Tensor:
    """Return a varied batch, float [B, 3, size, size] on the 0..255 scale.

    Args:
        pictures: uint8 [B, S, S, 3].
        size: Side of the student's input.
        how: Ranges.
        generator: Decides everything, so that a batch can be drawn again.
    """
    x = pictures.permute(0, 3, 1, 2).float()
    if how.shift or how.zoom or how.turn or how.flip:
        x = _moved(x, how, generator)
    x = shrink(x, size)
    if how.blur:
        x = _blurred(x, how.blur, generator)
    return _lit(x, how.light, generator) if how.light else x


def _uniform(count: int, generator: Generator) -> Tensor:
    """Return [count] values in -1..1."""
    import torch

    return torch.rand(count, generator=generator) * 2 - 1


def _moved(x: Tensor, how: Augmentation, generator: Generator) -> Tensor:
    import torch
    import torch.nn.functional as F

    count = len(x)
    scale = 1 + how.zoom * _uniform(count, generator)
    angle = how.turn * _uniform(count, generator)
    mirror = torch.where(torch.rand(count, generator=generator) < how.flip, -1.0, 1.0)
    dx, dy = (2 * how.shift * _uniform(count, generator) for _ in range(2))
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = [torch.stack([mirror * cos, -sin, dx], 1), torch.stack([mirror * sin, cos, dy], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _blurred(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Blur each picture by its own Gaussian, written as a matrix over the rows and columns."""
    import torch

    sigma = (most * torch.rand(len(x), generator=generator)).clamp_min(1e-3)
    place = torch.arange(x.shape[-1], dtype=torch.float32)
    distance = (place[:, None] - place[None]).square()
    weights = torch.exp(-distance / (2 * sigma.square())[:, None, None])
    matrix = (weights / weights.sum(2, keepdim=True))[:, None]
    return matrix @ x @ matrix.transpose(2, 3)


def _lit(x: Tensor, most: float, generator: Generator) -> Tensor:
    count = len(x)
    contrast = 1 + most * _uniform(count, generator)[:, None, None, None]
    brightness = 255 * most * 0.5 * _uniform(count, generator)[:, None, None, None]
    return ((x - 127.5) * contrast + 127.5 + brightness).clamp(0, 255)
