"""Faces in Python: find, align, embed, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesdk.core.batches import CHUNK, in_batches
from edgesdk.core.biometrics import cosine, far_key, unit
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.preprocess import align, check_picture
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.images import read_image
from edgesdk.photos import find, seen_as_a_crop
from edgesdk.quality import Quality, quality

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.detect import Detection, Detector

ALIGNED_SIDE = 160  # in pixels: larger squares are photos
LEAST_SIDE = 8
FAR = 1e-2

Picture = Array | Path | str


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """One face of a picture, cut out.

    Attributes:
        detection: Where it is; None for a picture that was an aligned crop.
        crop: Aligned face, [S, S, 3] uint8 RGB.
        taken: What the picture was taken for, and why.
        quality: How much of the face there is to see.
        unsure: Why a comparison with it would be a guess; "" where it is none.
    """

    detection: Detection | None
    crop: Array
    taken: str
    quality: Quality
    unsure: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of a picture.

    Attributes:
        detection: Where it is; None for a picture that was an aligned crop.
        crop: Aligned face, [S, S, 3] uint8 RGB.
        embedding: float32 [D], unit length.
        taken: What the picture was taken for, and why.
        quality: How much of the face there is to see.
        unsure: Why a comparison with it would be a guess; "" where it is none.
    """

    detection: Detection | None
    crop: Array
    embedding: Array
    taken: str = ""
    quality: Quality | None = None
    unsure: str = ""

    @classmethod
    def of(cls, cut: Cut, embedding: Array) -> Face:
        """Join a face that was cut out and its embedding."""
        return cls(cut.detection, cut.crop, embedding, cut.taken, cut.quality, cut.unsure)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two faces show one person.

    Attributes:
        similarity: Cosine of the embeddings, -1..1.
        same: The decision; None where the bundle stores no threshold for `far`, or a face shows
            too little to tell.
        threshold: Pairs at or above it count as the same person.
        far: False accept rate that the threshold was fitted for.
        reason: Sentence on where the decision comes from, or why there is none.
    """

    similarity: float
    same: bool | None
    threshold: float | None
    far: float
    reason: str

    @property
    def decision(self) -> str:
        """The decision in words."""
        return {True: "same person", False: "different people", None: "undecided"}[self.same]


class FacePipeline:
    """Finds, aligns, embeds and compares faces. A context manager.

    Args:
        bundle: Opened bundle, its folder, or the name of a shipped model.
        runtime: Runtime; None for the first one of the bundle that works here.
        device: "cpu", "cuda:0" or "auto".
        threads: Threads of the CPU.
        detector: Finds the faces of whole photos; None for YuNet, which is opened when a
            photo first needs it.
        allow_fallback: Accept another device than the one asked for.

    Raises:
        UsageError: it is no bundle of a face embedding.
        UnsupportedError: no runtime for it works here.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        runtime: str | None = None,
        device: str = "cpu",
        threads: int = 1,
        detector: Detector | None = None,
        allow_fallback: bool = False,
    ) -> None:
        from edgesdk_runtimes._open import open_session

        self.bundle = open_bundle(bundle)
        one_picture = list(self.bundle.preprocess) == [s.name for s in self.bundle.inputs]
        if self.bundle.task != "face-embedding" or not one_picture:
            raise UsageError(
                f"bundle {self.bundle.path} is for {self.bundle.task!r} from "
                f"{', '.join(s.name for s in self.bundle.inputs)}, not 'face-embedding' from one "
                "picture; open it with edgesdk.load"
            )
        self.session = open_session(self.bundle, runtime, device, threads, allow_fallback)
        self._detector = detector
        self._threads = threads

    def embed(self, crops: Sequence[Array]) -> Array:
        """Embed aligned faces.

        Args:
            crops: HxWx3 uint8 RGB arrays of any size; the bundle's own pre-processing
                brings them to the network's input.

        Returns:
            float32 [N, D], rows of unit length; [0, D] for no crops.

        Raises:
            UsageError: a crop is not an HxWx3 uint8 array.
        """
        (spec,) = self.bundle.inputs
        prepare, fixed = self.bundle.preprocess[spec.name], spec.shape[0]
        step = fixed or CHUNK
        rows = [np.empty((0, int(self.bundle.postprocess["dim"])), np.float32)]
        for start in range(0, len(crops), step):
            tensor = prepare(crops[start : start + step])
            rows.append(self._run(spec.name, tensor, fixed))
        return unit(np.concatenate(rows))

    def faces(self, image: Picture) -> list[Face]:
        """Find and embed all faces of a whole photo, surest first.

        Args:
            image: HxWx3 uint8 RGB array, or a file's path.

        Raises:
            UsageError: the picture cannot be read.
            MissingDependencyError: there is no detector.
        """
        cuts = self.cuts(image)
        rows = self.embed([cut.crop for cut in cuts])
        return [Face.of(*parts) for parts in zip(cuts, rows, strict=True)]

    def face(self, image: Picture, aligned: bool | None = None) -> Face:
        """Embed the one face that a picture is about: the largest, or the whole crop.

        Args:
            image: HxWx3 uint8 RGB array, or a file's path.
            aligned: The picture is an aligned crop, or is not; None: squares of up to 160 pixels
                are looked at, and are where a face lies in them as in an aligned crop.

        Raises:
            UsageError: the picture cannot be read, or no face is found.
            MissingDependencyError: a whole photo needs a detector, and there is none.
        """
        cut = self.cut(image, aligned)
        return Face.of(cut, self.embed([cut.crop])[0])

    def cut(self, image: Picture, aligned: bool | None = None) -> Cut:
        """Cut out the largest face; arguments as in `face`."""
        picture = _picture(image)
        crop = self._as_crop(picture, aligned)
        if crop is not None:
            return crop
        found = find(self._finder(), picture, largest=True)
        if not found:
            name = f"picture {image}" if isinstance(image, Path | str) else "the picture"
            raise UsageError(
                f"{name} ({picture.shape[1]}x{picture.shape[0]} pixels) shows no face; give a "
                "photo with a face, or tell that it is an aligned crop"
            )
        return self._cut(picture, max(found, key=lambda detection: detection.area))

    def cuts(self, image: Picture, aligned: bool | None = False) -> list[Cut]:
        """Cut out all faces, surest first; arguments as in `face`."""
        picture = _picture(image)
        crop = self._as_crop(picture, aligned)
        if crop is not None:
            return [crop]
        return [self._cut(picture, detection) for detection in find(self._finder(), picture)]

    def compare(
        self, image_a: Picture, image_b: Picture, aligned: bool | None = None, far: float = FAR
    ) -> Comparison:
        """Compare the largest faces of two pictures.

        Args:
            image_a: HxWx3 uint8 RGB array, or a file's path.
            image_b: The same.
            aligned: As in `face`, for both.
            far: False accept rate whose stored threshold decides.

        Raises:
            UsageError: a picture cannot be read, or shows no face.
            MissingDependencyError: a whole photo needs a detector, and there is none.
        """
        cuts = [self.cut(image, aligned) for image in (image_a, image_b)]
        rows = self.embed([cut.crop for cut in cuts])
        one, other = (Face.of(*parts) for parts in zip(cuts, rows, strict=True))
        return self.decide_faces(one, other, far)

    def decide_faces(self, a: Face, b: Face, far: float = FAR) -> Comparison:
        """Compare two faces; undecided where one shows too little.

        Small and blurred faces are rarely taken for someone else's, but look like nobody's: for
        them "same person" stands and "different people" does not.
        """
        found = self.decide(a.embedding, b.embedding, far)
        unsure = [face.unsure for face in (a, b)]
        if found.same is False:
            unsure += [face.quality.poor for face in (a, b) if face.quality]
        why = next(filter(None, unsure), None)
        return replace(found, same=None, reason=f"undecided: {why}") if why else found

    def decide(self, embedding_a: Array, embedding_b: Array, far: float = FAR) -> Comparison:
        """Compare two embeddings [D] at the threshold stored for `far`."""
        similarity = float(cosine(embedding_a[None], embedding_b[None])[0])
        point = self.bundle.thresholds.get(far_key(far))
        if point is None:
            stored = ", ".join(self.bundle.thresholds) or "none"
            reason = (
                f"bundle {self.bundle.name} stores no threshold for FAR {far:g} (stored: "
                f"{stored}); fit one with: edgesdk export --data PAIRS"
            )
            return Comparison(similarity, None, None, far, reason)
        threshold = float(point["value"])
        reason = (
            f"same person from {threshold:.4f} on: the threshold that accepts {far:.4g} of all "
            f"pairs of different people (95 % interval {point['low']:.4f} to {point['high']:.4f})"
        )
        return Comparison(similarity, similarity >= threshold, threshold, far, reason)

    def close(self) -> None:
        """Free the session; closing twice is allowed."""
        self.session.close()

    def __enter__(self) -> FacePipeline:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, name: str, tensor: Array, fixed: int | None) -> Array:
        output = self.bundle.outputs[0].name
        rows = in_batches(self.session.run, {name: tensor}, fixed)[output]
        return rows.astype(np.float32)

    def _finder(self) -> Detector:
        if self._detector is None:
            from edgesdk.detect import YuNet

            self._detector = YuNet(self._threads)
        return self._detector

    def _as_crop(self, picture: Array, aligned: bool | None) -> Cut | None:
        """Return the whole picture as a crop where it is one, None for a photo."""
        height, width = picture.shape[:2]
        if min(height, width) < LEAST_SIDE:
            raise UsageError(
                f"the picture has {width}x{height} pixels, too few for a face; give one of "
                f"{LEAST_SIDE}x{LEAST_SIDE} or more"
            )
        if aligned is not None:
            return _whole(picture, "crop (as told)") if aligned else None
        if not is_aligned(picture):
            return None
        try:
            seen = seen_as_a_crop(self._finder(), picture)
        except MissingDependencyError as error:
            return _whole(picture, f"crop (small square, not looked at: {error})")
        if seen is None:
            why = "no face is seen in the small square; if it is an aligned crop, tell so"
            return _whole(picture, "crop (small square, no face seen)", why)
        return _whole(picture, "crop (its face lies as in one)") if seen else None

    def _cut(self, picture: Array, detection: Detection) -> Cut:
        crop = self._crop(picture, detection)
        found = quality(crop, detection.points)
        return Cut(detection, crop, "photo", found, found.unfit)

    def _crop(self, picture: Array, detection: Detection) -> Array:
        prepare = self.bundle.preprocess[self.bundle.inputs[0].name]
        if prepare.align is None:
            raise UsageError(
                f"bundle {self.bundle.path} does not tell how a face is aligned; give aligned crops"
            )
        return align(picture, detection.points, prepare.align, prepare.pad_value)


def is_aligned(picture: Array) -> bool:
    """Tell whether a picture may be an aligned crop: a square of up to 160 pixels."""
    height, width = picture.shape[:2]
    return bool(height == width <= ALIGNED_SIDE)


def _whole(picture: Array, taken: str, unsure: str = "") -> Cut:
    return Cut(None, picture, taken, quality(picture, None), unsure)


def _picture(image: Picture) -> Array:
    return read_image(image) if isinstance(image, Path | str) else check_picture(image)
