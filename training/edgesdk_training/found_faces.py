"""What a teacher finds in pictures, kept on disk: finished work is never asked for again.

Each picture is seen at several scales and on its sides, and what the looks find is joined: a
student may then learn from one look what took its teacher many.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.files import sha256_bytes, sha256_file, write_atomic
from edgesdk.core.tensors import Array
from edgesdk_training.answers import SAVE_EVERY_S, fingerprint

if TYPE_CHECKING:
    from edgesdk.boxes import Detection

# x, y, width, height, score, then five points x, y: all of one face.
ROW = 15
SCALES = (0.5, 1.0, 2.0)
MOST_PX, LEAST_PX = 1280, 96
TURNS = (1, 3)
LEAST_SCORE, OVERLAP = 0.4, 0.3


class FaceTeacher:
    """YuNet with the patience of a teacher.

    Args:
        threads: Threads of ONNX Runtime.
        scales: Sizes at which a picture is looked at, 1 for its own.
        turns: Quarter turns in which it is looked at as well.

    Attributes:
        name: Name and version.
        sha256: Hash of its weights and of how it looks.
    """

    name = "yunet-2023mar"

    def __init__(
        self,
        threads: int = 1,
        scales: Sequence[float] = SCALES,
        turns: Sequence[int] = TURNS,
    ) -> None:
        from edgesdk.detect import YuNet, weights_path

        self._net = YuNet(threads, score=LEAST_SCORE)
        self._scales, self._turns = tuple(scales), tuple(turns)
        told = f"{self._scales} {self._turns} {MOST_PX} {LEAST_SCORE} {OVERLAP}"
        self.sha256 = sha256_bytes(f"{sha256_file(weights_path())} {told}".encode())

    def __call__(self, picture: Array) -> Array:
        """Return the faces of an HxWx3 uint8 RGB picture, float32 [K, ROW], surest first."""
        from edgesdk.photos import turned_back

        found = [face for scale in self._scales for face in self._seen(picture, scale)]
        for turn in self._turns:
            turned = np.ascontiguousarray(np.rot90(picture, turn))
            found += [turned_back(f, turn, picture.shape) for f in self._seen(turned, 1.0)]
        return rows_of(_joined(found))

    def _seen(self, picture: Array, scale: float) -> list[Detection]:
        from edgesdk.boxes import scaled
        from edgesdk.detect import shrunk

        longest = max(picture.shape[:2])
        side = round(min(longest * scale, max(MOST_PX, longest)))
        if scale != 1 and side < LEAST_PX:
            return []
        return [scaled(face, longest / side) for face in self._net.look(shrunk(picture, side))]


def _joined(found: Sequence[Detection]) -> list[Detection]:
    from edgesdk.boxes import covers

    kept: list[Detection] = []
    for face in sorted(found, key=lambda face: -face.score):
        if not any(covers(old, face) for old in kept):
            kept.append(face)
    return kept


def rows_of(faces: Sequence[Detection]) -> Array:
    """Return detections as float32 [K, ROW]."""
    told = [[*face.box, face.score, *np.asarray(face.points).ravel()] for face in faces]
    return np.array(told, np.float32).reshape(-1, ROW)


def find_all(
    teacher: Any, pictures: Any, cache: Path, progress: Callable[[int, int, str], None]
) -> list[Array]:
    """Return what `teacher` finds in each picture, float32 [K, ROW]; cached on disk.

    Args:
        teacher: A callable with `name` and `sha256`, from a picture to rows.
        pictures: A sequence of HxWx3 uint8 RGB pictures.
        cache: Folder; the file's name holds the hash of the teacher and of the pictures.
        progress: Called with (done, total, label).

    Returns:
        A list of arrays. A killed run goes on where the cache ends.
    """
    digest = sha256_bytes((teacher.sha256 + fingerprint(pictures)).encode())[:16]
    path = cache / f"{teacher.name}-{digest}.npz"
    found = _kept(path, len(pictures))
    written, known = time.monotonic(), len(found)
    for index in range(len(found), len(pictures)):
        found.append(teacher(pictures[index]))
        if time.monotonic() - written > SAVE_EVERY_S:
            _write(path, found)
            progress(index + 1, len(pictures), "teacher")
            written = time.monotonic()
    if known < len(found):
        _write(path, found)
    return found


def _write(path: Path, found: Sequence[Array]) -> None:
    stream = io.BytesIO()
    counts = np.array([len(rows) for rows in found], np.int64)
    np.savez(stream, counts=counts, rows=np.concatenate([*found, np.empty((0, ROW))]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, stream.getvalue())


def _kept(path: Path, most: int) -> list[Array]:
    """Return what an earlier run left; nothing of a damaged file."""
    from edgesdk.core.arrays import read_npz

    try:
        arrays = read_npz(path)
        counts, rows = arrays["counts"], arrays["rows"].astype(np.float32)
    except (OSError, ValueError, KeyError):
        return []
    if len(counts) > most or rows.shape != (int(counts.sum()), ROW):
        return []
    return np.split(rows, np.cumsum(counts)[:-1]) if len(counts) else []
