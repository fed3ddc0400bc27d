"""Re-label distillation: a linear student of a black box's answers on a picture's neighbours.

Independent implementation from the published description: neighbours of a picture are drawn in
an autoencoder's latent space, the black box labels them "kept" or "shifted", and a linear student
of its labels and soft answers tells by its weights which pixels speak for the decision. Two
things are our own: a neighbour keeps the picture's detail, and its code moves towards the middle
of the latent space, where what is ordinary lies, for what moves to both sides of a decision's
summit leaves a linear student nothing to learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk.saliency.curves import Score, ground
from edgesdk.saliency.found import HELD, Found, agreement
from edgesdk.saliency.neighbours import Neighbours

# The published balance of hard labels and soft answers; rate and steps of Adam.
ALPHA, SPARSE, RATE, STEPS = 0.5, 1e-3, 0.02, 150
# Neighbours between two looks at how many of them shift the decision.
ROUND = 40
FIRST_MOVE, TURN, SLOWER = 1.0, 1.8, 0.8
LEAST_MOVE, MOST_MOVE = 0.02, 20.0


@dataclass(frozen=True, slots=True)
class Labelled:
    """Neighbours and what the black box says of them.

    Attributes:
        cells: [N, G, G, 3] how far the mean colour of each cell lies from the picture's, -1..1.
        kept: [N] share of the explained answer.
    """

    cells: Array
    kept: Array


def relabelled(
    neighbours: Neighbours, picture: Array, score: Score, grid: int, budget: int, seed: int
) -> Found:
    """Explain the answer about a picture by its neighbours.

    Args:
        neighbours: What draws them.
        picture: HxWx3 uint8 RGB.
        score: Pictures [N, H, W, 3] -> share of the explained answer [N].
        grid: Cells of the map along each side.
        budget: Number of questions.
        seed: Draws the moves.
    """
    toward = -np.sign(neighbours.code(picture))
    found = label(picture, lambda moves: neighbours.around(picture, toward * moves), score,
                  (grid, len(toward), budget, seed))  # fmt: skip
    features = found.cells.reshape(len(found.kept), -1)
    held = np.arange(len(features)) % HELD == 0
    weights, offset = student(features[~held], found.kept[~held])
    told = features @ weights + offset
    # What a cell adds is its weight times its colour, above what it is without its content.
    content = (cells_of(picture[None], grid) - cells_of(ground(picture)[None], grid))[0] / 255
    saliency = (weights.reshape(grid, grid, 3) * content).sum(2)
    kept = found.kept >= 0.5
    return Found(saliency, agreement(told >= 0, kept, held), float(1 - kept.mean()))


def label(
    picture: Array, around: Callable[[Array], Array], score: Score, sizes: tuple[int, ...]
) -> Labelled:
    """Draw neighbours and ask about each; moves grow and shrink until half of them shift.

    Args:
        picture: HxWx3 uint8 RGB.
        around: Moves [N, L] of 0 and more -> neighbours uint8 [N, H, W, 3].
        score: Pictures -> share of the explained answer [N].
        sizes: Cells along each side, L, number of questions, seed.
    """
    grid, latent, budget, seed = sizes
    random, own = np.random.default_rng(seed), cells_of(picture[None], grid)
    move, turn = FIRST_MOVE, TURN
    cells, kept = [], []
    for start in range(0, budget, ROUND):
        shape = (min(ROUND, budget - start), latent)
        pictures = around(move * np.abs(random.standard_normal(shape)))
        cells.append((cells_of(pictures, grid) - own) / 255)
        kept.append(score(pictures))
        much = (kept[-1] < 0.5).mean() > 0.5
        move = float(np.clip(move / turn if much else move * turn, LEAST_MOVE, MOST_MOVE))
        # While none, or all, of them shift, the right size is far away: turns stay wide.
        if 0 < (kept[-1] < 0.5).mean() < 1:
            turn = turn**SLOWER
    return Labelled(np.concatenate(cells), np.concatenate(kept))


def student(features: Array, kept: Array) -> tuple[Array, float]:
    """Teach a linear student of two classes the black box's hard labels and soft answers.

    loss = alpha CE(hard) + (1 - alpha) CE(soft) + gamma |W|_1, by Adam, in units of the features'
    own deviations. Of two logits only the difference counts, so one is learnt.

    Args:
        features: [N, D].
        kept: [N] share of the explained answer.

    Returns:
        Weights [D] and offset of the logit of "kept".
    """
    scale = features.std(0) + 1e-6
    rows = np.hstack([features / scale, np.ones((len(features), 1))]).astype(np.float32)
    target = ALPHA * (kept >= 0.5) + (1 - ALPHA) * kept
    sparse = np.append(np.full(len(scale), SPARSE), 0)
    weights, first, second = (np.zeros(rows.shape[1]) for _ in range(3))
    for step in range(1, STEPS + 1):
        error = 0.5 * (1 + np.tanh(rows @ weights / 2)) - target
        slope = error.astype(np.float32) @ rows / len(rows) + sparse * np.sign(weights)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        ahead = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        weights = weights - RATE * ahead
    return weights[:-1] / scale, float(weights[-1])


def cells_of(pictures: Array, grid: int) -> Array:
    """Return the mean colours [N, G, G, 3] float32 of pictures [N, H, W, 3] on 0..255."""
    rows, columns = (_means(size, grid) for size in pictures.shape[1:3])
    found = np.einsum("ah,nhwc,bw->nabc", rows, pictures.astype(np.float32), columns, optimize=True)
    return np.asarray(found)


def _means(size: int, grid: int) -> Array:
    """Return [grid, size]: each cell's mean along one axis."""
    owner = np.arange(size) * grid // size
    ones = (owner[None] == np.arange(grid)[:, None]).astype(np.float32)
    return np.asarray(ones / ones.sum(1, keepdims=True))
