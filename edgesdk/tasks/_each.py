"""What `run` does with each of its pictures; a damaged one is named and stops nothing."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.tensors import Array
from edgesdk.images import read_image
from edgesdk.tasks._classes import picture_files
from edgesdk.videos import frames, is_video

Row = TypeVar("Row")


def each_picture(
    job: RunJob,
    see: Callable[[Path, Array], Row],
    every_s: float | None = None,
    without: Collection[Path] = (),
) -> tuple[list[Row], list[dict[str, str]]]:
    """Return what `see` gives of every picture, and the skipped ones with the reason.

    Args:
        job: Names the pictures, and folders of them.
        see: (file, uint8 RGB [H, W, 3]) -> row; its UsageError skips the picture. A picture of a
            video is called as film.mp4@12.0s.
        every_s: Seconds between the pictures of a video; None where videos are no pictures.
        without: Pictures of a folder that are passed over: what edgesdk wrote there itself.

    Raises:
        UsageError: no picture is left.
    """
    files = picture_files(job.files, with_films=every_s is not None)
    own = {path.resolve() for path in without}
    files = [path for path in files if path in job.files or not own or path.resolve() not in own]
    rows: list[Row] = []
    skipped: list[dict[str, str]] = []
    for number, path in enumerate(files, 1):
        try:
            for name, picture in _opened(path, every_s):
                rows.append(see(name, picture))
        except (UsageError, MissingDependencyError) as error:
            skipped.append({"picture": str(path), "why": str(error)})
        if job.progress is not None:
            job.progress(number, len(files), "pictures")
    if not rows:
        why = f" ({skipped[0]['why']})" if skipped else ""
        raise UsageError(f"no picture can be read{why}; give pictures or folders of them")
    return rows, skipped


def _opened(path: Path, every_s: float | None) -> Iterator[tuple[Path, Array]]:
    """Yield the name and the pixels of a picture, or of each picture of a video."""
    if every_s is None or not is_video(path):
        yield path, read_image(path)
        return
    for at, picture in frames(path, every_s):
        yield path.with_name(f"{path.name}@{at:.1f}s"), picture
