"""The teacher's answers, kept on disk: finished work is never asked for again.

One file per teacher and set holds the rows in the set's order, as far as they are known. Beside
it stand the hashes of the set's pictures, so that a set with a picture mended, added or removed
finds the answers for all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.files import sha256_bytes, write_atomic
from edgesdk.core.tensors import Array

# A killed run loses at most this much work.
SAVE_EVERY_S = 30.0
KEY = 32  # bytes of a SHA-256


def embed_all(
    teacher: Any,
    pictures: Any,
    cache: Path,
    progress: Callable[[int, int, str], None],
    batch: int = 16,
) -> Array:
    """Return float32 [N, dim] unit embeddings of all `pictures`, cached on disk.

    Args:
        teacher: A Teacher.
        pictures: A sequence of HxWx3 uint8 RGB pictures; `between` gives several at once,
            `keys` their hashes.
        cache: Folder; the file's name holds the hash of the teacher and of the pictures.
        progress: Called with (done, total, label).
        batch: Faces per call.

    Returns:
        Rows of length 1. A killed run goes on where the cache ends.
    """
    count = len(pictures)
    digest = sha256_bytes((teacher.sha256 + fingerprint(pictures)).encode())[:16]
    path = cache / f"{teacher.name}-{digest}.f32"
    rows = np.full((count, teacher.dim), np.nan, np.float32)
    kept = _kept(path, count, teacher.dim)
    rows[: len(kept)] = kept
    keys = getattr(pictures, "keys", None)
    if keys is not None and len(kept) < count:
        _recall(rows, keys, teacher, cache)
        write_atomic(path.with_suffix(".keys"), bytes.fromhex(teacher.sha256 + "".join(keys)))
    missing = np.flatnonzero(np.isnan(rows[:, 0]))
    written = time.monotonic()
    for start in range(0, len(missing), batch):
        asked = missing[start : start + batch]
        faces = teacher(_chosen(pictures, asked))
        rows[asked] = faces / np.linalg.norm(faces, axis=1, keepdims=True)
        progress(count - len(missing) + start + len(asked), count, "teacher")
        if time.monotonic() - written > SAVE_EVERY_S:
            _write(path, rows)
            written = time.monotonic()
    if len(kept) < count:
        _write(path, rows)
    return rows


def _write(path: Path, rows: Array) -> None:
    """Write the rows up to the first unknown one."""
    unknown = np.flatnonzero(np.isnan(rows[:, 0]))
    known = rows[: unknown[0]] if len(unknown) else rows
    write_atomic(path, known.astype("<f4").tobytes())


def _kept(path: Path, count: int, dim: int) -> Array:
    """Return what an earlier run left, [M, dim]; nothing of a damaged file."""
    empty = np.empty((0, dim), np.float32)
    if not path.is_file():
        return empty
    size, row = path.stat().st_size, 4 * dim
    if size % row or size > count * row:
        return empty
    rows = np.fromfile(path, "<f4").reshape(-1, dim)
    return rows if np.isfinite(rows).all() else empty


def _recall(rows: Array, keys: Sequence[str], teacher: Any, cache: Path) -> None:
    """Fill unknown rows with what the teacher answered for the same pictures in other sets."""
    unknown = np.flatnonzero(np.isnan(rows[:, 0])).tolist()
    wanted = {bytes.fromhex(keys[i]): i for i in unknown}
    for path in sorted(cache.glob(f"{teacher.name}-*.keys")):
        for key, row in _answers(path, teacher):
            place = wanted.get(key)
            if place is not None:
                rows[place] = row


def _answers(path: Path, teacher: Any) -> Iterator[tuple[bytes, Array]]:
    data = path.read_bytes()
    if len(data) % KEY or data[:KEY].hex() != teacher.sha256:
        return
    keys = [data[i : i + KEY] for i in range(KEY, len(data), KEY)]
    yield from zip(keys, _kept(path.with_suffix(".f32"), len(keys), teacher.dim), strict=False)


def _chosen(pictures: Any, asked: Array) -> Sequence[Array]:
    start, stop = int(asked[0]), int(asked[-1]) + 1
    if hasattr(pictures, "between") and stop - start == len(asked):
        return list(pictures.between(start, stop))
    return [pictures[int(i)] for i in asked]


def fingerprint(pictures: Any) -> str:
    """Return a hash of a set: of all of it where it tells one, else of 64 of its pictures."""
    count, content = len(pictures), getattr(pictures, "content", None)
    if content is not None:
        return sha256_bytes(f"{count} {content}".encode())
    chosen = sorted({int(i) for i in np.linspace(0, count - 1, min(count, 64))})
    content = b"".join(np.ascontiguousarray(pictures[i]).tobytes() for i in chosen)
    return sha256_bytes(str(count).encode() + content)
