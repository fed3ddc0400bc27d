"""Labelled sequences as the public tracking sets keep them, and how trackers are measured.

A sequence is a folder with a list of boxes: OTB (`groundtruth_rect.txt`, `img/`), LaSOT
(`groundtruth.txt`, `nlp.txt`, `full_occlusion.txt`, `out_of_view.txt`), GOT-10k
(`absence.label`), TNL2K (`language.txt`, `imgs/`), VL-SOT (`language.txt`, `absent.txt`,
`attributes.txt`); or an entry of a `sequences.json` beside folders of frames. One reader takes
what it finds, in a folder, tar or zip archive.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures

INDEX = "sequences.json"
TRUTHS = ("groundtruth_rect.txt", "groundtruth.txt")
SENTENCES = ("nlp.txt", "language.txt")
ABSENT = ("absent.txt", "absence.label", "full_occlusion.txt", "out_of_view.txt")
FRAMES = ("img", "imgs", "frames", ".")
THRESHOLDS = np.linspace(0, 1, 21)  # of overlap, as OTB's success plot
NEAR = 20.0  # pixels, of OTB's precision
NEAR_SIZES = 0.2  # of the box's sides, of the normalised precision
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan", re.IGNORECASE)


@dataclass(frozen=True)
class Track:
    """A labelled sequence.

    Attributes:
        name: Its folder.
        source: The set it lies in.
        frames: Names of its pictures, in order.
        boxes: float [frames, 4] of x, y, width, height; NaN where the target is absent or
            nobody labelled it.
        text: The sentence, "" for none.
        attributes: What the set says of it.
    """

    name: str
    source: Pictures
    frames: tuple[str, ...]
    boxes: Array
    text: str = ""
    attributes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, index: int) -> Array:
        """Return frame `index`, HxWx3 uint8 RGB."""
        return self.source.read(self.frames[index])


@dataclass(frozen=True)
class Tracks:
    """A set of labelled sequences.

    Attributes:
        source: Folder or archive.
        tracks: The sequences, by name.
    """

    source: Pictures
    tracks: tuple[Track, ...]
    counted: str = field(default="sequences")

    @property
    def name(self) -> str:
        """Name of the folder or archive."""
        return self.source.path.stem

    @property
    def sha256(self) -> str:
        """Hash over boxes, sentences and the content of all frames."""
        told = [[t.name, t.text, np.nan_to_num(t.boxes, nan=-1).tolist()] for t in self.tracks]
        return sha256_bytes(canonical([told, sorted(self.hashes())]))

    def __len__(self) -> int:
        return len(self.tracks)

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every frame's file."""
        return {sha256_bytes(self.source.bytes(n)) for t in self.tracks for n in t.frames}


def read_tracks(place: Path | str) -> Tracks:
    """Read the sequences of a folder or archive.

    Raises:
        UsageError: it holds none, or a list cannot be read.
    """
    source = Pictures(Path(place))
    indexed = [n for n in source.files if PurePosixPath(n).name == INDEX]
    if indexed:
        found = [t for name in sorted(indexed) for t in _from_index(source, name)]
    else:
        lists = [n for n in source.files if PurePosixPath(n).name in TRUTHS]
        found = [_from_folder(source, PurePosixPath(n)) for n in sorted(lists)]
    tracks = tuple(t for t in found if len(t) > 1 and np.isfinite(t.boxes[0]).all())
    if not tracks:
        raise UsageError(
            f"{place} holds no labelled sequence: expected folders with {' or '.join(TRUTHS)} and "
            f"frames in {', '.join(FRAMES[:2])} or beside it, or a {INDEX}"
        )
    return Tracks(source, tracks)


def _from_index(source: Pictures, name: str) -> list[Track]:
    try:
        told = json.loads(source.bytes(name))
        base = PurePosixPath(name).parent
        return [_indexed(source, base, key, entry) for key, entry in sorted(told.items())]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{source.path}: {name} is no index of sequences ({error}); expected "
            '{NAME: {"boxes_xywh": [[x, y, w, h], ...], "description": "..."}}'
        ) from None


def _indexed(source: Pictures, base: PurePosixPath, key: str, entry: Mapping[str, Any]) -> Track:
    boxes = np.array(entry["boxes_xywh"], float).reshape(-1, 4)
    frames = _frames(source, base / key)
    attributes = tuple(map(str, entry.get("attributes", ())))
    return _track(key, source, frames, boxes, str(entry.get("description", "")), attributes)


def _from_folder(source: Pictures, listed: PurePosixPath) -> Track:
    folder = listed.parent
    rows = _numbers(source, listed, 4)
    if rows is None:
        raise UsageError(f"{source.path}: {listed} holds no rows of x, y, width, height")
    for name in ABSENT:
        flags = _numbers(source, folder / name, 1)
        if flags is not None and len(flags) == len(rows):
            rows[flags[:, 0] > 0] = np.nan
    text = next(filter(None, (_text(source, folder / name) for name in SENTENCES)), "")
    told = tuple(_text(source, folder / "attributes.txt").replace(",", " ").split())
    return _track(folder.name, source, _frames(source, folder), rows, text, told)


def _track(
    name: str, source: Pictures, frames: Sequence[str], boxes: Array, text: str, told: Sequence[str]
) -> Track:
    count = min(len(frames), len(boxes))
    rows = boxes[:count].copy()
    rows[~(rows[:, 2:] > 0).all(1)] = np.nan
    return Track(name, source, tuple(frames[:count]), rows, " ".join(text.split()), tuple(told))


def _frames(source: Pictures, folder: PurePosixPath) -> list[str]:
    for inside in FRAMES:
        place = (folder / inside).as_posix()
        found = [n for n in source.names if PurePosixPath(n).parent.as_posix() == place]
        if found:
            return sorted(found, key=_by_number)
    return []


def _by_number(name: str) -> tuple[int, str]:
    digits = re.findall(r"\d+", PurePosixPath(name).stem)
    return (int(digits[-1]) if digits else -1, name)


def _text(source: Pictures, name: PurePosixPath) -> str:
    if name.as_posix() not in source:
        return ""
    return source.bytes(name.as_posix()).decode("utf-8", "replace").strip()


def _numbers(source: Pictures, name: PurePosixPath, columns: int) -> Array | None:
    """Return the numbers of a list [rows, columns], None where there is none."""
    found = [float(n) for n in NUMBER.findall(_text(source, name))]
    if not found or len(found) % columns:
        return None
    return np.array(found).reshape(-1, columns)


def overlaps(found: Array, truth: Array) -> Array:
    """Return the intersection over union of boxes [N, 4] row by row, [N]."""
    low = np.maximum(found[:, :2], truth[:, :2])
    high = np.minimum(found[:, :2] + found[:, 2:], truth[:, :2] + truth[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    whole = np.prod(found[:, 2:], 1) + np.prod(truth[:, 2:], 1) - shared
    ratio: Array = shared / np.maximum(whole, 1e-9)
    return ratio


def success_curve(found: Array, truth: Array) -> Array:
    """Return the share of frames whose overlap lies above each of THRESHOLDS [21].

    The first frame, whose box was given, counts as in OTB; frames without truth do not.
    """
    known = np.isfinite(truth).all(1)
    shares = overlaps(found[known], truth[known])[:, None] > THRESHOLDS
    curve: Array = shares.mean(0)
    return curve


def measures(found: Array, truth: Array) -> dict[str, float]:
    """Return AUC, precision at 20 px and the normalised precision of one sequence.

    Args:
        found: Boxes [N, 4].
        truth: Boxes [N, 4], NaN where there are none.
    """
    known = np.isfinite(truth).all(1)
    away = (found + found[:, [2, 3, 2, 3]] / 2 - truth - truth[:, [2, 3, 2, 3]] / 2)[known, :2]
    relative = np.linalg.norm(away / truth[known, 2:], axis=1)
    return {
        "auc": float(success_curve(found, truth).mean()),
        "precision": float((np.linalg.norm(away, axis=1) <= NEAR).mean()),
        "normalised_precision": float((relative <= NEAR_SIZES).mean()),
    }
