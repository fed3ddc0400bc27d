"""Photos that tools have worked on: soft, sharp or compressed, and no fakes."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from edgesdk.core.tensors import Array

SIDE, MULTIPLE = 128, 16
KERNELS = ("BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS")


def middle(picture: Array) -> Array:
    """Return the middle, at most 128 px a side, multiples of 16."""
    sides = [min(SIDE, n // MULTIPLE * MULTIPLE) for n in picture.shape[:2]]
    top, left = ((n - side) // 2 for n, side in zip(picture.shape, sides, strict=False))
    return picture[top : top + sides[0], left : left + sides[1]]


def _resized(picture: Array, random: np.random.Generator) -> Array:
    """Shrink and enlarge again."""
    from PIL import Image

    image = Image.fromarray(picture)
    part = random.uniform(0.4, 0.9)
    small = [max(8, round(n * part)) for n in image.size]
    down, up = (Image.Resampling[str(name)] for name in random.choice(KERNELS, 2))
    return np.asarray(image.resize((small[0], small[1]), down).resize(image.size, up))


def _halved(picture: Array, random: np.random.Generator) -> Array:
    from PIL import Image

    image = Image.fromarray(picture)
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    up = Image.Resampling[str(random.choice(("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS")))]
    return np.asarray(half.resize(image.size, up))


def _enlarged(picture: Array, random: np.random.Generator) -> Array:
    from PIL import Image

    image = Image.fromarray(picture)
    # Up to four times: a small photo blown up to 12 megapixels is no fake.
    size = [round(n * 2 ** random.uniform(0.25, 2)) for n in image.size]
    kernel = Image.Resampling[str(random.choice(KERNELS[1:]))]
    return middle(np.asarray(image.resize((size[0], size[1]), kernel)))


def _median(picture: Array, random: np.random.Generator) -> Array:
    from PIL import Image, ImageFilter

    size = int(random.choice((3, 3, 5)))
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.MedianFilter(size)))


def _blurred(picture: Array, random: np.random.Generator) -> Array:
    from PIL import Image, ImageFilter

    blur = ImageFilter.GaussianBlur(random.uniform(0.4, 1.5))
    return np.asarray(Image.fromarray(picture).filter(blur))


def _sharpened(picture: Array, random: np.random.Generator) -> Array:
    from PIL import Image, ImageFilter

    sharp = ImageFilter.UnsharpMask(random.uniform(0.6, 2), int(random.uniform(50, 200)), 0)
    return np.asarray(Image.fromarray(picture).filter(sharp))


def _denoised(picture: Array, random: np.random.Generator) -> Array:
    """Bilateral filter of 5x5: neighbours of a like colour are averaged."""
    width = random.uniform(12, 40)
    padded = np.pad(picture.astype(np.float32), ((2, 2), (2, 2), (0, 0)), "reflect")
    height, across = picture.shape[:2]
    total, weights = np.zeros(picture.shape, np.float32), np.zeros((height, across, 1), np.float32)
    for top in range(5):
        for left in range(5):
            near = padded[top : top + height, left : left + across]
            apart = np.square(near - picture).sum(2, keepdims=True)
            weight = np.exp(-apart / (2 * width**2) - ((top - 2) ** 2 + (left - 2) ** 2) / 8)
            total, weights = total + weight * near, weights + weight
    return np.asarray((total / weights).round().astype(np.uint8))


def _compressed(picture: Array, random: np.random.Generator) -> Array:
    """Three times JPEG, its blocks at another place each time."""
    for _ in range(3):
        moved = np.roll(picture, random.integers(0, 8, 2), (0, 1))
        picture = jpeg(moved, int(random.integers(40, 90)))
    return picture


def camera(picture: Array, random: np.random.Generator) -> Array:
    """Take a picture again as a camera does: one colour per pixel, the others interpolated.

    A Bayer mosaic with noise, bilinear interpolation, and by chance a little sharpening.
    """
    from PIL import Image, ImageFilter

    values = picture.astype(np.float32)
    values += random.normal(0, random.uniform(0, 4), picture.shape)
    rows, columns = np.indices(picture.shape[:2]) + random.integers(0, 2, (2, 1, 1))
    green = (rows + columns) % 2 == 0
    masks = np.stack([~green & (rows % 2 == 0), green, ~green & (rows % 2 == 1)], 2)
    full = _bilinear(values * masks) / _bilinear(masks.astype(np.float32))
    drawn = Image.fromarray(full.clip(0, 255).round().astype(np.uint8))
    if random.random() < 0.6:
        drawn = drawn.filter(ImageFilter.UnsharpMask(1, int(random.uniform(30, 120)), 0))
    return np.asarray(drawn)


def _bilinear(values: Array) -> Array:
    """Return the sum of each 3x3 neighbourhood, weighed 1 2 1 both ways."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), "reflect")
    tall = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return np.asarray(tall[:, :-2] + 2 * tall[:, 1:-1] + tall[:, 2:])


SOFT: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "resized": _resized,
    "halved": _halved,
    "enlarged": _enlarged,
    "median": _median,
    "blurred": _blurred,
    "sharpened": _sharpened,
    "denoised": _denoised,
    "jpeg-chain": _compressed,
    "camera": camera,
}


def jpeg(picture: Array, quality: int) -> Array:
    """Return the picture after JPEG of a quality of 1..100."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))
