"""An index of many embeddings: the nearest rows without looking at all of them.

HNSW (Malkov and Yashunin 2016, "Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs") as usearch has it, over the embeddings in 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgesdk.core.errors import EdgeSdkError, MissingDependencyError
from edgesdk.core.tensors import Array

# Fitted by `python -m edgesdk_benchmarks.gallery`, see benchmarks/results/gallery.json.
LINKS, WIDTH_ADD, WIDTH = 24, 128, 2048
BLOCK = 20_000

Progress = Callable[[int, int, str], None]


class Nearest:
    """Rows [N, D] of unit length by number; made anew, or opened from what `stored` gave.

    Args:
        dim: D.
        stored: What `stored` gave; None for an empty one.

    Raises:
        MissingDependencyError: usearch is not installed.
        EdgeSdkError: it is none of this dimension.
    """

    def __init__(self, dim: int, stored: bytes | bytearray | None = None) -> None:
        self._dim = dim
        self._index = self._opened(stored)

    def __len__(self) -> int:
        return len(self._index)

    def add(self, ids: Array, rows: Array, progress: Progress | None = None) -> None:
        """Add rows [N, D] under numbers that are not there yet."""
        for start in range(0, len(ids), BLOCK):
            part = slice(start, start + BLOCK)
            self._index.add(ids[part], rows[part])
            if progress:
                progress(min(start + BLOCK, len(ids)), len(ids), "index")

    def forget(self, ids: Array) -> None:
        """Take rows out, and their values out of the memory and of what is stored.

        usearch leaves the values of a row that was taken out where they were.
        """
        values = [np.asarray(row).tobytes() for row in self._index.get(ids)]
        self._index.remove(ids, compact=True)
        content = bytearray(self._index.save())
        for value in values:
            place = content.find(value)
            while place >= 0:
                content[place : place + len(value)] = bytes(len(value))
                place = content.find(value, place + 1)
        self._index = self._opened(content)

    def search(self, row: Array, count: int) -> Array:
        """Return the numbers of the `count` nearest rows, or fewer."""
        return np.asarray(self._index.search(row, count, threads=1).keys).astype(np.int64)

    def stored(self) -> bytes:
        """Return all of it as bytes."""
        return bytes(self._index.save())

    def _opened(self, stored: bytes | bytearray | None) -> Any:
        kind = _usearch()
        settings = {"connectivity": LINKS, "expansion_add": WIDTH_ADD, "expansion_search": WIDTH}
        if stored is None:
            return kind(ndim=self._dim, metric="ip", dtype="i8", **settings)
        index = kind.restore(stored)
        if index is None or index.ndim != self._dim:
            raise EdgeSdkError("the index in the gallery is of another kind; build it again")
        index.expansion_add, index.expansion_search = WIDTH_ADD, WIDTH
        return index


def _usearch() -> Any:
    # First: its extension crashes the process where it is loaded after usearch's (1.32, 2.26).
    import onnxruntime  # noqa: F401

    try:
        from usearch.index import Index
    except ImportError:
        raise MissingDependencyError("an index of faces", ["usearch"], "gallery") from None
    return Index
