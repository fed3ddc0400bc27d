"""Face packs: encoded pictures and a teacher's embeddings in one .npz, never unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesdk.core.arrays import read_npz
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_file
from edgesdk.core.tensors import Array
from edgesdk.images import read_image

PACK_ARRAYS = ("blob", "offsets", "identity", "names", "embedding")
# Name, number of axes and kinds of numbers.
PACK_SHAPES = (
    ("blob", 1, "u"), ("offsets", 1, "iu"), ("identity", 1, "iu"), ("embedding", 2, "f"),
)  # fmt: skip


def read_pack(path: Path) -> dict[str, Array]:
    """Return all arrays of a face pack.

    Raises:
        UsageError: the file cannot be read, or lacks what every pack has.
    """
    try:
        arrays = read_npz(path)
        if missing := [name for name in PACK_ARRAYS[:3] if name not in arrays]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        for name, shape, kinds in PACK_SHAPES:
            found = arrays.get(name)
            if found is not None and (found.ndim != shape or found.dtype.kind not in kinds):
                raise ValueError(f"{name} is {found.dtype} of shape {found.shape}")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is no face pack ({error}); expected the arrays {', '.join(PACK_ARRAYS)}, or "
            "x_train and y_train of labelled pictures"
        ) from None
    return arrays


class PackDataset:
    """One .npz with encoded pictures and, usually, a teacher's embeddings.

    Arrays: `blob` uint8 (all files, joined), `offsets` int [N + 1], `identity` int [N]
    (-1 unknown), `embedding` float16 [N, D] of unit length, `names` [N].

    Attributes:
        identities: int64 [N], -1 unknown.
        embeddings: float32 [N, D], or None.
        name: What the licence and provenance speak of.
    """

    def __init__(self, path: Path) -> None:
        pack = read_pack(path)
        self._blob, self._offsets = pack["blob"], pack["offsets"].astype(np.int64)
        self.identities = pack["identity"].astype(np.int64)
        stored = pack.get("embedding")
        count = len(self._offsets) - 1
        lengths = {len(self.identities)} | ({len(stored)} if stored is not None else set())
        if count < 1 or lengths != {count} or self._offsets[-1] > len(self._blob):
            raise UsageError(f"{path} is damaged: its arrays disagree on the number of pictures")
        if self._offsets[0] < 0 or (np.diff(self._offsets) <= 0).any():
            raise UsageError(f"{path} is damaged: its offsets do not rise")
        if stored is not None and not (np.isfinite(stored).all() and stored.any(1).all()):
            raise UsageError(f"{path} is damaged: an embedding is zero or not finite")
        self.embeddings: Array | None = None if stored is None else _unit(stored)
        self.people = ["" if i < 0 else str(i) for i in self.identities]
        self.name, self._path = path.name, path

    @property
    def content(self) -> str:
        """Hash of all pictures; reads the whole file."""
        return sha256_file(self._path)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Array:
        """Return picture `index`, HxWx3 uint8 RGB.

        Raises:
            UsageError: it is damaged.
        """
        try:
            return read_image(self._blob[self._offsets[index] : self._offsets[index + 1]].tobytes())
        except UsageError as error:
            raise UsageError(f"{self._path}: picture number {index}: {error}") from None


def _unit(vectors: Array) -> Array:
    rows = vectors.astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
