"""What a face detector learns from a tile: which cells show a face, its box and points.

A cell near the middle of a face answers for it, at the strides that suit the face's size, as in
FCOS (Tian et al. 2019); cells around those, and faces that the teacher is unsure of, tell nothing.
Scores learn by focal loss (Lin et al. 2017), boxes by their distance-penalised overlap (Zheng et
al. 2020), points by their distance in parts of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from edgesdk_training.nets.face_detector import STRIDES
from edgesdk_training.scenes import POINTS, SCORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

# Sizes in pixels of the faces that a stride answers for; neighbours share some.
SIZES = {8: (0.0, 40.0), 16: (26.0, 90.0), 32: (60.0, 1e9)}
# Near the middle, in parts of the box: its cells answer; up to the second they tell nothing.
CORE, RING = 0.2, 0.5
NEAR = 1.4  # a stride that suits a face so much larger or smaller tells nothing
GAMMA, ALPHA = 2.0, 0.5


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the parts of the loss."""

    box: float = 2.0
    points: float = 2.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What the cells of all strides say, joined.

    Attributes:
        logits: [N, C].
        boxes: x, y, width, height in pixels, [N, C, 4].
        points: In pixels, [N, C, 5, 2].
        places: x and y of each cell's middle, [C, 2].
        strides: Of each cell, [C].
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor
    places: Tensor
    strides: Tensor


def read(maps: Sequence[Tensor]) -> Answers:
    """Read the network's nine maps; the numpy reference is `edgesdk.boxes.decode`."""
    logits, boxes, points, places, strides = [], [], [], [], []
    for stride, (score, box, spots) in zip(
        STRIDES, zip(maps[::3], maps[1::3], maps[2::3], strict=True), strict=True
    ):
        high, wide = score.shape[2:]
        rows, columns = (torch.arange(n, device=score.device).float() for n in (high, wide))
        corner = torch.stack([columns.repeat(high), rows.repeat_interleave(wide)], 1)
        flat = box.flatten(2).mT.float()
        size = flat[..., 2:].clamp(-6, 6).exp() * stride
        boxes.append(torch.cat([(flat[..., :2] + corner) * stride - size / 2, size], -1))
        shape = (len(spots), 5, 2, high * wide)
        there = spots.float().reshape(shape).permute(0, 3, 1, 2)
        points.append((there + corner[:, None]) * stride)
        logits.append(score.flatten(1).float())
        places.append((corner + 0.5) * stride)
        strides.append(torch.full((high * wide,), float(stride), device=score.device))
    return Answers(
        torch.cat(logits, 1),
        torch.cat(boxes, 1),
        torch.cat(points, 1),
        torch.cat(places),
        torch.cat(strides),
    )


def targets(faces: Tensor, places: Tensor, strides: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Return which face each cell answers for, and which cells learn a score.

    Args:
        faces: [N, K, ROW]; rows of zeros are none.
        places: [C, 2].
        strides: [C].
        least: Score from which a row is a face.

    Returns:
        int64 [N, C], -1 for no face, and bool [N, C].
    """
    low, size = faces[..., :2], faces[..., 2:4]
    there = size.prod(-1) > 0
    away = ((places[:, None] - (low + size / 2)[:, None]) / size.clamp_min(1e-6)[:, None]).abs()
    away = away.amax(-1)  # [N, C, K], in parts of the box
    side = size.prod(-1).clamp_min(1e-6).sqrt()[:, None]
    spans = torch.tensor([SIZES[int(s)] for s in STRIDES], device=faces.device)
    least_px, most_px = spans[(strides / 16).long().clamp_max(2)].T[:, None, :, None]
    fits = (side >= least_px) & (side < most_px)
    sure = (there & (faces[..., SCORE] >= least))[:, None]
    core = fits & sure & ((away < CORE) | _nearest(away, strides))
    best = torch.where(core, away, away.new_tensor(1e9)).argmin(-1)
    chosen = torch.where(core.any(-1), best, torch.full_like(best, -1))
    near = (side * NEAR >= least_px) & (side / NEAR < most_px)
    silent = ((away < RING) & there[:, None] & (near | ~sure)).any(-1)
    return chosen, (chosen >= 0) | ~silent


def _nearest(away: Tensor, strides: Tensor) -> Tensor:
    """Tell which cell of each stride is nearest to each face: it answers for a tiny one."""
    nearest = torch.zeros_like(away, dtype=torch.bool)
    for stride in STRIDES:
        own = (strides == stride)[None, :, None]
        part = torch.where(own, away, away.new_tensor(1e9))
        nearest |= (part == part.amin(1, keepdim=True)) & own
    return nearest


def loss(
    maps: Sequence[Tensor], faces: Tensor, least: float, weights: Weights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch of tiles, and its parts.

    Args:
        maps: The network's nine maps.
        faces: [N, K, ROW]; rows of zeros are none.
        least: Score from which a row is a face.
        weights: Of the parts.
    """
    said = read(maps)
    with torch.no_grad():
        chosen, learns = targets(faces, said.places, said.strides, least)
    face = chosen >= 0
    score = _focal(said.logits, face.float())[learns].sum() / face.sum().clamp_min(1)
    batch, cell = face.nonzero(as_tuple=True)
    wanted = faces[batch, chosen[batch, cell]]
    if not len(wanted):
        return score, {"score": score}
    box = (1 - _overlap(said.boxes[batch, cell], wanted[:, :4])).mean()
    side = wanted[:, 2:4].prod(-1).sqrt()
    there = wanted[:, POINTS:].reshape(-1, 5, 2)
    apart = (said.points[batch, cell] - there) / side[:, None, None]
    points = F.smooth_l1_loss(apart, torch.zeros_like(apart), beta=0.03)
    whole = score + weights.box * box + weights.points * 5 * points
    return whole, {"score": score, "box": box, "points": apart.abs().mean()}


def _focal(logits: Tensor, wanted: Tensor) -> Tensor:
    chance = logits.sigmoid()
    wrong = chance * (1 - wanted) + (1 - chance) * wanted
    share = ALPHA * wanted + (1 - ALPHA) * (1 - wanted)
    plain = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return 4 * share * wrong**GAMMA * plain


def _overlap(found: Tensor, wanted: Tensor) -> Tensor:
    """Return intersection over union less the squared distance of the middles, [M]."""
    low, high = found[:, :2], found[:, :2] + found[:, 2:]
    other_low, other_high = wanted[:, :2], wanted[:, :2] + wanted[:, 2:]
    common = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp_min(0).prod(-1)
    union = found[:, 2:].prod(-1) + wanted[:, 2:].prod(-1) - common
    around = torch.maximum(high, other_high) - torch.minimum(low, other_low)
    apart = ((low + high - other_low - other_high) / 2).square().sum(-1)
    overlap: Tensor = common / union.clamp_min(1e-6)
    return overlap - apart / around.square().sum(-1).clamp_min(1e-6)
