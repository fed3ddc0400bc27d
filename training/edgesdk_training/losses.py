"""Losses and targets of distillation, as functions of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def centred(features: Tensor) -> Tensor:
    """Return the rows of [N, D] minus their common mean, at length 1.

    Without it the regression spends itself on the mean that all faces share.
    """
    from torch.nn.functional import normalize

    return normalize(features - features.mean(0, keepdim=True))


def spread(features: Tensor, width: int, seed: int) -> Tensor:
    """Return [N, D] in `width` >= D dimensions by a random orthogonal map; angles stay."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(width, features.shape[1], generator=generator)
    return features @ torch.linalg.qr(square).Q.T.to(features.device)


def in_width(features: Tensor, width: int, seed: int) -> Tensor:
    """Return centred unit rows [N, width] that keep the angles of `features` as well as can be.

    Fewer dimensions are turned into more (`spread`), more are cut to the principal ones.
    """
    import torch

    rows = centred(features)
    if rows.shape[1] < width:
        return spread(rows, width, seed)
    if rows.shape[1] > width:
        # eigh sorts by rising variance.
        return centred(rows @ torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -width:])
    return rows


def softened(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over the batch."""
    import torch.nn.functional as F

    log_student = F.log_softmax(student / temperature, 1)
    soft_teacher = F.softmax(teacher / temperature, 1)
    return temperature**2 * F.kl_div(log_student, soft_teacher, reduction="batchmean")


def regression(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance between unit(prediction) and unit targets, 0..4."""
    from torch.nn.functional import normalize

    distance: Tensor = (normalize(prediction) - target).square().sum(1)
    return distance.mean()


def relation(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference between the cosines of all pairs of the batch."""
    from torch.nn.functional import normalize

    unit = normalize(prediction)
    return (unit @ unit.T - target @ target.T).square().mean()


def contrast(prediction: Tensor, bank: Tensor, index: Tensor, scale: float) -> Tensor:
    """Return the cross-entropy of finding one's own teacher vector among many.

    Args:
        prediction: [B, D].
        bank: Unit teacher vectors [M, D].
        index: Row of `bank` that belongs to each item, [B].
        scale: Inverse temperature of the cosines.
    """
    import torch.nn.functional as F

    return F.cross_entropy(scale * F.normalize(prediction) @ bank.T, index)


def pair(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss between the distances of all pairs, each side's mean distance being 1.

    Relational distillation of second order (Park et al. 2019). Both [B, D], `target` of length 1.
    """
    import torch.nn.functional as F

    return F.smooth_l1_loss(_distances(prediction), _distances(target))


def _distances(rows: Tensor) -> Tensor:
    from torch.nn.functional import normalize

    unit = normalize(rows)
    # A root's slope at 0 is infinite: the diagonal, and equal rows, are kept off it.
    found = (2 - 2 * unit @ unit.T).clamp_min(1e-6).sqrt()
    return found / found.mean()


# The angles of all triples are B^3 numbers.
TRIPLET_ROWS = 32


def triplet(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss between the cosines of the angles that all triples make.

    Relational distillation of third order (Park et al. 2019), on the first 32 rows of [B, D].
    """
    import torch.nn.functional as F

    return F.smooth_l1_loss(_angles(prediction[:TRIPLET_ROWS]), _angles(target[:TRIPLET_ROWS]))


def _angles(rows: Tensor) -> Tensor:
    """Return [B, B, B]: for each row, the cosines between the ways to all others."""
    from torch.nn.functional import normalize

    unit = normalize(rows)
    ways = normalize(unit[None] - unit[:, None], dim=2)
    return ways @ ways.mT


def predictions(prediction: Tensor, target: Tensor, centres: Tensor, scale: float) -> Tensor:
    """Return the divergence between what both sides take a face for, among people's centres.

    Args:
        prediction: [B, D].
        target: Unit rows of the teacher, [B, D].
        centres: Unit rows that stand for people, [M, D].
        scale: Inverse temperature of the cosines.
    """
    from torch.nn.functional import normalize

    return softened(scale * normalize(prediction) @ centres.T, scale * target @ centres.T, 1.0)
