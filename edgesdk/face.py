"""Faces in Python: find, align, embed, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.batches import CHUNK, in_batches
from edgesdk.core.biometrics import cosine, far_key, unit
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import align, check_picture
from edgesdk.core.shipped import open_bundle
from edgesdk.core.tensors import Array
from edgesdk.images import read_image

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.detect import Detection, Detector

ALIGNED_SIDE = 160
FAR = 1e-2

Picture = Array | Path | str


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of a picture.

    Attributes:
        detection: Where it is; None for a picture that was an aligned crop.
        crop: Aligned face, [S, S, 3] uint8 RGB.
        embedding: float32 [D], unit length.
    """

    detection: Detection | None
    crop: Array
    embedding: Array


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two faces show one person.

    Attributes:
        similarity: Cosine of the embeddings, -1..1.
        same: The decision; None where the bundle stores no threshold for `far`.
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
        picture = _picture(image)
        found = list(self._detect(picture))
        crops = [self._crop(picture, detection) for detection in found]
        rows = self.embed(crops)
        return [Face(*parts) for parts in zip(found, crops, rows, strict=True)]

    def face(self, image: Picture, aligned: bool | None = None) -> Face:
        """Embed the one face that a picture is about: the largest, or the whole crop.

        Args:
            image: HxWx3 uint8 RGB array, or a file's path.
            aligned: The picture is an aligned crop, or is not; None: square pictures of up
                to 160 pixels are.

        Raises:
            UsageError: the picture cannot be read, or no face is found.
            MissingDependencyError: a whole photo needs a detector, and there is none.
        """
        detection, crop = self.cut(image, aligned)
        return Face(detection, crop, self.embed([crop])[0])

    def cut(self, image: Picture, aligned: bool | None = None) -> tuple[Detection | None, Array]:
        """Return where the largest face is, and its aligned crop; arguments as in `face`."""
        picture = _picture(image)
        if is_aligned(picture) if aligned is None else aligned:
            return None, picture
        found = self._detect(picture)
        if not found:
            name = f"picture {image}" if isinstance(image, Path | str) else "the picture"
            raise UsageError(
                f"{name} ({picture.shape[1]}x{picture.shape[0]} pixels) shows no face; give a "
                "photo with a face, or tell that it is an aligned crop"
            )
        largest = max(found, key=lambda detection: detection.area)
        return largest, self._crop(picture, largest)

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
        crops = [self.cut(image, aligned)[1] for image in (image_a, image_b)]
        one, other = self.embed(crops)
        return self.decide(one, other, far)

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

    def _detect(self, picture: Array) -> Sequence[Detection]:
        if self._detector is None:
            from edgesdk.detect import YuNet

            self._detector = YuNet(self._threads)
        return self._detector(picture)

    def _crop(self, picture: Array, detection: Detection) -> Array:
        prepare = self.bundle.preprocess[self.bundle.inputs[0].name]
        if prepare.align is None:
            raise UsageError(
                f"bundle {self.bundle.path} does not tell how a face is aligned; give aligned crops"
            )
        return align(picture, detection.points, prepare.align, prepare.pad_value)


def is_aligned(picture: Array) -> bool:
    """Tell whether a picture is taken for an aligned crop: a square of up to 160 pixels."""
    height, width = picture.shape[:2]
    return bool(height == width <= ALIGNED_SIDE)


def _picture(image: Picture) -> Array:
    return read_image(image) if isinstance(image, Path | str) else check_picture(image)


def run_pictures(
    bundle: Bundle | Path | str,
    paths: Sequence[Path],
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    aligned: bool | None = None,
    allow_fallback: bool = False,
) -> dict[str, Any]:
    """Embed the largest face of each picture and compare the first with each other one.

    Returns:
        Plain data: "bundle", "runtime", "faces" (picture, aligned, box, points, score,
        embedding), "comparisons" (a, b, similarity, same, decision, threshold, far) and
        "rule", the sentence behind the decisions.

    Raises:
        UsageError: there is no picture, one cannot be read, or one shows no face.
        MissingDependencyError: a whole photo needs a detector, and there is none.
    """
    if not paths:
        raise UsageError(
            "no picture was given; give one to embed it, two to compare them, or --device browser "
            "for a camera"
        )
    with FacePipeline(bundle, runtime, device, threads, allow_fallback=allow_fallback) as pipeline:
        cuts = [pipeline.cut(path, aligned) for path in paths]
        rows = pipeline.embed([crop for _, crop in cuts])
        compared = [pipeline.decide(rows[0], row) for row in rows[1:]]
    return {
        "bundle": pipeline.bundle.name,
        "runtime": pipeline.session.runtime,
        "faces": [
            _face_json(path, detection, row)
            for path, (detection, _), row in zip(paths, cuts, rows, strict=True)
        ],
        "comparisons": [
            {
                "a": str(paths[0]),
                "b": str(path),
                "similarity": result.similarity,
                "same": result.same,
                "decision": result.decision,
                "threshold": result.threshold,
                "far": result.far,
            }
            for path, result in zip(paths[1:], compared, strict=True)
        ],
        "rule": compared[0].reason if compared else None,
    }


def _face_json(path: Path, detection: Detection | None, embedding: Array) -> dict[str, Any]:
    return {
        "picture": str(path),
        "aligned": detection is None,
        "box": None if detection is None else list(detection.box),
        "points": None if detection is None else detection.points.tolist(),
        "score": None if detection is None else detection.score,
        "embedding": embedding.tolist(),
    }
