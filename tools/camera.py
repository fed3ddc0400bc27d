"""A made camera clip for Chromium's fake device: whose face is in the live page's oval, when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesdk.core.preprocess import TEMPLATES, similarity

WIDTH, HEIGHT = 640, 480
# The aligned square of web/live-page.mjs, inside the middle square of the frame.
LEFT, TOP, SIDE = (WIDTH - HEIGHT) // 2 + round(0.14 * HEIGHT), round(0.1 * HEIGHT), 0.72 * HEIGHT


def frame(crop: np.ndarray, wall: tuple[int, int, int] = (196, 202, 208)) -> np.ndarray:
    """Return a frame [480, 640, 3] whose aligned square shows `crop` [S, S, 3], uint8 RGB."""
    from PIL import Image

    side = round(SIDE)
    picture = np.full((HEIGHT, WIDTH, 3), wall, np.uint8)
    large = Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)
    picture[TOP : TOP + side, LEFT : LEFT + side] = np.asarray(large)
    return picture


def photo_frame(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return a frame whose aligned square shows the face at `points` [5, 2] of a whole photo."""
    from PIL import Image

    target = TEMPLATES["arcface"] * (SIDE / 112) + np.array([LEFT, TOP])
    (a, b, c), (d, e, f) = similarity(target, points)
    size, how = (WIDTH, HEIGHT), Image.Transform.AFFINE
    moved = Image.fromarray(photo).transform(
        size, how, (a, b, c, d, e, f), Image.Resampling.BICUBIC
    )
    return np.asarray(moved)


def write_clip(path: Path, frames: Sequence[np.ndarray], fps: int = 10) -> Path:
    """Write frames as YUV4MPEG2 (full-range BT.601, 4:2:0), which Chromium plays in a circle."""
    from PIL import Image

    with path.open("wb") as stream:
        stream.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for picture in frames:
            stream.write(b"FRAME\n")
            y, cb, cr = Image.fromarray(picture).convert("YCbCr").split()
            half = (WIDTH // 2, HEIGHT // 2)
            for plane in (y, cb.resize(half), cr.resize(half)):
                stream.write(plane.tobytes())
    return path


def camera_flags(clip: Path) -> tuple[str, ...]:
    """Return the flags that make Chromium see `clip` and allow the camera."""
    return (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )
