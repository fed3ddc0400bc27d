"""Frames of a folder, a video or a camera, and a video of them with boxes drawn."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk import videos
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UsageError
from edgesdk.core.notes import note
from edgesdk.core.tensors import Array
from edgesdk.images import SUFFIXES, read_image
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.names import shown

RATE = 25  # frames per second of what is written
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

    Pictures come in the order of their names, 2 before 10, those of a video as they run.

    Raises:
        UsageError: there is nothing to read.
        MissingDependencyError: a video needs PyAV, which is not installed.
    """
    if not places:
        raise UsageError("no frames were given; give a folder of frames or a video")
    if len(places) > 1 or _is_picture(places[0]):
        _check_pictures(places)
        return (_read(path.name, path) for path in places), len(places)
    if videos.is_video(places[0]):
        return _numbered(videos.whole_film(places[0])), 0
    source = _pictures(places[0])
    if not source.names:
        raise UsageError(f"{places[0]} holds no picture; give a folder of frames or a video")
    folders = {name.rpartition("/")[0] for name in source.names}
    if len(folders) > 1:
        note(
            f"{places[0]} holds frames in {len(folders)} folders, which are followed one after "
            "the other; give one of them to follow it alone"
        )
    return (_listed(source, name) for name in sorted(source.names, key=_counted)), len(source)


def _check_pictures(places: Sequence[Path]) -> None:
    """Raise UsageError where several places are not all pictures."""
    for place in places:
        if place.is_dir() or videos.is_video(place):
            raise UsageError(
                f"{len(places)} places were given, and {place} is no picture; give one folder, one "
                "video, or several pictures"
            )


def _pictures(place: Path) -> Pictures:
    """Return the folder or archive; what it is not is told as frames are meant."""
    try:
        return Pictures(place)
    except UsageError:
        what = "is neither a video nor a folder or archive of pictures"
        raise UsageError(
            f"{place} {what if place.exists() else 'does not exist'}; "
            "give a folder of frames or a video"
        ) from None


def _counted(name: str) -> list[tuple[int, str]]:
    """Return a key that orders the numbers in names as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _listed(source: Pictures, name: str) -> Frame:
    try:
        return Frame(name, source.read(name))
    except UsageError as error:
        why = str(error).removeprefix(f"{source.path}: {shown(name)}: ")
        return Frame(name, None, re.sub("^the picture ", "it ", why))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _read(name: str, path: Path) -> Frame:
    try:
        return Frame(name, read_image(path))
    except UsageError as error:
        return Frame(name, None, str(error))


def camera(number: int) -> Iterator[Frame]:
    """Yield the frames of a camera until it stops.

    Raises:
        MissingDependencyError: OpenCV is not installed.
        UsageError: it finds no such camera.
    """
    try:
        import cv2
    except ImportError:
        raise MissingDependencyError(f"camera {number}", ["cv2"], "video") from None
    # What OpenCV tries in vain is no news; the message below is.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    capture = None if number < 0 else cv2.VideoCapture(number)  # -1 is OpenCV's "any", and kills
    if capture is None or not capture.isOpened():
        raise UsageError(
            f"OpenCV finds no camera {number} here; give a folder of frames or a video"
        )
    return _numbered(_captured(capture))


def _captured(capture: Any) -> Iterator[Array]:
    try:
        while (answer := capture.read())[0]:
            yield np.ascontiguousarray(answer[1][..., ::-1])
    finally:
        capture.release()


def _numbered(pictures: Iterable[Array | None]) -> Iterator[Frame]:
    for number, picture in enumerate(pictures, 1):
        yield Frame(f"{number:06d}", picture, "it is damaged" if picture is None else "")


def rate_of(places: Sequence[Path]) -> Fraction:
    """Return how many frames per second a video shows, RATE for what is none."""
    if len(places) != 1 or not videos.is_video(places[0]):
        return Fraction(RATE)
    return videos.rate(places[0]) or Fraction(RATE)


class VideoWriter:
    """Writes frames with their boxes; a context manager that keeps the file only if all is well.

    Args:
        path: Ends in .mp4 or .avi.
        rate: Frames per second.

    Raises:
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(self, path: Path, rate: Fraction = Fraction(RATE)) -> None:
        try:
            import av
        except ImportError:
            raise MissingDependencyError(f"writing the video {path}", ["av"], "video") from None
        self._av, self._path, self._rate = av, path, rate
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        self._film: Any = None

    def __enter__(self) -> "VideoWriter":
        return self

    def add(self, picture: Array, box: Sequence[float], lost: bool) -> None:
        """Append a frame.

        Raises:
            EdgeSdkError: the file cannot be written.
        """
        height, width = (n - n % 2 for n in picture.shape[:2])  # what colour of half a size needs
        try:
            if self._film is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._film = self._av.open(str(self._part), "w")
                self._stream = self._film.add_stream("mpeg4", rate=self._rate)
                self._stream.width, self._stream.height = width, height
                self._stream.pix_fmt, self._stream.bit_rate = "yuv420p", 4_000_000
            shown = np.zeros((self._stream.height, self._stream.width, 3), np.uint8)
            part = boxed(picture, box, lost)[: shown.shape[0], : shown.shape[1]]
            shown[: len(part), : part.shape[1]] = part  # a frame of another size is cut or padded
            frame = self._av.VideoFrame.from_ndarray(shown, format="rgb24")
            self._film.mux(self._stream.encode(frame))
        except (self._av.FFmpegError, OSError) as error:
            raise EdgeSdkError(f"{self._path} cannot be written ({error})") from None

    def __exit__(self, kind: Any, *_: object) -> None:
        if self._film is not None:
            if kind is None:
                self._film.mux(self._stream.encode(None))
            self._film.close()
            if kind is None:
                self._part.replace(self._path)
        self._part.unlink(missing_ok=True)


def boxed(picture: Array, box: Sequence[float], lost: bool) -> Array:
    """Return a copy with the frame of a box two pixels wide, grey where the target is lost."""
    drawn = picture.copy()
    height, width = picture.shape[:2]
    left, top = (
        int(np.clip(round(v), 0, n - 1)) for v, n in zip(box, (width, height), strict=False)
    )
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
