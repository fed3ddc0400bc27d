"""Pictures with classes in memory, part of them held out for judging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes
from edgesdk.core.tensors import Array
from edgesdk_training.data import Chosen, decode

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext

# Part of a set that is held out where the set itself holds nothing out.
HELD_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Classes:
    """Everything about pictures with classes that training asks for.

    Attributes:
        pictures: uint8 [N, S, S, 3].
        labels: int64 [N].
        names: Names of the classes.
        train: Indices of the pictures to learn from.
        held: Indices of those that judge.
        name: Name of the sets.
        gray: Whether no picture has a colour.
    """

    pictures: Array
    labels: Array
    names: tuple[str, ...]
    train: Array
    held: Array
    name: str
    gray: bool

    @property
    def sha256(self) -> str:
        """Hash of what is learnt from."""
        parts = (self.pictures[self.train].tobytes(), self.labels[self.train].tobytes())
        return sha256_bytes(b"".join(parts))


def read_classes(
    context: RunContext, role: str, size: int, groups: int = 0, most: int = 0
) -> Classes:
    """Read the pictures of a role with the class of each.

    Args:
        context: Of the run.
        role: Of the data.
        size: Side that all pictures are brought to.
        groups: Put the classes into so many groups, class i into i mod groups; 0 for none.
        most: Pictures to learn from at most, chosen by seed; 0 for all.

    Raises:
        UsageError: fewer than two classes.
    """
    dataset: Any = context.data(role)
    labels, names = _labels(dataset, groups)
    if len(names) < 2:
        raise UsageError(
            f"{dataset.name} holds {len(names)} class; give a folder per class, or an .npz of "
            "labelled pictures with two classes or more"
        )
    generator = np.random.default_rng(context.seed)
    held = getattr(dataset, "split", np.zeros(len(labels))) == 1
    if not held.any():
        held = generator.random(len(labels)) < HELD_SHARE
    known = labels >= 0
    train = np.flatnonzero(~held & known)
    if most:
        train = np.sort(generator.permutation(train)[:most])
    # Of a large set, few pictures may be asked for; the others are not decoded.
    wanted = np.concatenate([train, np.flatnonzero(held & known)])
    pictures, _ = decode(Chosen(dataset, wanted), size, context.progress)
    learn, judge = np.split(np.arange(len(wanted)), [len(train)])
    gray = bool((pictures[learn, ..., :1] == pictures[learn]).all())
    return Classes(pictures, labels[wanted], names, learn, judge, dataset.name, gray)


def _labels(dataset: Any, groups: int) -> tuple[Array, tuple[str, ...]]:
    labels = np.asarray(dataset.identities, np.int64)
    if groups:
        return np.where(labels < 0, -1, labels % groups), tuple(f"group {i}" for i in range(groups))
    names = getattr(dataset, "classes", None)
    if names is None:
        people = getattr(dataset, "people", None) or [str(i) for i in labels]
        known = {int(i): str(n) for i, n in zip(labels, people, strict=True) if i >= 0}
        names = tuple(known[i] for i in sorted(known))
    return labels, tuple(names)


def tensor(pictures: Array) -> Tensor:
    """Return uint8 [N, S, S, 3] as inputs of a student, [N, 3, S, S] in -1..1."""
    import torch

    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def predict(module: Any, pictures: Array, batch: int = 512) -> Array:
    """Return the logits of a module in eval mode, float32 [N, classes]."""
    import torch

    module.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(pictures), batch):
            parts.append(module(tensor(pictures[start : start + batch])).numpy(force=True))
    return np.concatenate(parts)


def softmax(logits: Array) -> Array:
    """Return logits [N, K] as chances, float64."""
    raised = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def accuracy(module: Any, data: Classes, chosen: Array) -> float:
    """Return the part of the chosen pictures that a module tells rightly, 0..1."""
    found = predict(module, data.pictures[chosen]).argmax(1)
    return float((found == data.labels[chosen]).mean())
