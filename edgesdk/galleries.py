"""Known people by their embeddings: who is this, or nobody here.

The file is JSON, the same that the Android library reads and writes: `schema_version` 1,
`bundle_sha256`, and `faces`, rows of `name` and `embedding` (D numbers, unit length). This
package adds `bundle` and `model` (names of what made it), `picture` of each face, and
`compatible`; readers pass over what they do not know. No picture is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.biometrics import cosine, unit
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_atomic
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.core.typed import check_known

SCHEMA = 1
# What is read of a file; others may stand beside.
FIELDS = {"bundle_sha256": str, "bundle": str, "compatible": Mapping[str, Any] | None}
FACE = {"name": str, "embedding": list[float], "picture": str}
FPIR = 0.01
# Above it an index answers, where usearch is installed; no benchmark has fitted it yet.
EXACT = 50_000
SAMPLED = 1000  # faces that play strangers where a threshold is fitted
LEAST_COSINE = 0.98
LEAST_CHECKED = 32


@dataclass(frozen=True, slots=True)
class Match:
    """A person of the gallery.

    Attributes:
        name: Who.
        similarity: Cosine to the most similar face of that person.
        picture: Where that face was enrolled from; "" if not told.
    """

    name: str
    similarity: float
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """From which similarity on a face counts as somebody of the gallery.

    Attributes:
        value: The cosine.
        about: Sentence: how it was found, and for how many people.
    """

    value: float
    about: str


class Gallery:
    """Embeddings of known people, bound to the model that made them.

    Args:
        bundle: Opened bundle, its folder, or the name of a shipped model.

    Attributes:
        bundle: The model.
        model: What to open it by: the folder or name that was given.
        compatible: SHA-256 of bundles of other precisions that may search, with their check.
        names: Name of each face, in the order of enrolment; a person may have several.
        pictures: Where each came from.
    """

    def __init__(self, bundle: Bundle | Path | str) -> None:
        opened = open_bundle(bundle)
        if opened.postprocess.get("kind") != "embedding":
            raise UsageError(f"bundle {opened.path} gives no embeddings; a gallery holds those")
        self.bundle = opened
        self.model = opened.name if isinstance(bundle, Bundle) else str(bundle)
        self.dim = int(opened.postprocess["dim"])
        self.names: list[str] = []
        self.pictures: list[str] = []
        self.compatible: dict[str, Any] = {}
        self._rows = np.empty((0, self.dim), np.float32)
        self._index: Any = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def people(self) -> dict[str, int]:
        """Name -> number of faces, in the order of enrolment."""
        return {name: self.names.count(name) for name in dict.fromkeys(self.names)}

    @property
    def embeddings(self) -> Array:
        """Copy of all faces, float32 [N, D], rows of unit length."""
        return self._rows.copy()

    def add(self, name: str, embeddings: Array, picture: str = "") -> None:
        """Enrol one face [D] or several [N, D] of a person.

        Raises:
            UsageError: the name is empty, or the embeddings are not of this model's kind.
        """
        if not name.strip():
            raise UsageError("the name of a person is empty; give one")
        rows = self._checked(embeddings)
        self._rows = np.concatenate([self._rows, rows])
        self.names += [name] * len(rows)
        self.pictures += [picture] * len(rows)
        self._index = None

    def remove(self, name: str) -> int:
        """Forget all faces of a person; return how many there were.

        Raises:
            UsageError: nobody has that name.
        """
        keep = [number for number, one in enumerate(self.names) if one != name]
        gone = len(self.names) - len(keep)
        if not gone:
            raise UsageError(f"the gallery knows nobody called {name!r}; see: edgesdk gallery list")
        self._keep(keep)
        return gone

    def forget_picture(self, picture: str) -> None:
        """Forget the faces that were enrolled from a picture, where there are any."""
        self._keep([n for n, one in enumerate(self.pictures) if one != picture])

    def search(self, probe: Array, k: int = 1) -> list[Match]:
        """Return the `k` most similar people, best first; each with the best of their faces.

        Args:
            probe: Embedding [D].
            k: Number of people.
        """
        row = self._checked(probe)[0]
        numbers, scores = self._nearest(row, k) if len(self) > EXACT else self._all(row)
        best: dict[str, Match] = {}
        for place in np.argsort(-scores, kind="stable"):
            number = int(numbers[place])
            name = self.names[number]
            if name not in best:
                best[name] = Match(name, float(scores[place]), self.pictures[number])
            if len(best) == k:
                break
        return list(best.values())

    def identify(self, probe: Array, limit: Limit | None = None) -> Match | None:
        """Return who this is, None for nobody here; `limit` None: that of `limit()`."""
        found = self.search(probe)
        value = (limit or self.limit()).value
        return found[0] if found and found[0].similarity >= value else None

    def limit(self, fpir: float = FPIR) -> Limit:
        """Return the similarity at which a share `fpir` of strangers is taken for somebody.

        With enough people each face plays the stranger among all others. With fewer, the
        strictest threshold of the model is taken, and the rate to expect is told.

        Raises:
            UsageError: the gallery is small and the model has no thresholds.
        """
        if not 0 < fpir < 1:
            raise UsageError(f"fpir is a share between 0 and 1, found {fpir}")
        count = len(self.people)
        if count * fpir >= 1:
            tops = self._strangers()
            value = float(np.quantile(tops, 1 - fpir, method="higher"))
            return Limit(
                value,
                f"somebody from {value:.4f} on: {fpir:.2g} of {len(tops)} faces would be taken for "
                f"another of the {count} people here",
            )
        return self._from_the_model(count, fpir)

    def accept(self, bundle: Bundle | Path | str, own: Array, other: Array) -> float:
        """Let embeddings of another precision of the model search here, if they agree.

        Args:
            bundle: The other bundle.
            own: Embeddings [N, D] by the gallery's own bundle, N at least 32.
            other: Those of the same crops by the other bundle.

        Returns:
            The worst per cent of their cosines; it is kept in the gallery.

        Raises:
            UsageError: there are too few, or they do not agree.
        """
        found, (mine, theirs) = open_bundle(bundle), map(self._checked, (own, other))
        if len(mine) != len(theirs) or len(mine) < LEAST_CHECKED:
            raise UsageError(
                f"a check of two precisions takes {LEAST_CHECKED} crops embedded by both, found "
                f"{len(mine)} and {len(theirs)}"
            )
        worst = float(np.quantile(cosine(mine, theirs), 0.01))
        if worst < LEAST_COSINE:
            raise UsageError(
                f"{found.name} does not agree with {self.bundle.name}: the worst per cent of "
                f"cosines is {worst:.4f}, below {LEAST_COSINE}; enrol again with it"
            )
        self.compatible[found.sha256] = {
            "bundle": found.name,
            "cosine_p1": worst,
            "faces": len(mine),
        }
        return worst

    def check(self, bundle: Bundle) -> None:
        """Raise UsageError unless embeddings of `bundle` compare with those of the gallery."""
        if bundle.sha256 != self.bundle.sha256 and bundle.sha256 not in self.compatible:
            raise UsageError(
                f"the gallery was made with {self.bundle.name}, whose embeddings do not compare "
                f"with those of {bundle.name}; enrol again, or check both with Gallery.accept"
            )

    def save(self, path: Path | str) -> None:
        """Write the gallery; an older file stays as it was until the new one is whole."""
        faces = [
            {"name": name, "embedding": [float(str(v)) for v in row], "picture": picture}
            for name, row, picture in zip(self.names, self._rows, self.pictures, strict=True)
        ]
        data = {
            "schema_version": SCHEMA,
            "bundle_sha256": self.bundle.sha256,
            "bundle": self.bundle.name,
            "model": self.model,
            "compatible": self.compatible,
            "faces": faces,
        }
        write_atomic(Path(path), json.dumps(data, ensure_ascii=False).encode())

    @classmethod
    def load(cls, path: Path | str, bundle: Bundle | Path | str) -> Gallery:
        """Read a gallery.

        Args:
            path: A file of `save`, or of the Android library.
            bundle: The model that made it.

        Raises:
            UsageError: it is no gallery, or one of another model.
        """
        gallery, data = cls(bundle), read_gallery(path)
        if data["bundle_sha256"] != gallery.bundle.sha256:
            raise UsageError(
                f"{path} was made with another model ({data.get('bundle', 'not named')}), whose "
                f"embeddings do not compare with those of {gallery.bundle.name}; enrol again"
            )
        gallery.compatible = dict(data.get("compatible") or {})
        try:
            rows = [face["embedding"] for face in data["faces"]]
            gallery.names = [str(face["name"]) for face in data["faces"]]
            gallery.pictures = [str(face.get("picture", "")) for face in data["faces"]]
            if rows:
                with np.errstate(over="ignore"):  # too large a number is infinity, and refused
                    gallery._rows = gallery._checked(np.array(rows, np.float32))
        except ValueError as error:  # rows of unequal length
            raise UsageError(f"{path} is a damaged gallery ({error}); build it again") from None
        return gallery

    def _keep(self, numbers: list[int]) -> None:
        self._rows = self._rows[numbers]  # a copy: nothing of the others stays behind it
        self.names = [self.names[n] for n in numbers]
        self.pictures = [self.pictures[n] for n in numbers]
        self._index = None

    def _checked(self, embeddings: Array) -> Array:
        rows = np.atleast_2d(np.asarray(embeddings, np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.dim or not len(rows):
            raise UsageError(
                f"an embedding of {self.bundle.name} has {self.dim} values, found shape "
                f"{np.shape(embeddings)}"
            )
        if not np.isfinite(rows).all() or not np.linalg.norm(rows, axis=1).all():
            raise UsageError("an embedding is not finite, or zero; embed the picture again")
        return unit(rows)

    def _all(self, row: Array) -> tuple[Array, Array]:
        return np.arange(len(self)), self._rows @ row

    def _nearest(self, row: Array, k: int) -> tuple[Array, Array]:
        """Return candidates by the index where usearch is installed, else all."""
        try:
            from usearch.index import Index
        except ImportError:
            return self._all(row)
        if self._index is None:
            self._index = Index(ndim=self.dim, metric="ip", dtype="f32", expansion_search=128)
            self._index.add(np.arange(len(self)), self._rows)
        near = np.array(self._index.search(row, max(8 * k, 32)).keys, int)
        return near, self._rows[near] @ row

    def _strangers(self) -> Array:
        """Return, for up to SAMPLED faces, the similarity to the nearest other person."""
        labels = np.unique(self.names, return_inverse=True)[1]
        chosen = np.random.default_rng(0).permutation(len(self))[:SAMPLED]
        return np.array([(self._rows @ self._rows[n])[labels != labels[n]].max() for n in chosen])

    def _from_the_model(self, people: int, fpir: float) -> Limit:
        points = {float(k.removeprefix("far_")): p for k, p in self.bundle.thresholds.items()}
        if not points:
            raise UsageError(
                f"bundle {self.bundle.name} stores no threshold, and {people} people are too few "
                f"to fit one at {fpir:g}; give more people, or export with --data PAIRS"
            )
        enough = [far for far in points if far * max(people, 1) <= fpir]
        far = max(enough, default=min(points))
        value, share = float(points[far]["value"]), 1 - (1 - far) ** max(people, 1)
        return Limit(
            value,
            f"somebody from {value:.4f} on: the model's threshold for FAR {far:g}; about "
            f"{share:.2g} of strangers would be taken for one of {people} people",
        )


def read_gallery(path: Path | str) -> dict[str, Any]:
    """Return the content of a gallery's file.

    Raises:
        UsageError: it is no gallery.
    """
    data: Any = read_json(Path(path), "gallery")
    known = isinstance(data, dict) and data.get("schema_version") == SCHEMA
    if not known or not isinstance(data.get("faces"), list) or "bundle_sha256" not in data:
        raise UsageError(f"{path} is no gallery of this version; build one: edgesdk gallery build")
    try:
        check_known("gallery", data, FIELDS, ())
        for face in data["faces"]:
            check_known("face", face, FACE, ("name", "embedding"))
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is a damaged gallery ({error}); build it again") from None
    found: dict[str, Any] = data
    return found
