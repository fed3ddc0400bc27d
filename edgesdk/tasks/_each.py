"""What `run` does with each of its pictures; a damaged one is named and stops nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgesdk.core.errors import UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.tensors import Array
from edgesdk.images import read_image
from edgesdk.tasks._classes import picture_files

Row = TypeVar("Row")


def each_picture(
    job: RunJob, see: Callable[[Path, Array], Row]
) -> tuple[list[Row], list[dict[str, str]]]:
    """Return what `see` gives of every picture, and the skipped ones with the reason.

    Args:
        job: Names the pictures, and folders of them.
        see: (file, uint8 RGB [H, W, 3]) -> row; its UsageError skips the picture.

    Raises:
        UsageError: no picture is left.
    """
    files = picture_files(job.files)
    rows: list[Row] = []
    skipped: list[dict[str, str]] = []
    for number, path in enumerate(files, 1):
        try:
            rows.append(see(path, read_image(path)))
        except UsageError as error:
            skipped.append({"picture": str(path), "why": str(error)})
        if job.progress is not None:
            job.progress(number, len(files), "pictures")
    if not rows:
        why = f" ({skipped[0]['why']})" if skipped else ""
        raise UsageError(f"no picture can be read{why}; give pictures or folders of them")
    return rows, skipped
