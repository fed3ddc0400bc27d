"""Read the golden vectors of a bundle; the exporter's pipeline writes and describes them."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.compare import judge
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json
from edgesdk.core.target import Tolerance
from edgesdk.core.tensors import Array, Arrays


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
        return Golden(
            tuple(pictures[0]) if pictures else (),
            {name: _read(bundle, entry) for name, entry in infer["inputs"].items()},
            {name: _read(bundle, entry) for name, entry in infer["outputs"].items()},
            Tolerance(**infer["tolerance"]),
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise UsageError(
            f"the golden vectors of {bundle.path} are damaged ({error}); export it again"
        ) from None


def _read(bundle: Bundle, entry: dict[str, Any]) -> Array:
    name = f"golden/{PurePosixPath(entry['file']).name}"
    if name not in bundle.files:
        raise ValueError(f"{name} is not a file of the bundle")
    dtype = np.dtype(entry["dtype"]).newbyteorder("<")
    array = np.frombuffer((bundle.path / name).read_bytes(), dtype)
    return array.reshape(entry["shape"]).astype(entry["dtype"])
