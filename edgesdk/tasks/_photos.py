"""Photos of faces from the file to the embedding, to be timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import resize
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.tensors import Array
from edgesdk.face import FacePipeline
from edgesdk.tasks._output import write_picture

PHOTOS, WIDE, HIGH = 8, 960, 640
SIDES = (180, 130, 90)  # of the drawn faces of a photo, in pixels


class Photos:
    """Photos that are found, aligned and embedded by one pipeline.

    Args:
        pipeline: What is timed.
        files: Photos.

    Attributes:
        items: Number of faces in all photos.
    """

    def __init__(self, pipeline: FacePipeline, files: Sequence[Path]) -> None:
        self._pipeline, self._files = pipeline, list(files)
        self.items = sum(len(pipeline.cuts(file)) for file in files)
        if not self.items:
            raise UsageError(f"none of the {len(files)} photos shows a face; give others")

    def plain(self) -> Mapping[str, float]:
        """Do one photo after the other; return the nanoseconds of each stage."""
        before = self._pipeline.spent.ns.copy()
        for file in self._files:
            self._pipeline.embed([cut.crop for cut in self._pipeline.cuts(file)])
        spent = self._pipeline.spent.ns - before
        return {"infer" if stage == "embed" else stage: ns for stage, ns in spent.items()}

    def overlapped(self) -> None:
        """Do all photos with the stages at work at once."""
        for _ in self._pipeline.each(self._files):
            pass


@contextmanager
def photos(
    bundle: Bundle, runtime: str, device: str, threads: int, files: Sequence[Path]
) -> Iterator[Photos]:
    """Open the pipeline of a bundle on photos; on drawn ones where there are none."""
    with TemporaryDirectory() as folder, FacePipeline(bundle, runtime, device, threads) as pipeline:
        yield Photos(pipeline, files or _drawn(Path(folder)))


def _drawn(folder: Path) -> list[Path]:
    """Write photos of drawn faces before a smooth ground; nobody is shown."""
    random, files = np.random.default_rng(0), []
    for number in range(PHOTOS):
        file = folder / f"{number:02}.jpg"
        write_picture(file, _photo(number, random))
        files.append(file)
    return files


def _photo(seed: int, random: np.random.Generator) -> Array:
    ground = random.uniform(60, 200, (6, 9, 3)).astype(np.float32)
    photo: Array = resize(ground, (HIGH, WIDE)).round().astype(np.uint8)
    for place, (side, face) in enumerate(zip(SIDES, synthetic_faces(3, seed, 112), strict=True)):
        x, y = 60 + 300 * place, int(random.integers(40, HIGH - 220))
        photo[y : y + side, x : x + side] = resize(face, (side, side)).round()
    return photo
