"""Pictures from the file to the verdict, to be timed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.session import Session
from edgesdk.core.task import info_of
from edgesdk.core.tensors import Array, Arrays
from edgesdk.images import read_image
from edgesdk.tasks._detectors import beside, detector_of
from edgesdk.tasks._inputs import textures
from edgesdk.tasks._output import write_picture

PICTURES, SIDE = 8, 512
FILTER = "SpectrumFilter"  # class of the layers whose share of the time is told
SAID = ["a photo of a dog on a beach"]  # of a picture of which nothing is said


class TimedPictures:
    """Pictures that are read, cut and judged by one session.

    Args:
        session: What is timed.
        files: Pictures; captions.json beside them is heeded.
        threads: Of the CPU.

    Attributes:
        items: Number of pictures.
        filter_share: Part of the network's time that its filter takes, 0 where it tells of none.
    """

    def __init__(self, session: Session, files: Sequence[Path], threads: int) -> None:
        from edgesdk_runtimes._layer_share import layer_share

        self._session, self._files = session, list(files)
        self._detector = detector_of(info_of(session.bundle))
        try:
            captions = self._detector.captions(None, beside(files))
            self._said = {file: captions.of(file) or SAID for file in files}
        except UsageError:  # nothing lies beside them
            self._said = dict.fromkeys(files, SAID)
        self.items = len(self._files)
        self._infer_ns, self._last = 0, dict[str, Array]()
        self._detector.look(self._run, read_image(self._files[0]), self._said[self._files[0]])
        self.filter_share = layer_share(session, self._last, threads, FILTER)

    def _run(self, inputs: Arrays) -> Mapping[str, Array]:
        begun = time.perf_counter_ns()
        found = self._session.run(inputs)
        self._infer_ns += time.perf_counter_ns() - begun
        self._last = dict(inputs)
        return found

    def plain(self) -> Mapping[str, float]:
        """Judge one picture after the other; return the nanoseconds of each stage.

        The filter's are its share of the network's.
        """
        begun, self._infer_ns, decode = time.perf_counter_ns(), 0, 0
        for file in self._files:
            opened = time.perf_counter_ns()
            picture = read_image(file)
            decode += time.perf_counter_ns() - opened
            self._detector.look(self._run, picture, self._said[file])
        whole, network = time.perf_counter_ns() - begun, self._infer_ns
        return {
            "decode": decode,
            "prepare": whole - decode - network,
            "filter": network * self.filter_share,
            "infer": network * (1 - self.filter_share),
        }

    def overlapped(self) -> None:
        """Judge them as `run` does: this task works on one picture after the other."""
        self.plain()


@contextmanager
def timed_pictures(
    bundle: Bundle, runtime: str, device: str, threads: int, files: Sequence[Path]
) -> Iterator[TimedPictures]:
    """Open a bundle on pictures; on drawn ones where there are none."""
    from edgesdk_runtimes._open import open_session

    with (
        TemporaryDirectory() as folder,
        open_session(bundle, runtime, device, threads) as session,
    ):
        yield TimedPictures(session, files or _drawn(Path(folder)), threads)


def _drawn(folder: Path) -> list[Path]:
    """Write pictures of coloured clutter."""
    files = [folder / f"{number:02}.jpg" for number in range(PICTURES)]
    for file, picture in zip(files, textures(PICTURES, 0, SIDE), strict=True):
        write_picture(file, picture)
    return files
