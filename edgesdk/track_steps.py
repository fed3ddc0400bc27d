"""What a tracker does around its network, as plain numpy: crops, boxes, windows, measures.

Kotlin and JavaScript imitate the functions here. Boxes are x, y, width, height in pixels, an
edge at 0 being the picture's border.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk.core.tensors import Array

CONTEXT = 0.5  # of half the box's sides, added on each side of the target
# Pixels of the frame per pixel of the crop from which the frame is shrunk first: what is far
# larger than the crop takes no more memory and time than this.
COARSE = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """How scores of one frame become the next box.

    Attributes:
        window: Weight of a cosine window over the place where the target is awaited.
        penalty: How strongly a change of size or shape lowers a score.
        rate: Most of a new size that is taken over at once.
        motion: Part of the last step that is awaited again.
        still: Part of the crop's side; steps that are shorter are not awaited again.
        look: Score below which the squares around are looked at as well, 0 for never.
        lost: Score below which a frame says nothing of the target.
        patience: Frames below it before the target is called lost.
        update: Part of the memory that a sure frame replaces.
        sure: Score from which a frame is sure.
    """

    window: float = 0.455
    penalty: float = 0.055
    rate: float = 0.37
    motion: float = 0.0
    still: float = 0.0
    look: float = 0.0
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

    A triangle as wide as a pixel of the result, or of the frame where that is larger, weighs the
    samples; what lies outside the picture is its mean colour. Pillow does it, on one thread: the
    products of numpy's own would wait for each other wherever the machine has other work.

    Args:
        frame: HxWx3 uint8 RGB.
        centre: x, y of the square's middle.
        side: Of the square, in pixels of the frame.
        size: Of the result.
    """
    from PIL import Image

    if side / size > COARSE:
        by = int(2 * side / size / COARSE)
        frame = np.asarray(Image.fromarray(np.ascontiguousarray(frame)).reduce(by))
        centre, side = (centre[0] / by, centre[1] / by), side / by
    reach = max(side / size, 1.0) + 1
    left, top = centre[0] - side / 2, centre[1] - side / 2
    low = np.floor([top - reach, left - reach]).astype(int)
    high = np.ceil([top + side + reach, left + side + reach]).astype(int)
    box = (left - low[1], top - low[0], left - low[1] + side, top - low[0] + side)
    made = _part(frame, low, high).resize((size, size), Image.Resampling.BILINEAR, box=box)
    cut: Array = np.asarray(made).transpose(2, 0, 1).astype(np.float32)
    return cut


def _part(frame: Array, low: Array, high: Array) -> Any:
    """Return the rows and columns low..high of a frame as a picture, its mean colour beyond it."""
    from PIL import Image

    sides = np.array(frame.shape[:2])
    first, last = np.clip(low, 0, sides), np.clip(high, 0, sides)
    inside = frame[first[0] : last[0], first[1] : last[1]]
    seen = Image.fromarray(np.ascontiguousarray(inside)) if inside.size else None
    if seen is not None and (first == low).all() and (last == high).all():
        return seen
    height, width = (high - low).tolist()
    part = Image.new("RGB", (width, height), _mean_colour(frame))
    if seen is not None:
        part.paste(seen, (first - low)[::-1].tolist())
    return part


def _mean_colour(frame: Array) -> tuple[int, int, int]:
    """Return the mean of every n-th pixel, whole numbers."""
    down, across = (max(1, n // 64) for n in frame.shape[:2])
    pixels = frame[::down, ::across].reshape(-1, 3)
    # A product is many times as fast as a mean over rows of three.
    red, green, blue = (np.ones(len(pixels)) @ pixels.astype(np.float64) // len(pixels)).tolist()
    return int(red), int(green), int(blue)


def middle(features: Any, held: int) -> Any:
    """Return the middle [..., held, held] of features [..., cells, cells]."""
    skip = (features.shape[-1] - held) // 2
    inside = slice(skip, skip + held)
    return features[..., inside, inside]


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
