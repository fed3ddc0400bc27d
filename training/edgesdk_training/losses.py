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
