"""Closed form after training: directions in which one person's pictures vary count less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk_training.faces import Faces


def whiten(student: Any, faces: Faces, settings: Any) -> None:
    """Fold centring and whitening into the identity layer, in place; it costs nothing later.

    The mean of all faces is taken away, then the within-person covariance is evened out.

    Args:
        student: A network whose last layer `identity` is linear; its outputs are unit rows.
        faces: The public faces; those with a class are used, as a device would see them.
        settings: Fields size and whiten (the shrinkage).
    """
    import torch

    student.eval()
    chosen = faces.labelled
    identity = faces.embed(lambda x: student.heads(x)[1], chosen.numpy(force=True), settings.size)
    rows = torch.from_numpy(identity).to(chosen.device)
    fold_whitening(student, rows, faces.labels[chosen], settings.whiten)


def fold_whitening(student: Any, rows: Tensor, labels: Tensor, shrinkage: float) -> None:
    """Change the last layer `identity` of `student` so that it centres and whitens its answers.

    Args:
        student: Changed in place.
        rows: What the layer answers now, [N, D].
        labels: Person of each row, [N].
        shrinkage: As in `within_whitening`.
    """
    import torch
    from torch.nn.functional import normalize

    mean = rows.mean(0)
    matrix = within_whitening(normalize(rows - mean), labels, shrinkage)
    with torch.no_grad():
        student.identity.weight.copy_(matrix @ student.identity.weight)
        student.identity.bias.copy_(matrix @ (student.identity.bias - mean))


def within_whitening(rows: Tensor, labels: Tensor, shrinkage: float) -> Tensor:
    """Return the symmetric [D, D] matrix that makes the within-class covariance an identity.

    Args:
        rows: [N, D].
        labels: Class of each row, [N].
        shrinkage: Part of the mean variance that is added to every direction; large values
            leave the rows as they are, up to their length.
    """
    import torch

    _, places, counts = labels.unique(return_inverse=True, return_counts=True)
    sums = rows.new_zeros(len(counts), rows.shape[1]).index_add_(0, places, rows)
    inner = rows - (sums / counts[:, None])[places]
    covariance = inner.T @ inner / max(1, len(rows) - len(counts))
    values, vectors = torch.linalg.eigh(covariance)
    values = values + shrinkage * values.mean()
    return (vectors * (values / values.mean()).rsqrt()) @ vectors.T
