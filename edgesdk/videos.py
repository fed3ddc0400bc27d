"""Pictures out of videos, one after the other, as PyAV reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.tensors import Array
from edgesdk.images import MAX_PIXELS
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.kinds import HEAD, is_picture

EVERY_S = 1.0
# MP4 and QuickTime, Matroska and WebM, AVI, MPEG; pictures have been told apart before.
_FILM = re.compile(
    rb"....(ftyp|moov|mdat|wide|skip)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xb3\xba]", re.S
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
    try:
        import av
    except ImportError:
        raise MissingDependencyError(f"reading the video {path}", ["av"], "video") from None
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise UsageError(f"{path} holds no pictures, only sound; give a video")
            yield from _every(path, film, every_s)
    except av.FFmpegError as error:
        raise UsageError(f"{path} is a damaged video ({error.strerror}); save it again") from None


def _every(path: Path, film: Any, every_s: float) -> Iterator[tuple[float, Array]]:
    wanted = 0.0
    for number, frame in enumerate(film.decode(video=0)):
        rate = film.streams.video[0].average_rate or 25
        at = number / float(rate) if frame.time is None else float(frame.time)
        if at + 1e-6 < wanted:
            continue
        if frame.width * frame.height > MAX_PIXELS:
            raise UsageError(
                f"{path} has pictures of {frame.width}x{frame.height}; shrink it first"
            )
        wanted = at + every_s
        picture = frame.to_ndarray(format="rgb24")
        yield at, np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))
