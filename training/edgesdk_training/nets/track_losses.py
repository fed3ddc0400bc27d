"""What a tracker learns: where, how large, and which words belong to what is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from edgesdk.track_steps import middle

SURE = 0.25  # of the box's sides: cells nearer to its middle shall find the target
BOX_L1, BOX_GIOU = 5.0, 2.0
SCORE_BCE = 0.5


class Aligned(torch.nn.Module):
    """The tracker with what only training needs: vectors of what is seen and what is said."""

    def __init__(self, tracker: Any, config: Any) -> None:
        super().__init__()
        self.tracker = tracker
        self.seen = torch.nn.Linear(config.width, config.width)
        self.said = torch.nn.Linear(config.width, config.width)


def objective(both: Aligned, config: Any, settings: Any) -> Callable[[Any], Any]:
    """Return the loss of a batch: score, box, alignment, teacher."""
    grid = grid_of(config)

    def loss(batch: Any) -> tuple[Any, dict[str, Any]]:
        model = both.tracker
        memory, search = _features(model, batch, config.held)
        score, box = model.decide(search, memory, batch["text"])
        logits, truth = score.flatten(1), batch["box"]
        present = truth.isfinite().all(1)
        inside, sure = cells_of(grid.to(truth.device), truth)
        placed = where(logits, inside, sure, present)
        size = _size(box.flatten(2), grid.to(truth.device), truth, sure, config.size)
        told = _align(both, search, memory, batch["text"], sure, settings.temperature)
        taught = _taught(logits, batch, present)
        total = placed + size + settings.align * told + settings.teach * taught
        hit = sure.gather(1, logits.argmax(1, keepdim=True))[:, 0].float()
        right = (hit * present).sum() / present.sum().clamp(min=1)
        return total, {"where": placed, "size": size, "align": told, "taught": taught, "hit": right}

    return loss


def grid_of(config: Any) -> Any:
    """Return x and y of each cell from the crop's middle, [2, cells], pixels of the crop."""
    place = (torch.arange(config.cells) - config.cells // 2) * float(config.stride)
    return torch.stack(torch.meshgrid(place, place, indexing="xy")).flatten(1)


def _features(model: Any, batch: Any, held: int) -> tuple[Any, Any]:
    """Return the features of memory and search, from crops where no features are given."""
    if batch["search"].shape[1] > 3:
        return batch["memory"], batch["search"]
    whole = model.backbone(torch.cat([batch["memory"], batch["search"]]))
    memory, search = whole.chunk(2)
    return middle(memory, held), search


def cells_of(grid: Any, truth: Any) -> tuple[Any, Any]:
    """Return which cells [N, cells] lie inside the box, and which near its middle."""
    away = (grid[None] - truth[:, :2, None]).abs()
    reach = truth[:, 2:, None]
    inside = (away <= reach / 2).all(1)
    step = grid[0, 1] - grid[0, 0]
    near = (away <= torch.maximum(reach * SURE, step * 0.75)).all(1)
    return inside, near


def where(logits: Any, inside: Any, sure: Any, present: Any) -> Any:
    """Return cross entropy over the cells, and over each cell alone, so that a score has a scale.

    Cells inside the box but not near its middle count as neither.
    """
    share = sure / sure.sum(1, keepdim=True).clamp(min=1)
    one_of = -(share * logits.log_softmax(1)).sum(1)[present & sure.any(1)]
    each = F.binary_cross_entropy_with_logits(logits, sure.float(), reduction="none")
    away = ~(inside | sure)
    parts = [(each * part).sum() / part.sum().clamp(min=1) for part in (sure, away)]
    return one_of.sum() / max(len(one_of), 1) + SCORE_BCE * (parts[0] + parts[1])


def _size(distances: Any, grid: Any, truth: Any, sure: Any, side: int) -> Any:
    """Return 5 L1 + 2 (1 - GIoU) of the boxes of cells near the middle."""
    low = grid[None] - distances[:, :2]
    high = grid[None] + distances[:, 2:]
    want_low = (truth[:, :2] - truth[:, 2:] / 2)[..., None].expand_as(low)
    want_high = (truth[:, :2] + truth[:, 2:] / 2)[..., None].expand_as(high)
    found = torch.cat([low, high], 1).transpose(1, 2)[sure]
    wanted = torch.cat([want_low, want_high], 1).transpose(1, 2)[sure]
    if not len(found):
        return distances.sum() * 0
    return BOX_L1 * (found - wanted).abs().mean() / side * 4 + BOX_GIOU * (
        1 - giou(found, wanted).mean()
    )


def giou(one: Any, other: Any) -> Any:
    """Return the generalised overlap of boxes [N, 4] given by their corners (Rezatofighi 2019)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - shared
    low, high = torch.minimum(one[:, :2], other[:, :2]), torch.maximum(one[:, 2:], other[:, 2:])
    hull = (high - low).prod(1).clamp(min=1e-6)
    return shared / areas.clamp(min=1e-6) - (hull - areas) / hull


def _align(
    both: Aligned, search: Any, memory: Any, text: Any, sure: Any, temperature: float
) -> Any:
    """Return InfoNCE in both directions between the target's tokens and its sentence's.

    Blank sentences take no part; of equal ones only the pair itself counts, the others are no
    negatives. What is seen is pooled at the box: the mean of all tokens describes the ground.
    """
    visual = both.tracker.visual(search, memory)
    weights = sure / sure.sum(1, keepdim=True).clamp(min=1)
    seen = both.seen((weights[..., None] * visual).sum(1))
    words = both.tracker.language(text)
    used = (text.abs().sum(2) > 0).float()
    said = both.said((words * used[..., None]).sum(1) / used.sum(1, keepdim=True).clamp(min=1))
    return contrast(seen, said, text, sure.any(1) & (used.sum(1) > 1), temperature)


def contrast(seen: Any, said: Any, text: Any, told: Any, temperature: float) -> Any:
    """Return InfoNCE in both directions between rows of what is seen and what is said.

    Args:
        seen: [N, width].
        said: [N, width].
        text: [N, L, D], equal ones being no negatives.
        told: [N], which rows take part.
        temperature: Of the cosines.
    """
    if told.sum() < 2:
        return seen.sum() * 0
    flat = text[told].flatten(1)
    twins = torch.cdist(flat, flat) < 1e-3
    twins.fill_diagonal_(False)
    likeness = F.normalize(seen[told], dim=1) @ F.normalize(said[told], dim=1).T / temperature
    likeness = likeness.masked_fill(twins, -1e4)
    own = torch.arange(len(likeness), device=likeness.device)
    return (F.cross_entropy(likeness, own) + F.cross_entropy(likeness.T, own)) / 2


def _taught(logits: Any, batch: Any, present: Any) -> Any:
    """Return how far the scores of real pairs are from the teacher's, as distributions."""
    if "teacher" not in batch:
        return logits.sum() * 0
    chosen = batch["real"] & present
    teacher = batch["teacher"].flatten(1)
    if not chosen.any() or teacher.shape != logits.shape:
        return logits.sum() * 0
    wanted = teacher[chosen].softmax(1)
    return F.kl_div(logits[chosen].log_softmax(1), wanted, reduction="batchmean")
