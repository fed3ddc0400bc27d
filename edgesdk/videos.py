"""Pictures out of videos, one after the other, as PyAV reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.tensors import Array
from edgesdk.images import MAX_PIXELS
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.kinds import is_picture

EVERY_S = 1.0
RATES = (1, 240)  # frames per second that a video of ours may have
HEAD = 256  # bytes that tell what a film is: the first two packets of a transport stream
# MP4 and QuickTime, Matroska and WebM, AVI, MPEG and its transport streams, Flash, Windows Media,
# Ogg; pictures have been told apart before.
_FILM = re.compile(
    rb"....(ftyp|moov|mdat|wide|skip)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xb3\xba]"
    rb"|G.{187}G|.{4}G.{191}G|FLV\x01|0&\xb2u\x8ef\xcf\x11|OggS",
    re.S,
)


def is_video(path: Path) -> bool:
    """Tell whether a file is a video by its first bytes; its name may say anything."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return False
    return not is_picture(head) and _FILM.match(head) is not None


def films(inside: Pictures) -> list[str]:
    """Return the names of a folder's videos."""
    return [s.name for s in inside.skipped if s.name in inside and is_video(inside.file(s.name))]


def frames(path: Path, every_s: float = EVERY_S) -> Iterator[tuple[float, Array]]:
    """Yield the time in seconds and the picture, HxWx3 uint8 RGB, of a video every so often.

    One picture is in memory at a time, turned upright as the video says.

    Args:
        path: The video.
        every_s: Seconds between pictures; 0 for all.

    Raises:
        MissingDependencyError: PyAV is not installed.
        UsageError: it is no video, or damaged; what came before the damage has been given.
    """
    with _opened(path) as film:
        yield from _every(path, film, every_s)


def rate(path: Path) -> Fraction | None:
    """Return how many frames per second a video shows on the mean, None where it does not tell.

    Raises:
        MissingDependencyError: PyAV is not installed.
        UsageError: it is no video.
    """
    with _opened(path) as film:
        told = film.streams.video[0].average_rate
    # What is written counts time in whole parts of a second, below 65,536 of them.
    if not told:
        return None
    low, high = RATES
    return min(max(Fraction(told).limit_denominator(1001), Fraction(low)), Fraction(high))


def whole_film(path: Path) -> Iterator[Array | None]:
    """Yield each picture of a video, None in place of each that is damaged.

    Raises:
        MissingDependencyError: PyAV is not installed.
        UsageError: it is no video, or nothing of it can be read.
    """
    with _opened(path) as film:
        from av import FFmpegError

        for packet in film.demux(video=0):
            try:
                decoded = packet.decode()
            except FFmpegError:
                yield None
                continue
            for frame in decoded:
                yield _upright(path, frame)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video; what goes wrong inside is told in a sentence."""
    try:
        import av
    except ImportError:
        raise MissingDependencyError(f"reading the video {path}", ["av"], "video") from None
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise UsageError(f"{path} holds no pictures, only sound; give a video")
            yield film
    except av.FFmpegError as error:
        raise UsageError(f"{path} is a damaged video ({error.strerror}); save it again") from None


def _every(path: Path, film: Any, every_s: float) -> Iterator[tuple[float, Array]]:
    wanted = 0.0
    for number, frame in enumerate(film.decode(video=0)):
        rate = film.streams.video[0].average_rate or 25
        at = number / float(rate) if frame.time is None else float(frame.time)
        if at + 1e-6 < wanted:
            continue
        wanted = at + every_s
        yield at, _upright(path, frame)


def _upright(path: Path, frame: Any) -> Array:
    if frame.width * frame.height > MAX_PIXELS:
        raise UsageError(f"{path} has pictures of {frame.width}x{frame.height}; shrink it first")
    picture = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))
