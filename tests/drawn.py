"""Drawn pictures that look like photos: smooth areas and noise."""

from pathlib import Path

import numpy as np
from PIL import Image


def photo(seed, height=150, width=170):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 7, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int16)
    noise = random.normal(0, 8, (height, width, 3))
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def labelled_set(folder: Path) -> Path:
    """Write photos as `real` and `soft/same`, and with every second pixel doubled as `fake`."""
    for n in range(12):
        clean = photo(n, 96, 80)
        doubled = clean[::2, ::2].repeat(2, 0).repeat(2, 1)
        for kind, picture in {"real": clean, "soft/same": clean, "fake/doubled": doubled}.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / kind / f"{n}.png")
    return folder


def film(path, pictures, rate, turn=0):
    """Write pictures [H, W, 3] as a video of `rate` pictures a second; return its path."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        if turn:
            stream.set_display_rotation(turn)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
