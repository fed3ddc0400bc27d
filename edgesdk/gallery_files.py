"""The files of a gallery; no picture is kept in them.

A gallery is a safetensors file (`edgesdk.core.tensor_file`), the same that the Android library
reads and writes: `embeddings` float32 [N, D] of unit length; `person` int32 [N], whose face each
is; `names` and `pictures`, UTF-8 JSON lists of the people's names and of where each face came
from. The header tells `schema_version` 2, `bundle_sha256`, `bundle`, `model` and `compatible`, a
JSON text.

A file whose name ends in `.json` is text with the same content, as all were before: `faces`,
rows of `name`, `embedding` and `picture`. It holds some 40,000 faces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import LARGEST_JSON, encoded, read_json, write_atomic
from edgesdk.core.tensor_file import holds_tensors, read_tensors, write_tensors
from edgesdk.core.tensors import Array
from edgesdk.core.typed import MALFORMED, check_known, check_plain, fits

TEXT, BINARY = 1, 2  # schema versions
# What is read of a file; others may stand beside.
FIELDS = {"bundle_sha256": str, "bundle": str, "compatible": Mapping[str, Any] | None}
FACE = {"name": str, "embedding": list[float], "picture": str}
WORDS = ("schema_version", "bundle_sha256")


@dataclass(frozen=True, slots=True)
class Content:
    """What a gallery's file holds.

    Attributes:
        bundle_sha256: Hash of the bundle that made the embeddings.
        names: Name of each face.
        pictures: Where each came from, "" where it is not told.
        rows: Embeddings, float32 [N, D].
        bundle: The bundle's name.
        model: What to open it by.
        compatible: SHA-256 of bundles of other precisions that may search, with their check.
    """

    bundle_sha256: str
    names: list[str]
    pictures: list[str]
    rows: Array
    bundle: str = ""
    model: str = ""
    compatible: Mapping[str, Any] = field(default_factory=dict)


def write_gallery(path: Path, content: Content) -> None:
    """Write a gallery; an older file stays as it was until the new one is whole.

    Raises:
        UsageError: it is too large for text.
        EdgeSdkError: the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        return _write_text(path, content)
    people = list(dict.fromkeys(content.names))
    number = {name: place for place, name in enumerate(people)}
    arrays = {
        "embeddings": content.rows,
        "person": np.array([number[name] for name in content.names], np.int32),
        "names": _packed(people),
        "pictures": _packed(content.pictures),
    }
    about = {
        "schema_version": str(BINARY),
        "bundle_sha256": content.bundle_sha256,
        "bundle": content.bundle,
        "model": content.model,
        "compatible": json.dumps(content.compatible),
    }
    write_tensors(path, about, arrays)


def _write_text(path: Path, content: Content) -> None:
    faces = [
        {"name": name, "embedding": [float(str(v)) for v in row], "picture": picture}
        for name, row, picture in zip(content.names, content.rows, content.pictures, strict=True)
    ]
    data = {
        "schema_version": TEXT,
        "bundle_sha256": content.bundle_sha256,
        "bundle": content.bundle,
        "model": content.model,
        "compatible": content.compatible,
        "faces": faces,
    }
    text = encoded(json.dumps(data, ensure_ascii=False))
    if len(text) > LARGEST_JSON:
        raise UsageError(
            f"{len(faces):,} faces are {len(text):,} bytes of text, more than {path.name} may "
            f"hold ({LARGEST_JSON:,}); name it {path.stem}.gallery"
        )
    write_atomic(path, text)


def read_gallery(path: Path | str) -> Content:
    """Return the content of a gallery's file, of either form.

    Raises:
        UsageError: it is no gallery, or damaged.
    """
    place = Path(path)
    try:
        binary = holds_tensors(place)
    except OSError:
        binary = False  # the reader of text tells why
    try:
        return _read_binary(place) if binary else _read_text(place)
    except MALFORMED as error:
        raise UsageError(f"{path} is a damaged gallery ({error}); build it again") from None


def _read_text(path: Path) -> Content:
    data: Any = read_json(path, "gallery")
    known = isinstance(data, dict) and data.get("schema_version") == TEXT
    if not known or not isinstance(data.get("faces"), list) or "bundle_sha256" not in data:
        raise _no_gallery(path)
    check_known("gallery", data, FIELDS, ())
    for face in data["faces"]:
        check_known("face", face, FACE, ("name", "embedding"))
    rows = [face["embedding"] for face in data["faces"]]
    with np.errstate(over="ignore"):  # too large a number is infinity, and refused
        embeddings = np.array(rows, np.float32).reshape(len(rows), -1 if rows else 0)
    return Content(
        bundle_sha256=data["bundle_sha256"],
        names=[face["name"] for face in data["faces"]],
        pictures=[face.get("picture", "") for face in data["faces"]],
        rows=embeddings,
        bundle=data.get("bundle", ""),
        model=str(data.get("model") or ""),
        compatible=data.get("compatible") or {},
    )


def _read_binary(path: Path) -> Content:
    about, arrays = read_tensors(path, "gallery")
    if about.get("schema_version") != str(BINARY) or "bundle_sha256" not in about:
        raise _no_gallery(path)
    rows, person = _rows(arrays)
    people, pictures = _unpacked(arrays["names"]), _unpacked(arrays["pictures"])
    if len(pictures) != len(rows) or not np.isin(person, np.arange(len(people))).all():
        raise ValueError(f"{len(rows)} faces and {len(pictures)} pictures of {len(people)} people")
    compatible = json.loads(about.get("compatible") or "{}")
    check_plain(compatible)
    return Content(
        bundle_sha256=about["bundle_sha256"],
        names=[people[number] for number in person],
        pictures=pictures,
        rows=rows,
        bundle=about.get("bundle", ""),
        model=about.get("model", ""),
        compatible=dict(compatible),
    )


def _rows(arrays: Mapping[str, Array]) -> tuple[Array, Array]:
    rows, person = arrays["embeddings"], arrays["person"]
    if rows.ndim != 2 or rows.dtype != np.float32 or person.shape != rows.shape[:1]:
        raise ValueError(f"embeddings {rows.shape} of {person.shape} faces")
    return rows, person


def _packed(words: Sequence[str]) -> Array:
    return np.frombuffer(encoded(json.dumps(words, ensure_ascii=False)), np.uint8)


def _unpacked(text: Array) -> list[str]:
    words = json.loads(text.tobytes())
    if not fits(words, list[str]):
        raise TypeError("names and pictures are lists of text")
    return list(words)


def _no_gallery(path: Path) -> UsageError:
    return UsageError(f"{path} is no gallery of this version; build one: edgesdk gallery build")
