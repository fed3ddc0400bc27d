"""Find people in photos: enrol them once, then ask who is on a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import check_target, exists, write_atomic
from edgesdk.core.jobs import Progress
from edgesdk.core.notes import note
from edgesdk.core.shipped import shipped
from edgesdk.core.table import table
from edgesdk.verbs._verb import Verb, listed

if TYPE_CHECKING:
    from edgesdk.face import Face
    from edgesdk.face_files import Look, Source
    from edgesdk.galleries import Gallery, Limit

ACTIONS = ("build", "search", "list", "remove", "accept")
MODEL = "bridge-face-plus-64"
FPIR = 0.01
SHEETS = (".png", ".jpg", ".jpeg", ".webp")
EVERY_S = 1.0
CHECKED = 200  # crops that two precisions are compared on


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
    every: float = EVERY_S,
    strict: bool = False,
    detector: str | None = None,
    runtime: str | None = None,
    threads: int = 1,
    output: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Keep a file of known people and find them in photos.

    Args:
        action: build (or add to it), search, list, remove, or accept: let a model of another
            precision search, if both agree on the faces of some pictures.
        gallery: The gallery's file, such as people.gallery; a name that ends in .json makes a
            text of it.
        files: Pictures, videos and folders; a folder per person, or one file each that is named
            after the person. For remove: names of people.
        model: Bundle folder or shipped name of the model; default: the one that the gallery was
            built with, bridge-face-plus-64 for a new one. For accept: the other one.
        person: All pictures show this person (build).
        top: Number of people to tell for each face (search).
        fpir: Share of strangers that may be taken for somebody (search).
        aligned: Pictures are aligned crops (or are not); default: small squares are looked at.
        every: Seconds between the pictures of a video; 0 for all.
        strict: Refuse pictures that cannot be read; default: they are left out and named.
        detector: What finds the faces of photos: yunet or face-detector; default: yunet where the
            extra teachers is installed.
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
    _refuse_mistaken(place)
    if action == "list":
        return _list(place)
    if action == "remove":
        return _remove(place, [str(name) for name in files], model)
    paths = [Path(path) for path in files]
    if not paths:
        raise UsageError(f"gallery {action} takes pictures or folders of them, found none")
    if action == "accept":
        return _accept(place, paths, model, threads)
    from edgesdk.face import FacePipeline
    from edgesdk.face_files import Look, sources
    from edgesdk.galleries import Gallery

    model = model or _model_of(place)
    with FacePipeline(model, runtime, threads=threads, detector=detector) as pipeline:
        if action == "build":
            check_target(place)
            kept = Gallery.load(place, model) if exists(place) else Gallery(model)
            look = Look(pipeline, aligned, largest=True, every_s=every, strict=strict)
            return _build(look, kept, place, _named(paths, person), progress)
        kept = Gallery.load(place, model)
        if not len(kept):
            raise UsageError(f"{place} holds nobody; enrol people with: edgesdk gallery build")
        _check_output(None if output is None else Path(output))
        look = Look(pipeline, aligned, every_s=every, strict=strict)
        found = _Search(kept, kept.limit(fpir), top)(look, sources(paths), progress)
    crops = found.pop("crops")
    return {"gallery": str(place), **found, "output": _written(output, crops, found)}


def _refuse_mistaken(place: Path) -> None:
    """Raise UsageError where the word for the gallery's file is a model or a folder."""
    what = "a folder" if place.is_dir() else "a model" if str(place) in shipped() else ""
    if what:
        raise UsageError(
            f"the word behind the action is the gallery's file, and {place} is {what}; type such "
            "as: edgesdk gallery build people.gallery PICTURES --model NAME"
        )


def _list(place: Path) -> dict[str, Any]:
    from edgesdk.galleries import read_gallery

    data = read_gallery(place)
    return {
        "action": "list",
        "gallery": str(place),
        "model": data.model or None,
        "people": _people(data.names),
    }


def _people(names: Sequence[str]) -> list[dict[str, Any]]:
    from collections import Counter

    return [{"name": name, "faces": count} for name, count in Counter(names).items()]


def _remove(place: Path, names: Sequence[str], model: Path | str | None) -> dict[str, Any]:
    from edgesdk.galleries import Gallery

    if not names:
        raise UsageError("gallery remove takes the names of people, found none")
    kept = Gallery.load(place, model or _model_of(place))
    gone = {name: kept.remove(name) for name in dict.fromkeys(names)}
    kept.save(place)
    return {
        "action": "remove",
        "gallery": str(place),
        "removed": gone,
        "people": _people(kept.names),
    }


def _accept(
    place: Path, paths: Sequence[Path], model: Path | str | None, threads: int
) -> dict[str, Any]:
    """Compare a model with the gallery's own on crops, and let it search where they agree."""
    from edgesdk.face import FacePipeline
    from edgesdk.galleries import Gallery
    from edgesdk.picture_sets import Pictures

    if model is None:
        raise UsageError("gallery accept takes the other model: --model BUNDLE")
    kept, crops = Gallery.load(place, _model_of(place)), []
    for path in paths:
        pictures = Pictures(path)
        crops += [pictures.read(name) for name in pictures.choose(CHECKED, 0)]
    rows = []
    for one in (kept.bundle, model):
        with FacePipeline(one, threads=threads) as pipeline:
            rows.append(pipeline.embed(crops))
    cosine = kept.accept(model, *rows)
    kept.save(place)
    return {
        "action": "accept",
        "gallery": str(place),
        "accepted": {"bundle": str(model), "cosine_p1": cosine, "faces": len(crops)},
        "people": _people(kept.names),
    }


def _model_of(place: Path) -> str:
    """Return the model that a gallery was built with, the usual one where there is none yet."""
    from edgesdk.galleries import read_gallery

    return (read_gallery(place).model if exists(place) else "") or MODEL


def _build(
    look: Look,
    kept: Gallery,
    place: Path,
    given: Sequence[Source],
    progress: Progress | None,
) -> dict[str, Any]:
    """Enrol the largest face of each picture; a picture that was enrolled before is replaced."""
    seen = list(look(given, progress))
    if not seen:
        raise UsageError(f"nobody was enrolled; {look.skipped[0]['why']}")
    kept.forget_pictures({str(one.source.path) for one in seen})
    for one in seen:
        kept.add(one.source.person, one.faces[0].embedding, one.label)
    kept.save(place)
    return {
        "action": "build",
        "gallery": str(place),
        "model": kept.bundle.name,
        "added": len(seen),
        "skipped": look.skipped,
        "people": _people(kept.names),
    }


def _named(paths: Sequence[Path], person: str | None) -> list[Source]:
    """Return each file and whom it shows: as told, by its folder, else by the file's name."""
    from dataclasses import replace

    from edgesdk.face_files import Source, sources, tell_shared
    from edgesdk.videos import films

    if person is not None:
        return [replace(source, person=person) for source in sources(paths)]
    from edgesdk.picture_sets import Pictures
    from edgesdk.picture_sets.people import people_of

    found: list[Source] = []
    for path in paths:
        if not path.is_dir():
            found.append(Source(path, path.stem))
            continue
        inside = Pictures(path)
        note(inside.line())
        names = sorted([*inside.names, *films(inside)])
        nested = any("/" in name for name in names)
        people = people_of(names, str(path)) if nested else [None] * len(names)
        found += [
            Source(inside.file(name), who or Path(name).stem)
            for name, who in zip(names, people, strict=True)
        ]
    if not found:
        raise UsageError(f"{', '.join(map(str, paths))} holds no picture; give photos of people")
    tell_shared(found)
    return found


class _Search:
    """One search for all faces of pictures."""

    def __init__(self, kept: Gallery, limit: Limit, top: int) -> None:
        if top < 1:
            raise UsageError(f"top is a number of people, 1 or more, found {top}")
        self.kept, self.limit, self.top = kept, limit, top

    def __call__(
        self, look: Look, given: Sequence[Source], progress: Progress | None
    ) -> dict[str, Any]:
        """Return what was found, and the crops."""
        found = [(one.label, face) for one in look(given, progress) for face in one.faces]
        if not found:
            raise UsageError(f"no face was found; {look.skipped[0]['why']}")
        return {
            "action": "search",
            "model": self.kept.bundle.name,
            "found": [self._row(label, face) for label, face in found],
            "threshold": self.limit.value,
            "rule": self.limit.about,
            "skipped": look.skipped,
            "crops": [face.crop for _, face in found],
        }

    def _row(self, label: str, face: Face) -> dict[str, Any]:
        near = self.kept.search(face.embedding, self.top)
        known = near[0].similarity >= self.limit.value
        unsure = face.unsure or ("" if known or face.quality is None else face.quality.poor)
        return {
            "picture": label,
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


def _written(
    output: Path | str | None, crops: Sequence[Any], found: Mapping[str, Any]
) -> str | None:
    if output is not None:
        _write(Path(output), found["found"], crops)
    return None if output is None else str(output)


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
    if "accepted" in data:
        told = data["accepted"]
        lines.append(
            f"{told['bundle']} may search: the worst per cent of the cosines of {told['faces']} "
            f"faces is {told['cosine_p1']:.4f}"
        )
    for name, count in data.get("removed", {}).items():
        lines.append(f"removed {name} ({count} faces)")
    lines += [f"skipped {row['picture']}: {row['why']}" for row in data.get("skipped", [])]
    if data.get("output"):
        lines.append(f"wrote {data['output']}")
    return "\n".join(lines)


PLUGIN = Verb(gallery, show, place=7)
