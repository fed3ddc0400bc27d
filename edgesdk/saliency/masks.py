"""RISE and LIME, small and on a budget: what explanations here are measured beside."""

from __future__ import annotations

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk.saliency.curves import Score, enlarged_cells, mixed, spread
from edgesdk.saliency.found import HELD, Found, agreement

BLOCK = 64  # masked pictures at once
# RISE: cells of a mask along each side; LIME: likewise its segments. Both keep half.
RISE_CELLS, LIME_CELLS, KEEP = 7, 8, 0.5
# LIME: width of the nearness kernel on the share of cells gone, and the ridge.
WIDTH, RIDGE = 0.5, 1.0


def rise(picture: Array, score: Score, grid: int, budget: int, seed: int) -> Found:
    """Mean of random smooth masks, weighed by the share that the answer keeps behind them.

    After Petsiuk et al. 2018 (arXiv 1806.07421): cells enlarged bilinearly at a random offset.

    Args:
        picture: HxWx3 uint8 RGB.
        score: Pictures -> share of the explained answer [N].
        grid: Cells of the map along each side.
        budget: Number of questions.
        seed: Draws the masks.
    """
    random = np.random.default_rng(seed)
    coarse = (random.random((budget, RISE_CELLS + 1, RISE_CELLS + 1)) < KEEP).astype(np.float32)
    masks = enlarged_cells(coarse, random.random((budget, 2)), (grid, grid), RISE_CELLS)
    shares = _asked(picture, masks, score)
    weighed = np.einsum("n,nab->ab", shares, masks) / masks.sum(0)
    return Found(weighed, None, float((shares < 0.5).mean()))


def lime(picture: Array, score: Score, grid: int, budget: int, seed: int) -> Found:
    """Ridge regression of the answer's share on which segments stay, near ones weighed more.

    After Ribeiro et al. 2016 (arXiv 1602.04938); the segments are a plain grid.
    """
    random = np.random.default_rng(seed)
    masks = (random.random((budget, LIME_CELLS, LIME_CELLS)) < KEEP).astype(np.float32)
    shares = _asked(picture, spread(masks, (grid, grid)), score)
    held = np.arange(budget) % HELD == 0
    weights, offset = _ridge(masks.reshape(budget, -1), shares, ~held)
    told = masks.reshape(budget, -1) @ weights + offset
    fine = spread(weights.reshape(1, LIME_CELLS, LIME_CELLS), (grid, grid))[0]
    return Found(fine, agreement(told >= 0.5, shares >= 0.5, held), float((shares < 0.5).mean()))


def _asked(picture: Array, masks: Array, score: Score) -> Array:
    """Return the answer's share behind each mask [N, G, G]."""
    size = picture.shape[:2]
    parts = (masks[i : i + BLOCK] for i in range(0, len(masks), BLOCK))
    return np.concatenate([score(mixed(picture, spread(part, size))) for part in parts])


def _ridge(rows: Array, wanted: Array, used: Array) -> tuple[Array, float]:
    """Return weights [D] and offset of a weighted ridge regression on the rows in use."""
    near = np.exp(-np.square((1 - rows.mean(1)) / WIDTH))[used]
    x = np.hstack([rows[used], np.ones((int(used.sum()), 1))]).astype(np.float64)
    keep = np.diag([*[RIDGE] * rows.shape[1], 0.0])
    found = np.linalg.solve((x.T * near) @ x + keep, (x.T * near) @ wanted[used])
    return found[:-1], float(found[-1])
