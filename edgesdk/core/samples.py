"""Face-like crops drawn by the seed: the default calibration and verification set.

The crops are draws from a normal distribution in the space of eigenfaces (mean face plus
48 principal components of 5,000 aligned faces, see tools/build_eigenfaces.py; method:
Turk and Pentland, "Eigenfaces for recognition", 1991). No crop is a person's picture.
"""

from functools import cache
from importlib.resources import files
from io import BytesIO

import numpy as np

from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array


@cache
def _model() -> dict[str, Array]:
    data = files("edgesdk.core").joinpath("eigenfaces.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}


def synthetic_faces(count: int, seed: int, size: int = 64) -> list[Array]:
    """Return aligned face-like crops of varied light and sharpness.

    Args:
        count: Number of crops.
        seed: Equal seeds give equal crops.
        size: Side of a crop in pixels.

    Returns:
        `count` arrays [size, size, 3] uint8 RGB.
    """
    rng = np.random.default_rng([seed, 0xFACE])
    return [_face(rng, size) for _ in range(count)]


def _face(rng: np.random.Generator, size: int) -> Array:
    model = _model()
    weights = rng.standard_normal(len(model["scale"]), np.float32) * model["scale"]
    face = model["mean"] + np.tensordot(weights, model["axes"], 1)
    face = face + _detail(rng, face.shape[0], float(model["residual"]))
    gain, shift = rng.uniform(0.7, 1.3), rng.uniform(-30.0, 30.0)
    lit = np.clip((face - 127.5) * gain + 127.5 + shift, 0, 255)
    picture: Array = resize(lit, (size, size)).round().astype(np.uint8)
    return picture


def _detail(rng: np.random.Generator, side: int, deviation: float) -> Array:
    """Return grey clutter [side, side, 1] in place of what the components leave out.

    Its grain lies between two pixels and an eighth of the face, as hair and shadows do.
    """
    grain = int(rng.integers(8, side // 2 + 1))
    noise = rng.normal(0.0, deviation, (grain, grain, 1)).astype(np.float32)
    # `resize` keeps to 0..255: the noise is centred there on its way.
    return resize(noise + 127.5, (side, side)) - 127.5
