"""How much a face shows: size, sharpness and turn, and from where on a comparison is a guess."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.core.preprocess import ARCFACE_112, similarity
from edgesdk.core.tensors import Array
from edgesdk.photos import MISFIT, misfit

# Measured by tools/face_quality.py on LFW folds 1-5, see benchmarks/results/face-quality.json.
LEAST_PX = 24.0
LEAST_SHARPNESS = 0.046
TURN_TOLD = 30.0


@dataclass(frozen=True, slots=True)
class Quality:
    """How much of a face a picture shows.

    Attributes:
        size_px: Side of the aligned square in pixels of the picture.
        sharpness: Spread of the differences between neighbouring pixels of the crop against the
            spread of its greys; see `sharpness`.
        turn_deg: How far the face is turned in the picture's plane, clockwise; 0 for a crop.
        misfit: How far the points lie from a frontal face's, in pixels of 112; None for a crop.
    """

    size_px: float
    sharpness: float
    turn_deg: float = 0.0
    misfit: float | None = None

    @property
    def poor(self) -> str:
        """Why the face may look like nobody's; "" where it does not."""
        if self.size_px < LEAST_PX:
            return f"the face has {self.size_px:.0f} pixels, fewer than {LEAST_PX:.0f}"
        if self.sharpness < LEAST_SHARPNESS:
            return f"the face is blurred ({self.sharpness:.3f}, below {LEAST_SHARPNESS:g})"
        return ""

    @property
    def unfit(self) -> str:
        """Why it may be no face, or a crop of the wrong part; "" where nothing tells so."""
        if self.misfit is not None and self.misfit > MISFIT:
            return f"the points lie {self.misfit:.0f} pixels of 112 from a face's"
        return ""

    @property
    def note(self) -> str:
        """Size, and what is unusual, in a few words."""
        words = [f"{self.size_px:.0f} px"]
        if self.sharpness < LEAST_SHARPNESS:
            words.append("blurred")
        if abs(self.turn_deg) > TURN_TOLD:
            words.append(f"turned by {self.turn_deg:.0f}°")
        if self.unfit:
            words.append("points do not fit a face")
        return ", ".join(words)


def quality(crop: Array, points: Array | None) -> Quality:
    """Judge an aligned crop, uint8 RGB, cut from a photo at five points or given as it is."""
    if points is None:
        return Quality(float(min(crop.shape[:2])), sharpness(crop))
    forward = similarity(points, ARCFACE_112)
    scale = float(np.hypot(forward[0, 0], forward[1, 0]))
    turn = float(np.degrees(np.arctan2(-forward[1, 0], forward[0, 0])))
    return Quality(112 / scale, sharpness(crop), turn, misfit(points))


def sharpness(crop: Array) -> float:
    """Return the spread of a crop's Laplacian at 112 pixels over the spread of its greys.

    About 0.23 for the aligned faces of LFW. Equal greys give 0.
    """
    from PIL import Image

    grey = Image.fromarray(crop).convert("L").resize((112, 112), Image.Resampling.BICUBIC)
    g = np.asarray(grey, np.float64)
    edges = 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
    return float(edges.std() / g.std()) if g.std() > 0 else 0.0
