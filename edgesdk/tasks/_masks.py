"""What a network that completes masked faces saw: the mask, and the face without it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk.core.batches import in_batches
from edgesdk.core.bundle import Bundle
from edgesdk.core.preprocess import Preprocess, resize
from edgesdk.core.tensors import Array
from edgesdk.face import FacePipeline

MASK, COMPLETED = "mask", "completed"
TINT, SHARE = np.array([230.0, 40, 40], np.float32), 0.55
SIDE = 112  # of a picture on the sheet, in pixels


def completes(bundle: Bundle) -> bool:
    """Tell whether a bundle gives the mask and the completed face beside the embedding."""
    return {MASK, COMPLETED} <= {spec.name for spec in bundle.outputs}


def views(pipeline: FacePipeline, crops: Sequence[Array]) -> list[Array]:
    """Return for each crop a picture of it, its mask in red, and the completed face, side by side.

    Args:
        pipeline: Of a bundle that `completes`.
        crops: Aligned faces, HxWx3 uint8 RGB.

    Returns:
        [112, 336, 3] uint8 RGB each.
    """
    (spec,) = pipeline.bundle.inputs
    how, run = pipeline.bundle.preprocess[spec.name], pipeline.session.run
    found = in_batches(run, {spec.name: how(crops)}, spec.shape[0])
    rows = zip(crops, found[MASK], found[COMPLETED], strict=True)
    return [_view(crop, mask[0], completed, how) for crop, mask, completed in rows]


def _view(crop: Array, mask: Array, completed: Array, how: Preprocess) -> Array:
    face = resize(crop, (SIDE, SIDE))
    over = SHARE * resize(np.repeat(mask[..., None] * 255, 3, 2), (SIDE, SIDE)) / 255
    red = face * (1 - over) + TINT * over
    pixels = completed if how.layout == "NHWC" else completed.transpose(1, 2, 0)
    whole = pixels * np.asarray(how.std, np.float32) + np.asarray(how.mean, np.float32)
    whole = whole if how.color == "RGB" else whole[..., ::-1]
    parts = [face, red, resize(whole.clip(0, 255), (SIDE, SIDE))]
    return np.hstack(parts).round().astype(np.uint8)
