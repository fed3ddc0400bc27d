"""What happens to pictures on their way: JPEG, blur, resizing, noise, screenshots, WebP."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edgesdk_training.soft import jpeg

Array = NDArray[Any]
Step = Callable[[Array, np.random.Generator], Array]


def resized(part: float) -> Step:
    def step(picture: Array, random: np.random.Generator) -> Array:
        size = [max(64, round(n * part)) for n in picture.shape[1::-1]]
        return np.asarray(Image.fromarray(picture).resize((size[0], size[1])))

    return step


def blurred(radius: float) -> Step:
    return lambda p, _: np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(radius)))


def noisy(sigma: float) -> Step:
    def step(picture: Array, random: np.random.Generator) -> Array:
        return (picture + random.normal(0, sigma, picture.shape)).clip(0, 255).astype(np.uint8)

    return step


def compressed(quality: int) -> Step:
    return lambda picture, _: jpeg(picture, quality)


def webp(picture: Array, random: np.random.Generator) -> Array:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=80)
    return np.asarray(Image.open(stream).convert("RGB"))


def cropped(picture: Array, random: np.random.Generator) -> Array:
    return picture[5:-11, 7:-9]


def screenshot(picture: Array, random: np.random.Generator) -> Array:
    """Shown at 1.25 times the size, kept without loss, sent on as JPEG."""
    return jpeg(resized(1.25)(picture, random), 80)


STEPS: dict[str, Step] = {
    "as it is": lambda picture, _: picture,
    **{f"JPEG {q}": compressed(q) for q in (95, 75, 50)},
    **{f"blur {r} px": blurred(r) for r in (0.5, 1.0)},
    **{f"resized {p}": resized(p) for p in (0.5, 0.75, 1.5, 2.0)},
    **{f"noise {s}": noisy(s) for s in (2, 5)},
    "cropped": cropped,
    "screenshot": screenshot,
    "WebP 80": webp,
}
