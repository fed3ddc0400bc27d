"""Re-label distillation: a linear student of a black box's answers on a picture's neighbours.

Independent implementation from the published description: neighbours of a picture are drawn in
an autoencoder's latent space, the black box labels them "kept" or "shifted", and a linear student
of its labels and soft answers tells by its weights which pixels speak for the decision. Our own:
a neighbour keeps the picture's detail; its code moves towards the middle of the latent space,
where what is ordinary lies, for what moves to both sides of a decision's summit leaves a linear
student nothing to learn; some move far and some hardly, where the published moves are of one
size; and a ridge, in the place of a sum of sizes, shares a reason among alike cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk.saliency.curves import Score, ground
from edgesdk.saliency.found import HELD, Found, agreement
from edgesdk.saliency.neighbours import Neighbours

# Weight of hard labels beside soft answers, and of the ridge; Newton's steps, and when they end.
ALPHA, RIDGE, STEPS, STILL = 0.25, 100.0, 30, 1e-6
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
        moves: How far they were moved, round by round.
    """

    cells: Array
    kept: Array
    moves: tuple[float, ...]


def relabelled(
    neighbours: Neighbours,
    picture: Array,
    score: Score,
    grid: int,
    budget: int,
    seed: int,
    moves: Sequence[float] = (),
) -> Found:
    """Explain the answer about a picture by its neighbours.

    Args:
        neighbours: What draws them.
        picture: HxWx3 uint8 RGB.
        score: Pictures [N, H, W, 3] -> share of the explained answer [N].
        grid: Cells of the map along each side.
        budget: Number of questions.
        seed: Draws the moves.
        moves: Of another explanation, whose neighbours shall be these ones' too.
    """
    toward = -np.sign(neighbours.code(picture))
    found = label(picture, lambda moves: neighbours.around(picture, toward * moves), score,
                  (grid, len(toward), budget, seed), moves)  # fmt: skip
    features = found.cells.reshape(len(found.kept), -1)
    held = np.arange(len(features)) % HELD == 0
    weights, offset = student(features[~held], found.kept[~held])
    told = features @ weights + offset
    # What a cell adds is its weight times its colour, above what it is without its content.
    content = (cells_of(picture[None], grid) - cells_of(ground(picture)[None], grid))[0] / 255
    saliency = (weights.reshape(grid, grid, 3) * content).sum(2)
    kept = found.kept >= 0.5
    fidelity = agreement(told >= 0, kept, held)
    return Found(saliency, fidelity, float(1 - kept.mean()), found.moves)


def label(
    picture: Array,
    around: Callable[[Array], Array],
    score: Score,
    sizes: tuple[int, ...],
    given: Sequence[float] = (),
) -> Labelled:
    """Draw neighbours and ask about each; moves grow and shrink until half of them shift.

    Args:
        picture: HxWx3 uint8 RGB.
        around: Moves [N, L] of 0 and more -> neighbours uint8 [N, H, W, 3].
        score: Pictures -> share of the explained answer [N].
        sizes: Cells along each side, L, number of questions, seed.
        given: How far to move, round by round, in the place of what the answers ask for.
    """
    grid, latent, budget, seed = sizes
    random, own = np.random.default_rng(seed), cells_of(picture[None], grid)
    move, turn = FIRST_MOVE, TURN
    cells, kept, moves = [], [], []
    for number, start in enumerate(range(0, budget, ROUND)):
        move = given[number] if given else move
        moves.append(move)
        count = min(ROUND, budget - start)
        far = move * random.uniform(0, 2, (count, 1))
        pictures = around(far * np.abs(random.standard_normal((count, latent))))
        cells.append((cells_of(pictures, grid) - own) / 255)
        kept.append(score(pictures))
        much = (kept[-1] < 0.5).mean() > 0.5
        move = float(np.clip(move / turn if much else move * turn, LEAST_MOVE, MOST_MOVE))
        # While none, or all, of them shift, the right size is far away: turns stay wide.
        if 0 < (kept[-1] < 0.5).mean() < 1:
            turn = turn**SLOWER
    return Labelled(np.concatenate(cells), np.concatenate(kept), tuple(moves))


def student(features: Array, kept: Array) -> tuple[Array, float]:
    """Teach a linear student of two classes the black box's hard labels and soft answers.

    loss = alpha CE(hard) + (1 - alpha) CE(soft) + ridge |W|^2 / 2, by Newton's method, in units of
    the features' own deviations. Of two logits only the difference counts, so one is learnt.

    Args:
        features: [N, D].
        kept: [N] share of the explained answer.

    Returns:
        Weights [D] and offset of the logit of "kept".
    """
    middle, scale = features.mean(0), features.std(0) + 1e-6
    # N pictures span N directions at most, in which D weights are solved for sooner.
    left, sizes, right = np.linalg.svd((features - middle) / scale, full_matrices=False)
    rows = np.hstack([left * sizes, np.ones((len(left), 1))]).astype(np.float64)
    target = ALPHA * (kept >= 0.5) + (1 - ALPHA) * kept
    ridge = np.append(np.full(len(sizes), RIDGE), STILL)
    weights = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        told = 0.5 * (1 + np.tanh(rows @ weights / 2))
        slope = rows.T @ (told - target) + ridge * weights
        bend = (rows.T * (told * (1 - told))) @ rows + np.diag(ridge)
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < STILL:
            break
    found = (weights[:-1] @ right) / scale
    return found, float(weights[-1] - found @ middle)


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
