"""Photos and aligned faces with what the teacher finds in them, and the photos held out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array
from edgesdk_training.data import parts_of
from edgesdk_training.found_faces import ROW, FaceTeacher, find_all
from edgesdk_training.scenes import SCORE, Odds, Scenes, Shown

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext

HELD_OUT = 6  # every sixth photo; of a video all frames or none
FRAME_DIGITS = 6  # names of frames have so many at most; photos are numbered with more
# An aligned face is looked at with so much of its edge repeated around it, in parts of its side.
MARGIN = 0.5
COVER = 64  # side of occluders in pixels
LEAST_CROP = 0.6  # score of the teacher
LEAST_MISTAKE = 0.25  # score of the student
SURE = 0.8  # score of the teacher from which a face must be found


@dataclass(frozen=True, slots=True)
class PhotoData:
    """What a detector learns from and is judged on.

    Attributes:
        photos: To learn from.
        held: To judge on.
        crops: Aligned faces.
        layers: Occluders uint8 [K, S, S, 4].
        name: Of the sets.
        teacher: Name and hash.
    """

    photos: Sequence[Shown]
    held: Sequence[Shown]
    crops: Sequence[Shown]
    layers: Array
    name: str
    teacher: dict[str, str]

    @property
    def faces(self) -> int:
        """Faces that the teacher finds in the photos to learn from."""
        return sum(len(photo.faces) for photo in self.photos)

    def scenes(self, odds: Odds, mistakes: Sequence[tuple[Shown, Array]] = ()) -> Scenes:
        """Return what draws tiles, some of them around mistakes."""
        return Scenes(self.photos, self.crops, self.layers, odds, mistakes)


def read_photos(context: RunContext, settings: Any) -> PhotoData:
    """Return all data, read and looked at by the teacher.

    Args:
        context: Gives the roles `images` (photos), `public` (aligned faces) and `masks`
            (templates of masks; may be absent), and keeps the teacher's answers.
        settings: With `crops`, `occluders` and `unseen`.

    Raises:
        UsageError: there are too few photos to hold some out.
    """
    from edgesdk_training.occluders import draw_bank, read_templates

    images, teacher = context.data("images"), FaceTeacher()
    parts: tuple[list[Shown], list[Shown]] = ([], [])
    for part in parts_of(images):
        found = find_all(teacher, part, context.folder.parent / "cache", context.progress)
        for index, faces in enumerate(found):
            group = group_of(part.names[index])
            parts[is_held_out(group)].append(Shown(part[index], faces, f"{part.name} {group}"))
    if not parts[0] or not parts[1]:
        raise UsageError(
            f"{images.name} has {len(parts[0]) + len(parts[1])} photos; some are needed to learn "
            "from and some to hold out; give more"
        )
    every = [t for path in context.paths("masks") for t in read_templates(path)]
    templates = [t for t in every if t.kind != settings.unseen]
    count, layers = settings.occluders, np.empty((0, COVER, COVER, 4), np.uint8)
    bank = draw_bank(templates, COVER, count, context.seed) if count else None
    return PhotoData(
        photos=parts[0],
        held=parts[1],
        crops=_crops(context, settings.crops),
        layers=layers if bank is None else bank.layers.permute(0, 2, 3, 1).numpy(),
        name=" + ".join(p.name for p in (images, context.data("public"))),
        teacher={"name": teacher.name, "sha256": teacher.sha256},
    )


def group_of(name: str) -> str:
    """Return what tells the group of a picture by its name: numbered frames are of one video."""
    path = PurePosixPath(name)
    frame = path.stem.isdigit() and len(path.stem) <= FRAME_DIGITS
    return path.parent.as_posix() if frame else path.stem


def is_held_out(group: str) -> bool:
    """Tell whether the photos of a group are kept to judge on."""
    return zlib.crc32(group.encode()) % HELD_OUT == 0


class _Padded:
    """Aligned faces of a set, at most so many, with their edges repeated around them."""

    def __init__(self, faces: Any, most: int) -> None:
        self._faces, self._step = faces, max(1, -(-len(faces) // most))
        self.content = f"{faces.content} {self._step} {MARGIN}"

    def __len__(self) -> int:
        return -(-len(self._faces) // self._step)

    def bare(self, index: int) -> Array:
        return np.asarray(self._faces[index * self._step])

    def __getitem__(self, index: int) -> Array:
        return padded(self.bare(index))


def padded(face: Array) -> Array:
    """Return an aligned face with its edges repeated around it, as a detector may look at it."""
    margin = round(len(face) * MARGIN)
    return np.pad(face, ((margin, margin), (margin, margin), (0, 0)), mode="edge")


def aligned(face: Array, found: Array) -> Shown | None:
    """Return an aligned face with its place; None where no sure face was found in it.

    Args:
        face: uint8 [S, S, 3].
        found: What the teacher finds in `padded(face)`, [K, ROW].
    """
    if not len(found) or found[0, SCORE] < LEAST_CROP:
        return None
    row = found[:1].copy()
    row[:, [0, 1, *range(SCORE + 1, ROW)]] -= round(len(face) * MARGIN)
    return Shown(face, row)


def _crops(context: RunContext, most: int) -> list[Shown]:
    """Return the aligned faces in which the teacher finds one face."""
    if not most:
        return []
    data = context.data("public")
    crops: list[Shown | None] = []
    teacher = FaceTeacher(scales=(1.0,), turns=())
    for part in parts_of(data):
        faces = _Padded(part, most)
        found = find_all(teacher, faces, context.folder.parent / "cache", context.progress)
        crops += [aligned(faces.bare(index), seen) for index, seen in enumerate(found)]
    return [crop for crop in crops if crop is not None]


def judged(model: Any, told: Mapping[str, Any], data: PhotoData) -> dict[str, Any]:
    """Return how well the folded network finds, in one look, what the teacher is sure of.

    Args:
        model: The network on the CPU, in eval mode.
        told: Its post-processing.
        data: With the photos held out.
    """
    from edgesdk.tasks._face_sets import agree, average_precision

    photos, sure, hits, false = [], 0, 0, 0
    for photo in data.held:
        found = seen_once(model, photo.picture, told["overlap"])
        faces = photo.faces[photo.faces[:, SCORE] >= SURE]
        unsure = photo.faces[photo.faces[:, SCORE] < SURE]
        rows = np.delete(faces, SCORE, 1)
        # What the teacher half believes in is neither right nor wrong.
        doubtful = agree(found, np.delete(unsure, SCORE, 1), 0.3)
        kept = [f for f, k in zip(found, doubtful.face, strict=True) if k < 0]
        one = agree(kept, rows)
        photos.append(one)
        counts = one.scores >= told["score"]
        sure, hits = sure + len(rows), hits + int((one.right & counts).sum())
        false += int((~one.right & counts).sum())
    return {
        "holdout_ap": average_precision(photos),
        "holdout_recall": hits / max(sure, 1),
        "holdout_false_finds": false / len(data.held),
        "holdout_faces": sure,
        "holdout_pictures": len(data.held),
    }


def mistakes(model: Any, overlap: float, photos: Sequence[Shown]) -> list[tuple[Shown, Array]]:
    """Return the photos in which a network sees a face where the teacher sees none.

    Args:
        model: A folded network on the CPU, in eval mode.
        overlap: Above which two finds are one.
        photos: With all that the teacher finds, sure or not.

    Returns:
        Such photos, each with the boxes [K, 4] that are no faces, x, y, width, height.
    """
    from edgesdk.tasks._face_sets import agree

    found = []
    for photo in photos:
        seen = seen_once(model, photo.picture, overlap, LEAST_MISTAKE)
        known = agree(seen, np.delete(photo.faces, SCORE, 1), 0.3).face
        boxes = [f.box for f, k in zip(seen, known, strict=True) if k < 0]
        if boxes:
            found.append((photo, np.array(boxes, np.float32)))
    return found


def seen_once(model: Any, picture: Array, overlap: float, least: float = 0.05) -> list[Any]:
    """Return what a network finds in a picture at its own size, surest first."""
    import torch

    from edgesdk.boxes import STRIDES, decode, suppress
    from edgesdk_training.clue_data import as_input

    coarsest = STRIDES[-1]
    height, width = (-(-n // coarsest) * coarsest for n in picture.shape[:2])
    whole = np.zeros((1, height, width, 3), np.uint8)
    whole[0, : picture.shape[0], : picture.shape[1]] = picture
    with torch.inference_mode():
        maps = model(as_input(whole))
    names = [f"{head}_{stride}" for stride in STRIDES for head in ("score", "box", "points")]
    found = decode({n: m.numpy() for n, m in zip(names, maps, strict=True)}, 0, least)
    return [found[i] for i in suppress(found, overlap)]
