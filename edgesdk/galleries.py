"""Known people by their embeddings: who is this, or nobody here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.biometrics import cosine, unit
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.gallery_files import Content, read_gallery, write_gallery
from edgesdk.nearest import Coarse, highest

__all__ = ["Gallery", "Limit", "Match", "read_gallery"]

FPIR = 0.01
# So many faces are compared exactly; of more, the best by 4 bits a value are. Fitted, see
# benchmarks/results/gallery.json.
EXACT = 100_000
SAMPLED = 1000  # faces that play strangers where a threshold is fitted
BLOCK = 16_384  # faces that these are compared with at once
CANDIDATES = 64  # least number that is compared exactly
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
        # Of the bundle that began the gallery: hash and name.
        self._made_by = opened.sha256, opened.name
        self._parts = [np.empty((0, self.dim), np.float32)]
        self._coarse: Coarse | None = None  # of the first faces, once there are many

    def __len__(self) -> int:
        return len(self.names)

    @property
    def people(self) -> dict[str, int]:
        """Name -> number of faces, in the order of enrolment."""
        return dict(Counter(self.names))

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
        self.names += [name] * len(rows)
        self.pictures += [picture] * len(rows)
        self._append(rows)

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

    def forget_pictures(self, pictures: Container[str]) -> None:
        """Forget the faces that were enrolled from pictures, or from moments of these videos."""
        self._keep(
            [
                number
                for number, one in enumerate(self.pictures)
                if one not in pictures and one.rpartition("@")[0] not in pictures
            ]
        )

    def search(self, probe: Array, k: int = 1) -> list[Match]:
        """Return the `k` most similar people, best first; each with the best of their faces.

        Args:
            probe: Embedding [D].
            k: Number of people.
        """
        row = self._checked(probe)[0]
        numbers = highest(self._scores(row), max(8 * k, CANDIDATES))
        found = self._people_of(row, numbers, k)
        if len(found) < k and len(numbers) < len(self):
            found = self._people_of(row, np.arange(len(self)), k)
        return found

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
        """Write the gallery; an older file stays as it was until the new one is whole.

        A name that ends in .json makes a text of it, for up to some 40,000 faces.

        Raises:
            UsageError: it is too large for text.
            EdgeSdkError: the file cannot be written.
        """
        sha256, name = self._made_by
        content = Content(
            bundle_sha256=sha256,
            names=self.names,
            pictures=self.pictures,
            rows=self._rows,
            bundle=name,
            model=self.model,
            compatible=self.compatible,
        )
        write_gallery(Path(path), content)

    @classmethod
    def load(cls, path: Path | str, bundle: Bundle | Path | str) -> Gallery:
        """Read a gallery.

        Args:
            path: A file of `save`, or of the Android library.
            bundle: The model that made it, or one of another precision that was accepted.

        Raises:
            UsageError: it is no gallery, or one of another model.
        """
        gallery, found = cls(bundle), read_gallery(path)
        if gallery.bundle.sha256 not in (found.bundle_sha256, *found.compatible):
            raise UsageError(
                f"{path} was made with another model ({found.bundle or 'not named'}), whose "
                f"embeddings do not compare with those of {gallery.bundle.name}; enrol again, or "
                "check two precisions of one model with: edgesdk gallery accept"
            )
        gallery._made_by = found.bundle_sha256, found.bundle or gallery.bundle.name
        gallery.model = found.model or gallery.model
        gallery.compatible = dict(found.compatible)
        gallery.names, gallery.pictures = found.names, found.pictures
        if len(found.rows):
            gallery._append(gallery._checked(found.rows))
        return gallery

    @property
    def _rows(self) -> Array:
        """All faces [N, D]; what was added one by one is joined when it is first needed."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def _append(self, rows: Array) -> None:
        self._parts.append(rows)

    def _keep(self, numbers: list[int]) -> None:
        if len(numbers) == len(self):
            return
        self._coarse = None
        self._parts = [self._rows[numbers]]  # a copy: nothing of the others stays behind it
        self.names = [self.names[n] for n in numbers]
        self.pictures = [self.pictures[n] for n in numbers]

    def _checked(self, embeddings: Array) -> Array:
        rows = np.atleast_2d(np.asarray(embeddings, np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.dim or not len(rows):
            raise UsageError(
                f"an embedding of {self.bundle.name} has {self.dim} values, found shape "
                f"{np.shape(embeddings)}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.linalg.norm(rows, axis=1)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise UsageError("an embedding is not finite, or zero; embed the picture again")
        return unit(rows)

    def _scores(self, row: Array) -> Array:
        """Return the similarities to all faces; of many faces about, but to the last added."""
        known = 0 if self._coarse is None else len(self._coarse)
        if len(self) - known > EXACT:
            self._coarse, known = Coarse(self._rows), len(self)
        if self._coarse is None:
            return self._rows @ row
        about = self._coarse.products(row)
        return about if known == len(self) else np.append(about, self._rows[known:] @ row)

    def _people_of(self, row: Array, numbers: Array, k: int) -> list[Match]:
        """Return the `k` most similar people among some faces, by their exact similarity."""
        scores = self._rows[numbers] @ row
        best: dict[str, Match] = {}
        for place in np.argsort(-scores, kind="stable"):
            number = int(numbers[place])
            name = self.names[number]
            if name not in best:
                best[name] = Match(name, float(scores[place]), self.pictures[number])
            if len(best) == k:
                break
        return list(best.values())

    def _strangers(self) -> Array:
        """Return, for up to SAMPLED faces, the similarity to the nearest other person."""
        people = np.unique(self.names, return_inverse=True)[1]
        chosen = np.random.default_rng(0).permutation(len(self))[:SAMPLED]
        best = np.full(len(chosen), -1.0, np.float32)
        for start in range(0, len(self), BLOCK):
            block = slice(start, start + BLOCK)
            scores = self._rows[chosen] @ self._rows[block].T
            scores[people[chosen, None] == people[None, block]] = -1
            np.maximum(best, scores.max(1), out=best)
        return best

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
