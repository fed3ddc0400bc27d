"""Faces in Python: find, align, embed, compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, overload

import numpy as np

from edgesdk.core.batches import CHUNK, in_batches
from edgesdk.core.biometrics import cosine, far_key, unit
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.preprocess import align, check_picture
from edgesdk.core.shipped import open_bundle
from edgesdk.core.stopwatch import Stopwatch
from edgesdk.core.tensors import Array
from edgesdk.images import read_image
from edgesdk.photos import find, seen_as_a_crop
from edgesdk.quality import quality
from edgesdk.seen import Comparison, Cut, Face, Picture
from edgesdk.stream import stream

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.session import Session
    from edgesdk.detect import Detection, Detector

__all__ = ["Comparison", "Cut", "Face", "FacePipeline", "Picture", "is_aligned"]

ALIGNED_SIDE = 160  # in pixels: larger squares are photos
LEAST_SIDE = 8
FAR = 1e-2


class FacePipeline:
    """Finds, aligns, embeds and compares faces. A context manager.

    Args:
        bundle: Opened bundle, its folder, or the name of a shipped model.
        runtime: Runtime; None for the first one of the bundle that works here.
        device: "cpu", "cuda:0" or "auto".
        threads: Threads of the CPU.
        detector: Finds the faces of whole photos: any detector, or "yunet" or "face-detector",
            opened when a photo first needs it; None for YuNet, without its extra for
            `face-detector`. One with a true attribute `concurrent` is called by several
            threads at once, any other by one after the other.
        allow_fallback: Accept another device than the one asked for.
        session: The bundle as it is open already.

    Attributes:
        bundle: The model.
        session: What runs it.
        spent: Time of decode, detect, align and embed so far.

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
        detector: Detector | str | None = None,
        allow_fallback: bool = False,
        session: Session | None = None,
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
        if isinstance(detector, str):
            from edgesdk.detect import check_name

            # Now, not with the first photo: that one would pass for a bad picture.
            check_name(detector)
        self.session = session or open_session(
            self.bundle, runtime, device, threads, allow_fallback
        )
        self._detector = None if isinstance(detector, str) else detector
        self._finds = detector if isinstance(detector, str) else None
        self._threads = threads
        self._looking = RLock()
        self.spent = Stopwatch()

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
        with self.spent("embed"):
            for start in range(0, len(crops), step):
                tensor = prepare(crops[start : start + step])
                rows.append(self._run(spec.name, tensor, fixed))
            return unit(np.concatenate(rows))

    @overload
    def faces(self, image: Picture) -> list[Face]: ...

    @overload
    def faces(self, image: list[Picture] | tuple[Picture, ...]) -> list[list[Face]]: ...

    def faces(
        self, image: Picture | list[Picture] | tuple[Picture, ...]
    ) -> list[Face] | list[list[Face]]:
        """Find and embed all faces of a whole photo, surest first, or of each of several photos.

        Args:
            image: HxWx3 uint8 RGB array, or a file's path; or a list of them, which are worked on
                by all cores and of which one without faces gives an empty list.

        Raises:
            UsageError: a picture cannot be read.
            MissingDependencyError: there is no detector.
        """
        if isinstance(image, list | tuple):
            return [_or_raise(faces) for faces in self.each(image)]
        return _or_raise(next(self.each([image])))

    def each(
        self,
        pictures: Iterable[Picture | UsageError],
        aligned: bool | None = False,
        largest: bool = False,
        workers: int | None = None,
    ) -> Iterator[list[Face] | UsageError]:
        """Yield the faces of each of many pictures, in order, while the cores work on the next.

        Args:
            pictures: Arrays or files; taken a few ahead of what is yielded. An error in place of
                one is passed on.
            aligned: As in `face`.
            largest: The largest face of each picture alone, as `face` gives it.
            workers: Threads that read pictures and find faces; None for one per core.

        Yields:
            The faces, surest first, or the UsageError of a picture that gives none.

        Raises:
            MissingDependencyError: a whole photo needs a detector, and there is none.
        """

        def cut(picture: Picture) -> list[Cut]:
            return [self.cut(picture, aligned)] if largest else self.cuts(picture, aligned)

        yield from stream(pictures, cut, self.embed, workers)

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
        picture = self._picture(image)
        crop = self._as_crop(picture, aligned)
        if crop is not None:
            return crop
        with self._look() as detector:
            found = find(detector, picture, largest=True)
        if not found:
            name = f"picture {image}" if isinstance(image, Path | str) else "the picture"
            raise UsageError(
                f"{name} ({picture.shape[1]}x{picture.shape[0]} pixels) shows no face; give a "
                "photo with a face, or tell that it is an aligned crop"
            )
        return self._cut(picture, max(found, key=lambda detection: detection.area))

    def cuts(self, image: Picture, aligned: bool | None = False) -> list[Cut]:
        """Cut out all faces, surest first; arguments as in `face`."""
        picture = self._picture(image)
        crop = self._as_crop(picture, aligned)
        if crop is not None:
            return [crop]
        with self._look() as detector:
            found = find(detector, picture)
        return [self._cut(picture, detection) for detection in found]

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

    def _picture(self, image: Picture) -> Array:
        with self.spent("decode"):
            return read_image(image) if isinstance(image, Path | str) else check_picture(image)

    def _finder(self) -> Detector:
        with self._looking:
            if self._detector is None:
                from edgesdk.detect import detector

                self._detector = detector(self._finds, self._threads)
            return self._detector

    @contextmanager
    def _look(self) -> Iterator[Detector]:
        """Give the detector: to one thread at a time, unless it says that it takes several."""
        detector = self._finder()
        alone = nullcontext() if getattr(detector, "concurrent", False) else self._looking
        with alone, self.spent("detect"):
            yield detector

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
            with self._look() as detector:
                seen = seen_as_a_crop(detector, picture)
        except MissingDependencyError as error:
            return _whole(picture, f"crop (small square, not looked at: {error})")
        if seen is None:
            why = "no face is seen in the small square; if it is an aligned crop, tell so"
            return _whole(picture, "crop (small square, no face seen)", why)
        return _whole(picture, "crop (its face lies as in one)") if seen else None

    def _cut(self, picture: Array, detection: Detection) -> Cut:
        with self.spent("align"):
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


def _or_raise(faces: list[Face] | UsageError) -> list[Face]:
    if isinstance(faces, UsageError):
        raise faces
    return faces
