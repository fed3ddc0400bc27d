"""What a tracker does around its network, as plain numpy: crops, boxes, windows, measures.

Kotlin and JavaScript imitate the functions here. Boxes are x, y, width, height in pixels, an
edge at 0 being the picture's border.
"""

from dataclasses import dataclass

import numpy as np

from edgesdk.core.tensors import Array

CONTEXT = 0.5  # of half the box's sides, added on each side of the target


@dataclass(frozen=True, slots=True)
class Policy:
    """How scores of one frame become the next box.

    Attributes:
        window: Weight of a cosine window over the place where the target is awaited.
        penalty: How strongly a change of size or shape lowers a score.
        rate: Most of a new size that is taken over at once.
        motion: Part of the last step that is awaited again.
        lost: Score below which a frame says nothing of the target.
        patience: Frames below it before the target is called lost.
        update: Part of the memory that a sure frame replaces.
        sure: Score from which a frame is sure.
    """

    window: float = 0.455
    penalty: float = 0.055
    rate: float = 0.37
    motion: float = 0.0
    lost: float = 0.1
    patience: int = 5
    update: float = 0.0
    sure: float = 0.8


def target_side(width: float, height: float) -> float:
    """Return the side of the square that holds the target and its surroundings, in pixels."""
    margin = CONTEXT * (width + height)
    return float(np.sqrt((width + margin) * (height + margin)))


def crop(frame: Array, centre: tuple[float, float], side: float, size: int) -> Array:
    """Return a square of `frame` as the network's input, float32 [3, size, size] of 0..255.

    A triangle as wide as a pixel of the result weighs the samples; what lies outside the
    picture is its mean colour.

    Args:
        frame: HxWx3 uint8 RGB.
        centre: x, y of the square's middle.
        side: Of the square, in pixels of the frame.
        size: Of the result.
    """
    height, width = frame.shape[:2]
    rows, top, bottom = _samples(centre[1], side, size, height)
    columns, left, right = _samples(centre[0], side, size, width)
    planes = frame[top:bottom, left:right].transpose(2, 0, 1).astype(np.float32)
    mean = frame[:: max(1, height // 64), :: max(1, width // 64)].reshape(-1, 3).mean(0)
    mean = mean.astype(np.float32)[:, None, None]
    cut: Array = rows @ (planes - mean) @ columns.T + mean
    return cut


def _samples(centre: float, side: float, size: int, length: int) -> tuple[Array, int, int]:
    """Return the weights [size, last - first] of one axis and the span of pixels they read."""
    step = side / size
    at = centre - side / 2 + (np.arange(size) + 0.5) * step - 0.5
    reach = max(step, 1.0)
    first = int(np.clip(np.floor(at[0] - reach), 0, length - 1))
    last = int(np.clip(np.ceil(at[-1] + reach) + 1, first + 1, length))
    weights = 1 - np.abs(np.arange(first, last) - at[:, None]) / reach
    # 1 / reach: whole inside the picture, less at its edge, where the mean fills the rest.
    found: Array = (weights.clip(0) / reach).astype(np.float32)
    return found, first, last


def boxes_in(distances: Array, stride: int) -> Array:
    """Return boxes [4, cells] (x, y of the middle, width, height) relative to the crop's middle.

    Args:
        distances: [4, H, W] to left, top, right, bottom from each cell, pixels of the crop.
        stride: Pixels of the crop from cell to cell.
    """
    cells = distances.shape[-1]
    place = (np.arange(cells) - cells // 2) * stride
    left, top, right, bottom = distances.reshape(4, -1)
    x, y = np.tile(place, cells), np.repeat(place, cells)
    sides = [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom]
    found: Array = np.stack(sides)
    return found


def cosine_window(cells: int) -> Array:
    """Return a cosine window [cells * cells] whose top lies at the crop's middle cell."""
    line = np.hanning(cells + 1)[:cells]
    window: Array = np.outer(line, line).ravel()
    return window


def sigmoid(x: Array) -> Array:
    """Return the logistic function."""
    found: Array = 1 / (1 + np.exp(-x))
    return found


def choose(
    scores: Array, boxes: Array, size: tuple[float, float], policy: Policy
) -> tuple[int, float]:
    """Return the cell to believe, and the share of its box's size to take over.

    Args:
        scores: [cells] probabilities.
        boxes: [4, cells] as `boxes_in` returns them.
        size: Width and height of the target in pixels of the crop.
        policy: The weights.
    """
    width, height = np.maximum(boxes[2:], 1e-3)

    def worse(ratio: Array) -> Array:
        larger: Array = np.maximum(ratio, 1 / ratio)
        return larger

    grown = worse(np.sqrt((width + (width + height) / 2) * (height + (width + height) / 2))
                  / target_side(*size))  # fmt: skip
    bent = worse((size[0] / max(size[1], 1e-3)) / (width / height))
    kept = np.exp(-(grown * bent - 1) * policy.penalty)
    window = cosine_window(int(np.sqrt(scores.size)))
    best = int(np.argmax(kept * scores * (1 - policy.window) + window * policy.window))
    return best, float(kept[best] * scores[best] * policy.rate)
