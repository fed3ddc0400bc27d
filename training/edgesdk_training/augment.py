"""Augmentation of whole batches at once, on pictures already in memory.

Moving, zooming, mirroring, blurring and shrinking are all linear maps along one axis, so
each picture's own chain is one small matrix for its rows and one for its columns. That
costs a tenth of sampling every pixel of the large picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from edgesdk.core.preprocess import resize_matrix

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far training pictures stray; all zero leaves them as they are.

    Attributes:
        flip: Probability of mirroring.
        shift: Largest shift as a part of the face's width, each axis on its own.
        zoom: Largest change of scale as a part, each axis on its own.
        light: Largest change of brightness and contrast, as a part of the range.
        blur: Largest Gaussian blur, standard deviation in pixels of the shrunk picture.
    """

    flip: float = 0.5
    shift: float = 0.03
    zoom: float = 0.04
    light: float = 0.15
    blur: float = 0.4


def shrink(pictures: Tensor, size: int) -> Tensor:
    """Return float [B, 3, size, size] on the 0..255 scale, by the bundle's own resizing.

    Args:
        pictures: [B, 3, S, S] on the same scale.
        size: Side in pixels.
    """
    matrix = _resizing(pictures.shape[-1], size, str(pictures.device))
    return (matrix @ pictures @ matrix.T).clamp(0, 255)


@lru_cache
def _resizing(before: int, after: int, device: str) -> Tensor:
    import torch

    return torch.from_numpy(resize_matrix(before, after)).to(device)


def augment(pictures: Tensor, size: int, how: Augmentation, generator: Generator) -> Tensor:
    """Return a varied batch, float [B, 3, size, size] on the 0..255 scale, channels last.

    Args:
        pictures: uint8 [B, S, S, 3].
        size: Side of the student's input.
        how: Ranges.
        generator: Decides everything, so that a batch can be drawn again; on the pictures' device.
    """
    count, side = pictures.shape[:2]
    x = pictures.float()
    if size > side:
        x = shrink(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
    blurring = _gaussian(how.blur * _uniform(count, generator).abs(), size)
    rows = blurring @ _axis(x.shape[1], size, how, count, generator)
    columns = blurring @ _axis(x.shape[1], size, how, count, generator)
    columns = _mirrored(columns, how.flip, generator)
    x = _mapped(_mapped(x, rows), columns).contiguous().permute(0, 3, 1, 2)
    return _lit(x, how.light, generator) if how.light else x.clamp(0, 255)


def blurred(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Return [B, C, S, S] with a blur per picture of up to `most` pixels."""
    matrix = _gaussian(most * _uniform(len(x), generator).abs(), x.shape[-1])[:, None]
    return matrix @ x @ matrix.mT


def turned(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Return pictures turned by up to `most` degrees about their middle, 0 where nothing was.

    Args:
        x: [B, C, S, S].
        most: Largest turn in degrees.
        generator: Decides the turns; on the pictures' device.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    angle = torch.deg2rad(most * _uniform(len(x), generator))
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([cosine, -sine, zero, sine, cosine, zero], 1).reshape(-1, 2, 3)
    grid = affine_grid(matrix, list(x.shape), align_corners=False)
    return grid_sample(x, grid, align_corners=False)


def _uniform(count: int, generator: Generator) -> Tensor:
    """Return [count] values in -1..1."""
    import torch

    return torch.rand(count, generator=generator, device=generator.device) * 2 - 1


def _axis(side: int, size: int, how: Augmentation, count: int, generator: Generator) -> Tensor:
    """Return [count, size, side]: each pixel's mean over its moved and zoomed interval."""
    import torch

    scale = 1 + how.zoom * _uniform(count, generator)
    move = side * (0.5 + how.shift * _uniform(count, generator))
    edges = (torch.arange(size + 1, device=move.device) / size - 0.5) * side
    edges = scale[:, None] * edges + move[:, None]
    low = edges[:, :-1, None].clamp(0, side - 1)
    high = edges[:, 1:, None].clamp(1, side)
    place = torch.arange(side, device=move.device)
    weights = (torch.minimum(high, place + 1) - torch.maximum(low, place)).clamp_min(0)
    return weights / weights.sum(2, keepdim=True)


def _gaussian(sigma: Tensor, size: int) -> Tensor:
    """Return [B, size, size]: blurring along one axis, by [B] standard deviations."""
    import torch

    place = torch.arange(size, dtype=torch.float32, device=sigma.device)
    distance = (place[:, None] - place[None]).square()
    weights = torch.exp(-distance / (2 * sigma.clamp_min(1e-3).square())[:, None, None])
    return weights / weights.sum(2, keepdim=True)


def _mirrored(matrix: Tensor, probability: float, generator: Generator) -> Tensor:
    import torch

    drawn = torch.rand(len(matrix), generator=generator, device=generator.device)
    chosen = drawn < probability
    return torch.where(chosen[:, None, None], matrix.flip(1), matrix)


def _mapped(x: Tensor, matrix: Tensor) -> Tensor:
    """Map the first axis of [B, S, T, 3] by [B, N, S] and swap: [B, T, N, 3].

    Done for rows and then for columns, it ends in the order it began.
    """
    count, side, other, channels = x.shape
    mapped = matrix @ x.reshape(count, side, other * channels)
    return mapped.reshape(count, -1, other, channels).transpose(1, 2)


def _lit(x: Tensor, most: float, generator: Generator) -> Tensor:
    count = len(x)
    contrast = 1 + most * _uniform(count, generator)[:, None, None, None]
    brightness = 255 * most * 0.5 * _uniform(count, generator)[:, None, None, None]
    return ((x - 127.5) * contrast + 127.5 + brightness).clamp(0, 255)
