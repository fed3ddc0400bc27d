"""Inputs drawn by seed for tensors of any kind, and read from files."""

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np

from edgesdk.core.arrays import read_npz
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes
from edgesdk.core.preprocess import resize
from edgesdk.core.task import ModelInfo, Samples, picture_inputs, plural
from edgesdk.core.tensors import Array, TensorSpec, check_inputs
from edgesdk.picture_sets import Pictures

Draw = Callable[[int, int, int], list[Array]]
SIDE = 64  # in pixels, of a drawn picture
FREE = 8  # items along a free dimension that is not the batch, such as a sequence's length
ABOUT = "Inputs drawn by a seed."


def draw_inputs(
    info: ModelInfo, count: int, seed: int, draw: Draw, what: str, about: str = ABOUT
) -> Samples:
    """Return drawn inputs for every input of a model.

    Args:
        info: The model.
        count: Number of items.
        seed: Equal seeds give equal inputs.
        draw: From count, seed and side to pictures, for the inputs made from pictures.
        what: Plural words for the items.
        about: Sentence kept with golden vectors.
    """
    pictures = draw(count, seed, SIDE) if info.preprocess else []
    arrays = {
        spec.name: info.preprocess[spec.name](pictures)
        if spec.name in info.preprocess
        else _drawn(spec, count, seed)
        for spec in info.inputs
    }
    return Samples(arrays=arrays, what=what, about=about, pictures=tuple(pictures), total=count)


def _drawn(spec: TensorSpec, count: int, seed: int) -> Array:
    """Return [count, ...] values within the declared range, else by kind and type."""
    rng = np.random.default_rng([seed, crc32(spec.name.encode())])
    shape = (count, *(FREE if size is None else size for size in spec.shape[1:]))
    kind = np.dtype(spec.dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if spec.kind == "mask":
        return _masks(rng, shape).astype(spec.dtype)
    if kind in "iu":
        low, high = spec.range or (0, 255 if spec.dtype == "uint8" else 1)
        return rng.integers(int(low), int(high), shape, endpoint=True).astype(spec.dtype)
    if spec.range is not None:
        return rng.uniform(*spec.range, shape).astype(spec.dtype)
    return rng.standard_normal(shape).astype(spec.dtype)


def _masks(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return masks of 0 and 1 whose lower part is covered up to a height of each item's own."""
    rows = np.arange(shape[-2])[:, None] / shape[-2]
    edge = rng.uniform(0.3, 0.9, (shape[0], *[1] * (len(shape) - 1)))
    masks: Array = np.broadcast_to(rows >= edge, shape)
    return masks


def textures(count: int, seed: int, side: int) -> list[Array]:
    """Return pictures [side, side, 3] uint8 of coloured clutter of several grains, by seed."""
    rng = np.random.default_rng([seed, 0x7E47])
    return [_texture(rng, side) for _ in range(count)]


def _texture(rng: np.random.Generator, side: int) -> Array:
    picture = np.full((side, side, 3), 127.5, np.float32) + rng.uniform(-40, 40, 3)
    for grain in (2, 5, 13, 31):
        noise = rng.normal(127.5, rng.uniform(5, 45), (grain, grain, 3)).clip(0, 255)
        picture += resize(noise.astype(np.float32), (side, side)) - 127.5
    drawn: Array = picture.clip(0, 255).round().astype(np.uint8)
    return drawn


def read_pictures(info: ModelInfo, place: Path, count: int, seed: int, what: str) -> Samples:
    """Return inputs made of the pictures of a folder or archive; damaged ones are passed over.

    Raises:
        UsageError: it holds no picture.
    """
    pictures = Pictures(place)
    chosen = pictures.choose(count, seed)
    if not chosen:
        raise UsageError(f"calibration set {pictures.line()}; it holds no picture: give {what}")
    read = [pictures.read(name) for name in chosen]
    return Samples(
        arrays=picture_inputs(info, read),
        what="pictures",
        pictures=tuple(read),
        hashes=frozenset(pictures.hashes[name] for name in chosen),
        total=len(pictures),
        note=pictures.left_out(),
    )


def read_arrays(info: ModelInfo, place: Path, count: int, seed: int, item: str) -> Samples:
    """Return inputs out of an .npz file with one array [N, ...] per input, by its name.

    Raises:
        UsageError: it is no such file, or an array does not fit.
    """
    arrays = check_inputs(info.inputs, load_arrays(place))
    total = len(next(iter(arrays.values())))
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:count])
    return Samples(
        arrays={name: array[chosen] for name, array in arrays.items()},
        what=plural(item),
        about="Inputs read from a file.",
        hashes=frozenset({sha256_bytes(place.read_bytes())}),
        total=total,
    )


def load_arrays(place: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file; pickled ones are refused."""
    try:
        return read_npz(place)
    except FileNotFoundError:
        raise UsageError(f"{place} does not exist; give an .npz file of inputs") from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{place} is no .npz file of plain arrays ({error}); write one with "
            "numpy.savez(path, NAME=array, …)"
        ) from None
