"""Frames of a folder, a video or a camera, and a video of them with boxes drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UsageError
from edgesdk.core.tensors import Array
from edgesdk.images import read_image
from edgesdk.picture_sets import Pictures

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
RATE = 25.0  # frames per second where nothing tells
COLOUR, GREY = (0, 220, 90), (150, 150, 150)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame.

    Attributes:
        name: Its file's name, or its number in a video.
        picture: HxWx3 uint8 RGB, None where it cannot be read.
        why: Why it cannot.
    """

    name: str
    picture: Array | None
    why: str = ""


def frames_of(places: Sequence[Path]) -> tuple[Iterator[Frame], int]:
    """Return the frames of one folder or archive, several pictures, or a video, and how many.

    Pictures come in the order of their names, those of a video as they run.

    Raises:
        UsageError: there is nothing to read.
        MissingDependencyError: a video needs OpenCV, which is not installed.
    """
    if len(places) == 1 and places[0].suffix.lower() in VIDEOS:
        return _video(places[0])
    if len(places) == 1 and not _is_picture(places[0]):
        source = Pictures(places[0])
        if not source.names:
            raise UsageError(f"{places[0]} holds no picture; give a folder of frames or a video")
        return (_read(name, source.bytes(name)) for name in source.names), len(source.names)
    if not places:
        raise UsageError("no frames were given; give a folder of frames or a video")
    return (_read(path.name, path) for path in places), len(places)


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (".tar", ".zip", ".gz", ".xz", ".bz2")


def _read(name: str, source: Path | bytes) -> Frame:
    try:
        return Frame(name, read_image(source))
    except UsageError as error:
        return Frame(name, None, str(error))


def open_cv() -> Any:
    """Return OpenCV.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise MissingDependencyError("videos and cameras", ["cv2"], "video") from None
    return cv2


def _video(path: Path) -> tuple[Iterator[Frame], int]:
    cv2 = open_cv()
    if not path.is_file():
        raise UsageError(f"video {path} does not exist; check the path")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise UsageError(f"{path} is no video that OpenCV can read; give frames as pictures")
    return _captured(capture), max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)


def camera(number: int) -> Iterator[Frame]:
    """Yield the frames of a camera until it stops.

    Raises:
        UsageError: OpenCV finds no such camera.
    """
    capture = open_cv().VideoCapture(number)
    if not capture.isOpened():
        raise UsageError(f"OpenCV finds no camera {number} here; give a folder of frames or a video")
    return _captured(capture)


def _captured(capture: Any) -> Iterator[Frame]:
    number = 0
    try:
        while True:
            there, picture = capture.read()
            if not there:
                return
            number += 1
            yield Frame(f"{number:06d}", np.ascontiguousarray(picture[..., ::-1]))
    finally:
        capture.release()


class VideoWriter:
    """Writes frames with their boxes; a context manager that keeps the file only if all is well.

    Args:
        path: Ends in .mp4 or .avi.
        rate: Frames per second.
    """

    def __init__(self, path: Path, rate: float = RATE) -> None:
        self._cv2, self._path, self._rate = open_cv(), path, rate
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        self._writer: Any = None

    def __enter__(self) -> "VideoWriter":
        return self

    def add(self, picture: Array, box: Sequence[float], lost: bool) -> None:
        """Append a frame.

        Raises:
            EdgeSdkError: the file cannot be written.
        """
        height, width = picture.shape[:2]
        if self._writer is None:
            code = self._cv2.VideoWriter_fourcc(*("mp4v" if self._path.suffix == ".mp4" else "MJPG"))
            self._writer = self._cv2.VideoWriter(str(self._part), code, self._rate, (width, height))
            if not self._writer.isOpened():
                raise EdgeSdkError(f"{self._path} cannot be written; check folder and rights")
        self._writer.write(np.ascontiguousarray(boxed(picture, box, lost)[..., ::-1]))

    def __exit__(self, kind: Any, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
            if kind is None:
                self._part.replace(self._path)
        self._part.unlink(missing_ok=True)


def boxed(picture: Array, box: Sequence[float], lost: bool) -> Array:
    """Return a copy with the frame of a box two pixels wide, grey where the target is lost."""
    drawn = picture.copy()
    height, width = picture.shape[:2]
    left, top = (int(np.clip(round(v), 0, n - 1)) for v, n in zip(box, (width, height), strict=False))
    right = int(np.clip(round(box[0] + box[2]), left + 1, width))
    bottom = int(np.clip(round(box[1] + box[3]), top + 1, height))
    colour = GREY if lost else COLOUR
    for rows, columns in (
        (slice(top, top + 2), slice(left, right)),
        (slice(max(bottom - 2, 0), bottom), slice(left, right)),
        (slice(top, bottom), slice(left, left + 2)),
        (slice(top, bottom), slice(max(right - 2, 0), right)),
    ):
        drawn[rows, columns] = colour
    return drawn
