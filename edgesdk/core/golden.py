"""Read the golden vectors of a bundle; the exporter's pipeline writes and describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.compare import judge
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json
from edgesdk.core.target import Tolerance
from edgesdk.core.tensors import DTYPES, Array, Arrays, check_inputs
from edgesdk.core.typed import MALFORMED, check_known


@dataclass(frozen=True, slots=True)
class Golden:
    """What an artefact must answer.

    Attributes:
        pictures: The crops behind the first image input, uint8 [H, W, 3] each; may be empty.
        inputs: Input tensors.
        outputs: Output tensors of the source in float32.
        tolerance: What the bundle's precision may differ.
    """

    pictures: tuple[Array, ...]
    inputs: Arrays
    outputs: Arrays
    tolerance: Tolerance

    def reasons(self, found: Arrays) -> list[str]:
        """Return what is wrong with the outputs `found`; empty when they are right."""
        return [
            reason
            for name, want in self.outputs.items()
            for reason in judge(name, want, found[name], self.tolerance)[1]
        ]


def read_golden(bundle: Bundle) -> Golden:
    """Return the golden vectors of a bundle.

    Raises:
        UsageError: it has none, or they are damaged.
    """
    folder = bundle.path / "golden"
    index = read_json(folder / "index.json", "golden index")
    try:
        pictures = [_read(bundle, case["pictures"]) for case in index.get("pre", [])[:1]]
        infer = index["infer"]
        golden = Golden(
            tuple(pictures[0]) if pictures else (),
            {name: _read(bundle, entry) for name, entry in infer["inputs"].items()},
            {name: _read(bundle, entry) for name, entry in infer["outputs"].items()},
            Tolerance.from_json(infer["tolerance"]),
        )
        _check_fit(bundle, golden)
        return golden
    except MALFORMED as error:
        raise UsageError(
            f"the golden vectors of {bundle.path} are damaged ({error}); export it again"
        ) from None


def _check_fit(bundle: Bundle, golden: Golden) -> None:
    """Raise UsageError or ValueError where the vectors are none of the bundle's tensors."""
    # A file of a fixed batch size stores more items than it takes at once.
    free = [replace(spec, shape=(None, *spec.shape[1:])) for spec in bundle.inputs]
    check_inputs(free, golden.inputs)
    counts = {len(array) for arrays in (golden.inputs, golden.outputs) for array in arrays.values()}
    if set(golden.outputs) != {spec.name for spec in bundle.outputs} or len(counts) != 1:
        raise ValueError(f"outputs {', '.join(golden.outputs)} of {sorted(counts)} items")


def _read(bundle: Bundle, entry: Mapping[str, Any]) -> Array:
    name = f"golden/{PurePosixPath(entry['file']).name}"
    if name not in bundle.files:
        raise ValueError(f"{name} is not a file of the bundle")
    return read_array(bundle.path / "golden", entry)


def read_array(folder: Path, entry: Mapping[str, Any]) -> Array:
    """Return the array that an entry of the index describes.

    Args:
        folder: Where its file lies.
        entry: file, dtype and shape, of any content: it comes from elsewhere.

    Raises:
        TypeError: a value is of the wrong type.
        KeyError: one is absent.
        ValueError: the file does not hold an array of that type and shape.
        OSError: it cannot be read.
    """
    kinds = {"file": str, "dtype": str, "shape": list[int]}
    check_known("array", entry, kinds, kinds)
    if entry["dtype"] not in DTYPES or min(entry["shape"], default=1) < 0:
        raise ValueError(f"an array of {entry['dtype']!r:.60} {entry['shape']!r:.60}")
    # A name, never a path.
    content = (folder / PurePosixPath(entry["file"]).name).read_bytes()
    array = np.frombuffer(content, np.dtype(entry["dtype"]).newbyteorder("<"))
    return array.reshape(entry["shape"]).astype(entry["dtype"])
