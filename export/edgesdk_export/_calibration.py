"""The inputs that set the ranges of int8, and those that are compared; the task makes them."""

from dataclasses import dataclass
from pathlib import Path

from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.task import Samples, task_of
from edgesdk.core.tensors import Arrays
from edgesdk.picture_sets import Pictures
from edgesdk.tasks._inputs import read_arrays
from edgesdk_export._source import Source, info

FEW = 100  # below this number of items the ranges are worth a warning
VERIFY_SEED = 1_000_003
MOST_SAMPLES = 65536


@dataclass(frozen=True, slots=True)
class Calibration:
    """What sets the ranges of int8.

    Attributes:
        arrays: Input name -> [N, ...], pre-processed.
        sha256: Hash of the arrays.
        hashes: Hashes of the real items' files; empty for drawn ones.
        why: Sentence for the decisions.
    """

    arrays: Arrays
    sha256: str
    hashes: frozenset[str]
    why: str


def arrays_sha256(arrays: Arrays) -> str:
    """Return a hash over names, shapes and values."""
    parts = [[name, list(a.shape), sha256_bytes(a.tobytes())] for name, a in arrays.items()]
    return sha256_bytes(canonical(parts))


def calibrate(
    source: Source, place: Path | None, samples: int, seed: int, strict: bool = False
) -> Calibration:
    """Return the calibration set.

    Args:
        source: Tells task, inputs and pre-processing.
        place: Folder, archive or file of real items, None for drawn ones.
        samples: Number of items.
        seed: Draws or chooses them.
        strict: Look at all pictures of the place, and refuse damaged ones.

    Raises:
        UsageError: there are no items, or the number makes no sense.
    """
    if not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(f"calib_samples must be 1 to {MOST_SAMPLES}, found {samples}")
    if seed < 0:
        raise UsageError(f"calib_seed must be 0 or more, found {seed}")
    if place is None and seed == VERIFY_SEED:
        raise UsageError(f"calib_seed {seed} draws the items of the verification; take another")
    if strict and place is not None and place.suffix.lower() != ".npz":
        Pictures(place).check(strict=True)
    task, model = task_of(source.task), info(source)
    if place is None:
        found = task.draw(model, samples, seed)
    elif place == source.samples:
        found = read_arrays(model, place, samples, seed, task.item)
    else:
        found = task.read(model, place, samples, seed)
    return Calibration(found.arrays, arrays_sha256(found.arrays), found.hashes, _why(found, seed))


def _why(found: Samples, seed: int) -> str:
    count = f"{len(found)} of {found.total}" if found.hashes else f"{len(found)}"
    warning = f"; fewer than {FEW}, so the ranges may be too narrow" if len(found) < FEW else ""
    note = f"; {found.note}" if found.note else ""
    return f"calibration: {count} {found.what}, seed {seed}{warning}{note}"


def refuse_overlap(calibration: Calibration, evaluation: set[str]) -> None:
    """Raise UsageError where a calibration file is also among the hashes `evaluation`."""
    both = calibration.hashes & evaluation
    if both:
        raise UsageError(
            f"{len(both)} of {len(calibration.hashes)} calibration files are in the evaluation "
            "set as well, which flatters int8; give two sets that share none"
        )
