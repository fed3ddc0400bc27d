"""What methods add to the cross-entropy of a client's own labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MASKED = 1000.0


def softened(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 * KL(softmax(teacher / T) || softmax(student / T)), the mean of the batch.

    Args:
        student: Scores or features [N, K].
        teacher: The same of a frozen network.
        temperature: T.
    """
    import torch.nn.functional as F

    ours = F.log_softmax(student / temperature, 1)
    theirs = F.log_softmax(teacher / temperature, 1)
    return temperature**2 * F.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def joined(teachers: Sequence[tuple[float, Tensor]], temperature: float) -> tuple[Tensor, Tensor]:
    """Return what several frozen teachers say as one, once for all steps of a round.

    The distances to them add up to `spread` minus the sum of `targets` times the student's log.

    Args:
        teachers: Weight and scores [N, C] of each.
        temperature: T.

    Returns:
        targets [N, C], spread [N].
    """
    import torch
    import torch.nn.functional as F

    logs = [(part, F.log_softmax(scores / temperature, 1)) for part, scores in teachers]
    targets = [part * log.exp() for part, log in logs]
    spread = [(p * log).sum(1) for p, (_, log) in zip(targets, logs, strict=True)]
    return torch.stack(targets).sum(0), torch.stack(spread).sum(0)


def apart(student: Tensor, targets: Tensor, spread: Tensor, temperature: float) -> Tensor:
    """Return T^2 * the weighted distances to `joined` teachers, the mean of the batch."""
    import torch.nn.functional as F

    ours = F.log_softmax(student / temperature, 1)
    return temperature**2 * (spread - (targets * ours).sum(1)).mean()


def majority(counts: Tensor) -> Tensor:
    """Return bool [C]: the classes of which a client has more than the mean of all C counts."""
    numbers = counts.double()
    return numbers > numbers.mean()


def masked(
    scores: Tensor, teacher: Tensor | None, labels: Tensor, common: Tensor, temperature: float
) -> Tensor:
    """Return the distance to a teacher that tells of rare classes alone, the mean of the batch.

    The teacher's answer is taken over the client's minority classes without the label's own;
    the student's over all classes but the label's own. A picture without any such class adds 0.

    Args:
        scores: Of the student, [N, C].
        teacher: Scores [N, C] of the frozen network; None for a teacher that finds all such
            classes alike.
        labels: int64 [N].
        common: bool [C], the client's majority classes.
        temperature: T.
    """
    import torch
    import torch.nn.functional as F

    own = F.one_hot(labels, scores.shape[1]).bool()
    hidden = own | common
    answers = torch.zeros_like(scores) if teacher is None else teacher / temperature
    theirs = F.softmax(answers - MASKED * hidden, 1)
    ours = F.log_softmax(scores / temperature - MASKED * own, 1)
    # Where all are hidden the masks cancel out and the label's own class would show through.
    told = (~hidden).any(1)
    return temperature**2 * (told * _divergence(theirs, ours).sum(1)).mean()


def _divergence(theirs: Tensor, ours: Tensor) -> Tensor:
    import torch.nn.functional as F

    return F.kl_div(ours, theirs, reduction="none")


def not_true(scores: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return FedNTD's distance: both softened over all classes but the label's own."""
    import torch

    nothing = torch.zeros(scores.shape[1], dtype=torch.bool, device=scores.device)
    return masked(scores, teacher, labels, nothing, temperature)
