"""The crops that an export runs on: to set the ranges of int8, and to compare."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.tensors import Array, Arrays
from edgesdk.images import Pictures
from edgesdk_export._source import Source, specs

CROP = 64  # side in pixels of a synthetic crop
FEW = 100  # below this number of crops the ranges are worth a warning
VERIFY_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class Calibration:
    """What sets the ranges of int8.

    Attributes:
        arrays: Input name -> [N, ...], pre-processed.
        sha256: Hash of the arrays.
        pictures: Hashes of the real pictures' files; empty for synthetic crops.
        why: Sentence for the decisions.
    """

    arrays: Arrays
    sha256: str
    pictures: frozenset[str]
    why: str


def tensors_of(source: Source, pictures: list[Array]) -> dict[str, Array]:
    """Return the input tensors of a batch of crops.

    Raises:
        UnsupportedError: an input is not made from a picture.
    """
    made = {}
    for spec in specs(source)[0]:
        if spec.name not in source.preprocess:
            raise UnsupportedError(
                f"input {spec.name!r} of {source.model} is not made from a picture; crops for it "
                "cannot be drawn"
            )
        preprocess: Preprocess = source.preprocess[spec.name]
        made[spec.name] = preprocess(pictures)
    return made


def arrays_sha256(arrays: Arrays) -> str:
    """Return a hash over names, shapes and values."""
    parts = [[name, list(a.shape), sha256_bytes(a.tobytes())] for name, a in arrays.items()]
    return sha256_bytes(canonical(parts))


def calibrate(source: Source, folder: Path | None, samples: int, seed: int) -> Calibration:
    """Return the calibration set.

    Args:
        source: Tells the pre-processing.
        folder: Folder or tar archive of aligned crops, None for synthetic ones.
        samples: Number of crops.
        seed: Draws them.

    Raises:
        UsageError: there are no crops, or the number makes no sense.
    """
    if samples < 1:
        raise UsageError(f"calib_samples must be 1 or more, found {samples}")
    if seed < 0:
        raise UsageError(f"calib_seed must be 0 or more, found {seed}")
    if folder is None:
        return _synthetic(source, samples, seed)
    return _real(source, folder, samples, seed)


def _synthetic(source: Source, samples: int, seed: int) -> Calibration:
    if seed == VERIFY_SEED:
        raise UsageError(f"calib_seed {seed} draws the crops of the verification; take another")
    arrays = tensors_of(source, synthetic_faces(samples, seed, CROP))
    why = f"calibration: {samples} synthetic faces, seed {seed}{_warning(samples)}"
    return Calibration(arrays, arrays_sha256(arrays), frozenset(), why)


def _real(source: Source, folder: Path, samples: int, seed: int) -> Calibration:
    pictures = Pictures(folder)
    if not pictures.names:
        raise UsageError(f"calibration set {folder} holds no picture; give aligned face crops")
    order = np.random.default_rng(seed).permutation(len(pictures.names))[:samples]
    chosen = [pictures.names[i] for i in sorted(order)]
    arrays = tensors_of(source, [pictures.read(name) for name in chosen])
    hashes = frozenset(sha256_bytes(pictures.bytes(name)) for name in chosen)
    why = (
        f"calibration: {len(chosen)} of {len(pictures.names)} pictures, seed {seed}"
        f"{_warning(len(chosen))}"
    )
    return Calibration(arrays, arrays_sha256(arrays), hashes, why)


def _warning(count: int) -> str:
    return f"; fewer than {FEW}, so the ranges may be too narrow" if count < FEW else ""


def refuse_overlap(calibration: Calibration, evaluation: set[str]) -> None:
    """Raise UsageError where a calibration picture is also among the hashes `evaluation`."""
    both = calibration.pictures & evaluation
    if both:
        raise UsageError(
            f"{len(both)} of {len(calibration.pictures)} calibration pictures are in the "
            "evaluation set as well, which flatters int8; give two sets that share no picture"
        )
