"""The faces of files as people have them: pictures, folders of pictures, and videos among them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.files import sha256_file
from edgesdk.core.notes import note
from edgesdk.images import quiet_pillow, read_image
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.names import some
from edgesdk.seen import Face, Picture
from edgesdk.stream import cores
from edgesdk.videos import EVERY_S, films, frames, is_video

if TYPE_CHECKING:
    from edgesdk.face import FacePipeline

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A picture or a video.

    Attributes:
        path: The file.
        person: Whom it shows, "" where that is not told.
    """

    path: Path
    person: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen in one picture, or in one of a video.

    Attributes:
        source: Where it is from.
        label: The file's path; of a video with the time behind it, as film.mp4@12.0s.
        faces: Its faces.
    """

    source: Source
    label: str
    faces: list[Face]


def sources(paths: Sequence[Path]) -> list[Source]:
    """Return the pictures and videos that were named or lie in folders."""
    return [
        source
        for path in paths
        for source in (_of_folder(path) if path.is_dir() else [Source(path)])
    ]


def _of_folder(path: Path) -> list[Source]:
    inside = Pictures(path)
    note(inside.line())
    names = sorted([*inside.names, *films(inside)])
    return [Source(inside.file(name)) for name in names]


def tell_shared(given: Sequence[Source]) -> None:
    """Note pictures of one content that are told to show several people."""
    shown: dict[str, list[Source]] = {}
    for source in given:
        # What cannot be read is named later, as every such file.
        with suppress(OSError):
            shown.setdefault(sha256_file(source.path), []).append(source)
    for same in shown.values():
        people = sorted({source.person for source in same})
        if len(people) > 1:
            names = some(str(source.path) for source in same)
            note(f"one picture of {len(people)} people, {some(people)}: {names}; remove the wrong")


class Look:
    """Looks at files, and remembers which of them gave no face.

    Args:
        pipeline: Finds and embeds.
        aligned: As in `FacePipeline.face`.
        largest: The largest face of each picture alone.
        every_s: Seconds between the pictures of a video.
        strict: Refuse a picture that cannot be read.

    Attributes:
        skipped: Per file that gave no face: picture, why.
    """

    def __init__(
        self,
        pipeline: FacePipeline,
        aligned: bool | None = None,
        largest: bool = False,
        every_s: float = EVERY_S,
        strict: bool = False,
    ) -> None:
        if every_s < 0:
            raise UsageError(f"every is a number of seconds, 0 for all pictures, found {every_s}")
        self._pipeline, self._aligned, self._largest = pipeline, aligned, largest
        self._every_s, self._strict = every_s, strict
        self.skipped: list[dict[str, str]] = []

    def __call__(
        self, given: Sequence[Source], progress: Progress | None = None
    ) -> Iterator[Looked]:
        """Yield what each picture shows, in order, while the cores work on the next ones.

        Raises:
            UsageError: with `strict`, a picture or video cannot be read; all are named.
        """
        if self._strict:
            _refuse_damaged([source.path for source in given], progress)
        waiting: deque[tuple[Source, str]] = deque()
        seen: Counter[Path] = Counter()

        def opened() -> Iterator[Picture | UsageError]:
            for done, source in enumerate(given):
                if progress:
                    progress(done, len(given), source.path.name)
                for label, picture in self._pictures(source):
                    waiting.append((source, label))
                    yield picture

        for faces in self._pipeline.each(opened(), self._aligned, self._largest):
            source, label = waiting.popleft()
            whole = label == str(source.path)
            if isinstance(faces, list) and faces:
                seen[source.path] += 1
                yield Looked(source, label, faces)
            elif whole:
                why = faces if isinstance(faces, UsageError) else f"picture {label} shows no face"
                self.skipped.append({"picture": label, "why": str(why)})
        self._tell_empty_films(given, seen)

    def _pictures(self, source: Source) -> Iterator[tuple[str, Picture | UsageError]]:
        if not is_video(source.path):
            yield str(source.path), source.path
            return
        try:
            for at, picture in frames(source.path, self._every_s):
                yield f"{source.path}@{at:.1f}s", picture
        except MissingDependencyError as error:
            yield str(source.path), UsageError(str(error))
        except UsageError as error:
            yield str(source.path), error

    def _tell_empty_films(self, given: Sequence[Source], seen: Counter[Path]) -> None:
        told = {row["picture"] for row in self.skipped}
        for source in given:
            if not seen[source.path] and str(source.path) not in told:
                why = f"video {source.path} shows no face"
                self.skipped.append({"picture": str(source.path), "why": why})


def _refuse_damaged(paths: Sequence[Path], progress: Progress | None) -> None:
    """Raise UsageError where pictures cannot be read, before any work; all are named."""
    pictures = [path for path in paths if not is_video(path)]
    wrong = []
    with quiet_pillow(), ThreadPoolExecutor(cores()) as pool:
        for done, why in enumerate(pool.map(_wrong, pictures)):
            wrong += [why] if why else []
            if progress:
                progress(done, len(pictures), "look at pictures")
    if wrong:
        raise UsageError(
            f"{len(wrong)} of {len(pictures):,} pictures cannot be read: {some(wrong, 20)}; mend "
            "or remove them"
        )


def _wrong(path: Path) -> str:
    try:
        read_image(path)
    except UsageError as error:
        return str(error)
    return ""
