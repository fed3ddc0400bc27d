"""How good a map is: take the cells that count most away, or bring them first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesdk.core.tensors import Array

Score = Callable[[Array], Array]
STEPS = 16


@dataclass(frozen=True, slots=True)
class Curves:
    """What becomes of a decision as cells go and come, the most salient first.

    Attributes:
        deletion: Area under the share of the answer as cells are taken away, lower is better.
        insertion: The same as cells are brought, higher is better.
        falling: [STEPS + 1] the shares of deletion.
        rising: [STEPS + 1] the shares of insertion.
    """

    deletion: float
    insertion: float
    falling: Array
    rising: Array


def ground(picture: Array) -> Array:
    """Return what a picture is without its content, uint8 of its shape: its median colour."""
    return np.broadcast_to(np.median(picture, (0, 1)).round().astype(np.uint8), picture.shape)


def mixed(picture: Array, shares: Array) -> Array:
    """Return pictures uint8 [N, H, W, 3] of which a share is kept, the rest being ground.

    Args:
        picture: HxWx3 uint8 RGB.
        shares: [N, H, W] in 0..1.
    """
    below = ground(picture).astype(np.float32)
    kept = shares[..., None].astype(np.float32)
    return np.asarray((below + kept * (picture - below)).round(), np.uint8)


def curves(picture: Array, saliency: Array, score: Score, steps: int = STEPS) -> Curves:
    """Delete and insert the cells of a map in the order of what they count.

    After Petsiuk et al. 2018 (RISE), with the picture's median colour for the ground of both.

    Args:
        picture: HxWx3 uint8 RGB.
        saliency: [G, G].
        score: Pictures [N, H, W, 3] -> [N] share of the answer that is explained.
        steps: Parts that the cells are taken in.
    """
    places = np.empty(saliency.size, int)
    places[np.argsort(-saliency, axis=None, kind="stable")] = np.arange(saliency.size)
    limits = np.linspace(0, saliency.size, steps + 1)
    gone = (places[None] < limits[:, None]).reshape(-1, *saliency.shape)
    fine = spread(gone.astype(np.float32), picture.shape[:2])
    shares = score(np.concatenate([mixed(picture, 1 - fine), mixed(picture, fine)]))
    falling, rising = np.split(shares, 2)
    return Curves(_area(falling), _area(rising), falling, rising)


def spread(cells: Array, size: tuple[int, ...]) -> Array:
    """Return maps [N, H, W] of the cells [N, G, G], each pixel of its cell's value."""
    rows, columns = (
        np.arange(new) * old // new for old, new in zip(cells.shape[1:], size, strict=True)
    )
    return np.asarray(cells[:, rows][:, :, columns])


def enlarged_cells(coarse: Array, offsets: Array, size: tuple[int, int], cells: int) -> Array:
    """Return masks [N, H, W] of cells enlarged bilinearly, each moved by a part of a cell.

    Args:
        coarse: [N, cells + 1, cells + 1] values of the cells.
        offsets: [N, 2] in 0..1.
        size: (H, W).
        cells: How many cells fit into a side.
    """
    rows, columns = (
        _tents(offset, length, cells) for offset, length in zip(offsets.T, size, strict=True)
    )
    return np.asarray(np.einsum("nha,nab,nwb->nhw", rows, coarse, columns, optimize=True))


def _tents(offsets: Array, length: int, cells: int) -> Array:
    """Return [N, length, cells + 1]: how much of each cell's value a place takes."""
    at = (np.arange(length) + 0.5)[None] / length * (cells - 1) + offsets[:, None]
    near = 1 - np.abs(at[..., None] - np.arange(cells + 1))
    return np.asarray(near.clip(0).astype(np.float32))


def _area(shares: Array) -> float:
    return float((shares[1:] + shares[:-1]).mean() / 2)
