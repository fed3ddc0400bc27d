"""Pre-processing as data that travels with the weights, and its numpy reference.

Kotlin, JavaScript and every runtime imitate the functions here; the golden
vectors of a bundle are made by them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import tupled
from edgesdk.core.tensors import Array
from edgesdk.core.typed import check_types

# Five points (left eye, right eye, nose, mouth corners; picture's left first) in a
# 112x112 crop: the template of the ArcFace alignment, used by most face networks.
ARCFACE_112: Array = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
TEMPLATES = {"arcface": ARCFACE_112}
LARGEST_SIDE = 4096
LARGEST_CROP = 512
FARTHEST = 1e6  # pixels of a face point from the picture's corner
LARGEST_FACE = 4  # sides of its picture
LEAST_STD = 1e-6
CHOICES = {
    "resize": ("stretch",),
    "interpolation": ("bicubic",),
    "color": ("RGB", "BGR"),
    "layout": ("NCHW", "NHWC"),
    "dtype": ("float32", "float16"),
}
STRIP = 64  # rows of samples that align takes at once
CUBIC = -0.5  # Catmull-Rom's coefficient, which Pillow's BICUBIC uses as well


@dataclass(frozen=True, slots=True)
class Align:
    """How a face is cut out of a photo before it is resized.

    Attributes:
        template: Name of the five target points, see TEMPLATES.
        size: Side of the square aligned crop in pixels.
    """

    template: str = "arcface"
    size: int = 112

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Align":
        """Rebuild from a dictionary of the fields.

        Raises:
            TypeError: a field is unknown or of the wrong type.
            ValueError: there is no such template, or no crop of such a size.
        """
        found = cls(**data)
        check_types(found)
        if found.template not in TEMPLATES or not 0 < found.size <= LARGEST_CROP:
            raise ValueError(f"align {data}")
        return found


@dataclass(frozen=True, slots=True)
class Preprocess:
    """From an RGB uint8 picture to one input tensor: resize, then (pixel - mean) / std.

    Attributes:
        size: (height, width) of the network's input in pixels.
        resize: "stretch" is the only way so far.
        interpolation: Kernel used for enlarging; shrinking always averages areas.
        antialias: Shrinking averages areas (True).
        color: "RGB" or "BGR" channel order of the tensor.
        mean: Subtracted per channel, on the 0..255 scale, in `color` order.
        std: Divides per channel, on the 0..255 scale, in `color` order.
        layout: "NCHW" or "NHWC".
        dtype: Element type of the tensor.
        pad_value: Value 0..255 outside the photo when a face is aligned.
        align: How the crop is made from a photo, None where crops are given.
    """

    size: tuple[int, int]
    resize: str = "stretch"
    interpolation: str = "bicubic"
    antialias: bool = True
    color: str = "RGB"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    layout: str = "NCHW"
    dtype: str = "float32"
    pad_value: float = 0.0
    align: Align | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        data = asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in data.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Preprocess":
        """Rebuild from `to_json`'s dictionary.

        Raises:
            TypeError: a field is absent, unknown, or of the wrong type.
            ValueError: a value is none that this edgesdk can carry out.
        """
        values = tupled(data)
        align = values.pop("align", None)
        found = cls(**values, align=None if align is None else Align.from_json(align))
        check_types(found)
        found._check()
        return found

    def _check(self) -> None:
        """Raise for what `__call__` would carry out wrongly, or not at all."""
        if not all(0 < side <= LARGEST_SIDE for side in self.size):
            raise ValueError(f"a size of {self.size} pixels")
        if not all(LEAST_STD <= abs(std) <= 1 / LEAST_STD for std in self.std):
            raise ValueError(f"a std of {self.std}")
        if not all(abs(mean) <= 1 / LEAST_STD for mean in self.mean):
            raise ValueError(f"a mean of {self.mean}")
        if not 0 <= self.pad_value <= 255:
            raise ValueError(f"a pad_value of {self.pad_value}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}, known: {', '.join(known)}")

    def __call__(self, pictures: Sequence[Array]) -> Array:
        """Return the input tensor of a batch.

        Args:
            pictures: HxWx3 uint8 RGB arrays, each of any size from 1x1 up.

        Returns:
            float32 [N, 3, H, W] (or [N, H, W, 3] for NHWC).

        Raises:
            UsageError: a picture is not an HxWx3 uint8 array.
        """
        planes = np.empty((len(pictures), 3, *self.size), np.float32)
        for picture, into in zip(pictures, planes, strict=True):
            self._fill(check_picture(picture), into)
        tensor = planes if self.layout == "NCHW" else planes.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(tensor, dtype=self.dtype)

    def _fill(self, picture: Array, planes: Array) -> None:
        """Write a picture into float32 [3, H, W], once over its pixels: it may be a whole photo."""
        pixels = picture if picture.shape[:2] == self.size else resize(picture, self.size)
        if self.color == "BGR":
            pixels = pixels[..., ::-1]
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            plane = planes[channel]
            np.subtract(pixels[..., channel], np.float32(mean), out=plane, dtype=np.float32)
            plane /= np.float32(std)


def check_picture(picture: Array) -> Array:
    """Return `picture` if it is an HxWx3 uint8 array, else raise UsageError."""
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise UsageError(
            f"a picture must be an HxWx3 uint8 RGB array, found shape {array.shape} of "
            f"{array.dtype}; read files with edgesdk.read_image"
        )
    return array


def resize(picture: Array, size: tuple[int, int]) -> Array:
    """Resize HxWx3 to (height, width) as float32 on the picture's own scale.

    Each axis that shrinks averages exact areas (OpenCV's INTER_AREA), each axis
    that grows uses a Catmull-Rom cubic.
    """
    if picture.shape[:2] == tuple(size):
        return np.clip(picture, 0.0, 255.0).astype(np.float32)
    rows, columns = (resize_matrix(n, m) for n, m in zip(picture.shape[:2], size, strict=True))
    tall = np.tensordot(rows, picture.astype(np.float32), (1, 0))
    wide = np.tensordot(tall, columns, (1, 1)).transpose(0, 2, 1)
    return np.clip(wide, 0.0, 255.0).astype(np.float32)


@lru_cache(maxsize=64)
def resize_matrix(source: int, target: int) -> Array:
    """Return the float32 [target, source] matrix that resizes one axis."""
    matrix = _area(source, target) if source >= target else _cubic(source, target)
    weights: Array = matrix / matrix.sum(1, keepdims=True)
    return weights.astype(np.float32)


def _area(source: int, target: int) -> Array:
    edges = np.arange(target + 1) * (source / target)
    low, high = edges[:-1, None], edges[1:, None]
    cells = np.arange(source)
    overlap: Array = np.minimum(cells + 1, high) - np.maximum(cells, low)
    return overlap.clip(0.0)


def _cubic(source: int, target: int) -> Array:
    centres = (np.arange(target) + 0.5) * (source / target) - 0.5
    matrix = np.zeros((target, source))
    for tap in range(-1, 3):
        index = np.floor(centres).astype(int) + tap
        distance = np.abs(centres - index)
        near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
        far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        weight = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
        np.add.at(matrix, (np.arange(target), np.clip(index, 0, source - 1)), weight)
    return matrix


def similarity(points: Array, template: Array) -> Array:
    """Return the 2x3 similarity transform that maps `points` [K, 2] onto `template` [K, 2].

    Least squares over rotation, scale and shift, without reflection (Umeyama 1991).
    """
    source, target = np.asarray(points, np.float64), np.asarray(template, np.float64)
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    spread = (s**2).sum()
    if spread < 1e-9 or not np.isfinite(source).all():
        raise UsageError("the face points coincide or are not finite; no alignment exists")
    a = (s * t).sum() / spread
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / spread
    turn = np.array([[a, -b], [b, a]])
    return np.hstack([turn, (mean_t - turn @ mean_s)[:, None]])


def align(picture: Array, points: Array, how: Align, pad_value: float = 0.0) -> Array:
    """Cut an aligned square crop out of a photo.

    Args:
        picture: HxWx3 uint8 RGB.
        points: [5, 2] x, y pixel positions: eyes, nose, mouth corners, picture's left first.
        how: Template and side of the crop.
        pad_value: Value 0..255 outside the photo.

    Returns:
        [size, size, 3] uint8 RGB. Faces larger than the crop are averaged over
        a grid of samples per pixel, so that they do not alias.

    Raises:
        UsageError: the points are not five finite ones of a face in or near the picture.
    """
    _check_points(np.asarray(points), max(check_picture(picture).shape))
    template = TEMPLATES[how.template] * (how.size / 112)
    forward = similarity(points, template)
    scale = float(np.hypot(*forward[:, 0]))
    grid = int(np.clip(np.ceil(1 / scale), 1, 16))
    inverse = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))[:2]
    steps = (np.arange(how.size * grid) + 0.5) / grid - 0.5
    rows = max(1, STRIP // grid)  # of the crop at once: large faces stay within a few megabytes
    strips = [
        _strip(picture, inverse, steps, steps[top * grid : (top + rows) * grid], grid, pad_value)
        for top in range(0, how.size, rows)
    ]
    return np.concatenate(strips).round().clip(0, 255).astype(np.uint8)


def _strip(
    picture: Array, inverse: Array, columns: Array, rows: Array, grid: int, pad_value: float
) -> Array:
    """Return rows of a crop, float32: each pixel is the mean of `grid` x `grid` samples."""
    x, y = np.meshgrid(columns, rows)
    where = inverse @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    fine = _bilinear(picture, where, pad_value)
    blocks = fine.reshape(len(rows) // grid, grid, len(columns) // grid, grid, 3)
    mean: Array = blocks.mean((1, 3))
    return mean


def _check_points(points: Array, side: int) -> None:
    """Raise UsageError for a face far larger than its picture, or nowhere near it."""
    near = points.shape == (5, 2) and bool((np.abs(points) <= FARTHEST).all())
    if not near or np.ptp(points, axis=0).max() > LARGEST_FACE * side:
        raise UsageError(
            "the five face points lie far apart or outside, or are not finite; no alignment exists"
        )


def _bilinear(picture: Array, where: Array, pad_value: float) -> Array:
    """Sample `picture` at x, y positions [2, M]; outside it lies `pad_value`."""
    height, width = picture.shape[0] + 2, picture.shape[1] + 2
    x = np.clip(where[0] + 1, 0, width - 1.001)
    y = np.clip(where[1] + 1, 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    padded = _padded(picture, (top.min(), top.max() + 2), (left.min(), left.max() + 2), pad_value)
    left, top = left - left.min(), top - top.min()
    upper = padded[top, left] * (1 - fx) + padded[top, left + 1] * fx
    lower = padded[top + 1, left] * (1 - fx) + padded[top + 1, left + 1] * fx
    mixed: Array = upper * (1 - fy) + lower * fy
    return mixed.astype(np.float32)


def _padded(
    picture: Array, rows: tuple[int, int], columns: tuple[int, int], pad_value: float
) -> Array:
    """Return a part of a picture that has one more pixel of `pad_value` on each side."""
    spans = list(zip(picture.shape, (rows, columns), strict=False))
    part = tuple(slice(max(low - 1, 0), min(high - 1, size)) for size, (low, high) in spans)
    edges = [(int(low == 0), int(high == size + 2)) for size, (low, high) in spans]
    return np.pad(picture[part], (*edges, (0, 0)), constant_values=int(pad_value))
