"""Find people in photos: enrol them once, then ask who is on a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import check_target, exists, write_atomic
from edgesdk.core.jobs import Progress
from edgesdk.verbs._text import table
from edgesdk.verbs._verb import Verb, listed

if TYPE_CHECKING:
    from edgesdk.face import Face, FacePipeline
    from edgesdk.galleries import Gallery, Limit

ACTIONS = ("build", "search", "list", "remove")
MODEL = "bridge-face-plus-64"
FPIR = 0.01
SHEETS = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm")


def gallery(
    action: str,
    gallery: Path | str,
    files: Sequence[Path | str] | Path | str = (),
    *,
    model: Path | str | None = None,
    person: str | None = None,
    top: int = 1,
    fpir: float = FPIR,
    aligned: bool | None = None,
    runtime: str | None = None,
    threads: int = 1,
    output: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Keep a file of known people and find them in photos.

    Args:
        action: build (or add to it), search, list or remove.
        gallery: The gallery's file, such as people.json.
        files: Pictures and folders; a folder per person, or one picture each that is named after
            the person. For remove: names of people.
        model: Bundle folder or shipped name of the model; default: the one that the gallery was
            built with, bridge-face-plus-64 for a new one.
        person: All pictures show this person (build).
        top: Number of people to tell for each face (search).
        fpir: Share of strangers that may be taken for somebody (search).
        aligned: Pictures are aligned crops (or are not); default: small squares are looked at.
        runtime: Runtime; default: the first one of the bundle that works here.
        threads: Threads of the CPU.
        output: Write what was found to this .csv, or as a sheet of faces to this picture (search).
        progress: Called with (done, total, label).

    Returns:
        Plain data: "gallery", "people" (name, faces), and build: "added", "skipped"; search:
        "found" (picture, face, box, name, similarity, candidates), "rule", "skipped", "output".

    Raises:
        UsageError: a file cannot be read, or the gallery belongs to another model.
    """
    place, files = Path(gallery), listed(files)
    if action not in ACTIONS:
        raise UsageError(f"gallery does not know {action!r}. {did_you_mean(action, ACTIONS)}")
    if action == "list":
        return _list(place)
    model = model or _model_of(place)
    if action == "remove":
        return _remove(place, [str(name) for name in files], model)
    paths = [Path(path) for path in files]
    if not paths:
        raise UsageError(f"gallery {action} takes pictures or folders of them, found none")
    from edgesdk.face import FacePipeline
    from edgesdk.galleries import Gallery

    with FacePipeline(model, runtime, threads=threads) as pipeline:
        if action == "build":
            check_target(place)
            kept = Gallery.load(place, model) if exists(place) else Gallery(model)
            return _build(pipeline, kept, place, _named(paths, person), aligned, progress)
        kept = Gallery.load(place, model)
        if not len(kept):
            raise UsageError(f"{place} holds nobody; enrol people with: edgesdk gallery build")
        found = _Search(pipeline, kept, kept.limit(fpir), top, aligned)
        return found(place, paths, None if output is None else Path(output), progress)


def _list(place: Path) -> dict[str, Any]:
    from edgesdk.galleries import read_gallery

    data = read_gallery(place)
    names = [str(face["name"]) for face in data["faces"]]
    return {
        "action": "list",
        "gallery": str(place),
        "model": data.get("model"),
        "people": _people(names),
    }


def _people(names: Sequence[str]) -> list[dict[str, Any]]:
    from collections import Counter

    return [{"name": name, "faces": count} for name, count in Counter(names).items()]


def _remove(place: Path, names: Sequence[str], model: Path | str) -> dict[str, Any]:
    from edgesdk.galleries import Gallery

    if not names:
        raise UsageError("gallery remove takes the names of people, found none")
    kept = Gallery.load(place, model)
    gone = {name: kept.remove(name) for name in dict.fromkeys(names)}
    kept.save(place)
    return {
        "action": "remove",
        "gallery": str(place),
        "removed": gone,
        "people": _people(kept.names),
    }


def _model_of(place: Path) -> str:
    """Return the model that a gallery was built with, the usual one where there is none yet."""
    from edgesdk.galleries import read_gallery

    return str(read_gallery(place).get("model") or MODEL) if exists(place) else MODEL


def _build(
    pipeline: FacePipeline,
    kept: Gallery,
    place: Path,
    named: Sequence[tuple[Path, str]],
    aligned: bool | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Enrol the largest face of each picture; a picture that was enrolled before is replaced."""
    skipped: list[dict[str, str]] = []
    added = 0
    faces = _each(pipeline, named, skipped, aligned, progress, every=False)
    for (path, name), face in faces:
        kept.forget_picture(str(path))
        kept.add(name, face.embedding, str(path))
        added += 1
    if not added:
        raise UsageError(f"nobody was enrolled; {skipped[0]['why']}")
    kept.save(place)
    return {
        "action": "build",
        "gallery": str(place),
        "model": pipeline.bundle.name,
        "added": added,
        "skipped": skipped,
        "people": _people(kept.names),
    }


def _pictures(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the pictures that were named or lie in folders, each with its path as its name."""
    from edgesdk.tasks._classes import picture_files

    for path in paths:
        if path.suffix.lower() in VIDEOS:
            raise UsageError(
                f"{path} is a video, which is not read; take pictures out of it first, such as "
                f"with: ffmpeg -i {path.name} -vf fps=1 frames/%04d.jpg"
            )
    return [(path, str(path)) for path in picture_files(paths)]


def _named(paths: Sequence[Path], person: str | None) -> list[tuple[Path, str]]:
    """Return each picture and whom it shows: as told, by its folder, else by the file's name."""
    if person is not None:
        return [(path, person) for path, _ in _pictures(paths)]
    from edgesdk.picture_sets import Pictures
    from edgesdk.picture_sets.people import people_of

    found: list[tuple[Path, str]] = []
    for path in paths:
        if not path.is_dir():
            found += [(picture, picture.stem) for picture, _ in _pictures([path])]
            continue
        inside = Pictures(path)
        nested = any("/" in name for name in inside.names)
        people = people_of(inside.names, str(path)) if nested else [None] * len(inside.names)
        found += [
            (inside.file(name), who or Path(name).stem)
            for name, who in zip(inside.names, people, strict=True)
        ]
    if not found:
        raise UsageError(f"{', '.join(map(str, paths))} holds no picture; give photos of people")
    return found


def _each(
    pipeline: FacePipeline,
    named: Sequence[tuple[Path, str]],
    skipped: list[dict[str, str]],
    aligned: bool | None,
    progress: Progress | None,
    every: bool,
) -> Iterator[tuple[tuple[Path, str], Face]]:
    """Yield the faces of pictures; what cannot be read or shows none is told in `skipped`."""
    from edgesdk.face import Face

    for done, (path, name) in enumerate(named):
        if progress:
            progress(done, len(named), path.name)
        try:
            cuts = pipeline.cuts(path, aligned) if every else [pipeline.cut(path, aligned)]
        except UsageError as error:
            skipped.append({"picture": str(path), "why": str(error)})
            continue
        if not cuts:
            skipped.append({"picture": str(path), "why": f"picture {path} shows no face"})
        for cut, row in zip(cuts, pipeline.embed([cut.crop for cut in cuts]), strict=True):
            yield (path, name), Face.of(cut, row)


class _Search:
    """One search for all faces of pictures."""

    def __init__(
        self, pipeline: FacePipeline, kept: Gallery, limit: Limit, top: int, aligned: bool | None
    ) -> None:
        if top < 1:
            raise UsageError(f"top is a number of people, 1 or more, found {top}")
        self.pipeline, self.kept, self.limit = pipeline, kept, limit
        self.top, self.aligned = top, aligned

    def __call__(
        self, place: Path, paths: Sequence[Path], output: Path | None, progress: Progress | None
    ) -> dict[str, Any]:
        """Return what was found, and write it where asked."""
        _check_output(output)
        skipped: list[dict[str, str]] = []
        named = _pictures(paths)
        rows, crops = [], []
        faces = _each(self.pipeline, named, skipped, self.aligned, progress, every=True)
        for (path, _), face in faces:
            rows.append(self._row(path, face))
            crops.append(face.crop)
        if not rows:
            raise UsageError(f"no face was found; {skipped[0]['why']}")
        if output is not None:
            _write(output, rows, crops)
        return {
            "action": "search",
            "gallery": str(place),
            "model": self.pipeline.bundle.name,
            "found": rows,
            "threshold": self.limit.value,
            "rule": self.limit.about,
            "skipped": skipped,
            "output": None if output is None else str(output),
        }

    def _row(self, path: Path, face: Face) -> dict[str, Any]:
        near = self.kept.search(face.embedding, self.top)
        known = near[0].similarity >= self.limit.value
        unsure = face.unsure or ("" if known or face.quality is None else face.quality.poor)
        return {
            "picture": str(path),
            "box": None if face.detection is None else list(face.detection.box),
            "name": near[0].name if known and not unsure else None,
            "said": near[0].name if known and not unsure else "undecided" if unsure else "nobody",
            "similarity": near[0].similarity,
            "candidates": [{"name": m.name, "similarity": m.similarity} for m in near],
            "quality": face.quality.note if face.quality else "",
            "unsure": unsure,
        }


def _check_output(output: Path | None) -> None:
    if output is not None and output.suffix.lower() not in (".csv", *SHEETS):
        raise UsageError(f"-o {output} must end in .csv, {', '.join(SHEETS)}")


def _write(output: Path, rows: Sequence[Mapping[str, Any]], crops: Sequence[Any]) -> None:
    if output.suffix.lower() == ".csv":
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["picture", "said", "similarity", "x", "y", "width", "height", "quality"])
        for row in rows:
            box = row["box"] or [None] * 4
            lines.writerow([row["picture"], row["said"], row["similarity"], *box, row["quality"]])
        write_atomic(output, text.getvalue().encode())
        return
    from edgesdk.tasks._output import write_picture
    from edgesdk.tasks._sheet import sheet

    words = [f"{row['said']} {row['similarity']:.2f}" for row in rows]
    write_picture(output, sheet(crops, words))


def show(data: Mapping[str, Any]) -> str:
    """Return people, or who was found, as a table."""
    if data["action"] == "search":
        body = [
            [Path(row["picture"]).name, row["said"], near["name"], f"{near['similarity']:.4f}"]
            for row in data["found"]
            for near in row["candidates"]
        ]
        notes = [row["quality"] for row in data["found"] for _ in row["candidates"]]
        body = [[*line, note] for line, note in zip(body, notes, strict=True)]
        lines = [table(["picture", "is", "most similar", "similarity", "face"], body)]
        lines.append(data["rule"])
    else:
        body = [[row["name"], str(row["faces"])] for row in data["people"]]
        lines = [table(["person", "faces"], body)]
    for name, count in data.get("removed", {}).items():
        lines.append(f"removed {name} ({count} faces)")
    lines += [f"skipped {row['picture']}: {row['why']}" for row in data.get("skipped", [])]
    if data.get("output"):
        lines.append(f"wrote {data['output']}")
    return "\n".join(lines)


PLUGIN = Verb(gallery, show, place=7)
