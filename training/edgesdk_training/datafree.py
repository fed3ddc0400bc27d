"""Distillation without data: a generator learns from a frozen teacher alone what to ask it.

Losses as in DAFL (Chen et al. 2019, arXiv 1904.01186), one-hot and entropy; the statistics of
the teacher's BatchNorms as in DeepInversion (Yin et al. 2020, arXiv 1912.08795).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk_training.classes import tensor

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk.core.tensors import Array
    from edgesdk_training.classes import Classes

SAMPLES = 256


@dataclass(frozen=True, slots=True)
class Invention:
    """How the generator learns.

    Attributes:
        steps: Steps.
        batch: Pictures per step.
        lr: Highest learning rate of AdamW.
        entropy: Weight of the entropy of the mean prediction, natural logarithm.
        norms: Weight of the distance from the teacher's BatchNorm statistics.
        noise: Length of its input.
        width: Channels of its first map.
    """

    steps: int
    batch: int
    lr: float
    entropy: float
    norms: float
    noise: int
    width: int


def learn_classes(
    context: RunContext, module: Any, data: Classes, chosen: Array, phase: str, plan: Any,
    mirror: bool = False,
) -> Any:  # fmt: skip
    """Train a classifier on pictures with labels; return it in eval mode.

    Args:
        context: Of the run.
        module: A fresh network.
        data: The pictures.
        chosen: Indices of those to learn from.
        phase: Its name.
        plan: (phase, count) -> Plan.
        mirror: Whether pictures are mirrored by chance.
    """
    import torch
    import torch.nn.functional as F

    from edgesdk_training.loop import fit

    pictures = torch.from_numpy(data.pictures[chosen])
    labels = torch.from_numpy(data.labels[chosen])

    def draw(order: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        images = pictures[order].permute(0, 3, 1, 2).float() / 127.5 - 1
        return moved(images, generator, mirror), labels[order]

    def loss(batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        logits = module(batch[0])
        right = (logits.argmax(1) == batch[1]).float().mean()
        return F.cross_entropy(logits, batch[1]), {"right": right}

    fit(context, plan(phase, len(chosen)), module, draw, loss)
    return module


def moved(images: Tensor, generator: Generator, mirror: bool) -> Tensor:
    """Return a batch [N, 3, S, S] shifted by up to a fourteenth of its side, mirrored by chance."""
    import torch
    import torch.nn.functional as F

    size = images.shape[-1]
    reach = size // 14
    if reach:
        x, y = torch.randint(0, 2 * reach + 1, (2,), generator=generator).tolist()
        padded = F.pad(images, (reach,) * 4, mode="replicate")
        images = padded[..., y : y + size, x : x + size]
    if mirror:
        turned = torch.rand(len(images), generator=generator) < 0.5
        images = torch.where(turned[:, None, None, None], images.flip(3), images)
    return images


def fresh_generator(how: Invention, size: int, gray: bool, seed: int) -> Any:
    """Return a generator whose first weights follow from the seed."""
    import torch

    from edgesdk_training.nets.picture_generator import PictureGenerator

    torch.manual_seed(seed)
    return PictureGenerator(size, how.noise, how.width, gray)


def learn_generator(context: RunContext, teacher: Any, how: Invention, generator: Any) -> None:
    """Teach a generator to draw what the teacher knows; it ends in eval mode.

    Raises:
        UsageError: the teacher has no BatchNorm, whose statistics the method lives on.
    """
    import torch
    import torch.nn.functional as F

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.nets.open_teacher import norm_distance, norms

    layers = norms(teacher)
    if not layers and how.norms:
        raise UsageError("the teacher has no BatchNorm, so it tells nothing of its data; norms=0")
    teacher.eval().requires_grad_(False)
    seen: list[Tensor] = []
    hooks = [n.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for n in layers]

    def draw(order: Tensor, random: Generator) -> Tensor:
        return torch.randn(len(order), how.noise, generator=random)

    def loss(noise: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        seen.clear()
        logits = teacher(generator(noise))
        sure = F.cross_entropy(logits, logits.argmax(1))
        mean = logits.softmax(1).mean(0)
        even = (mean * (mean + 1e-9).log()).sum()
        apart = norm_distance(seen, layers)
        value = sure + how.entropy * even + how.norms * apart
        return value, {"sure": sure, "even": even, "norms": apart}

    plan = Plan("generate", how.steps * how.batch, 1, how.batch, how.lr, "adamw", 0.0)
    fit(context, plan, generator, draw, loss)
    for hook in hooks:
        hook.remove()


def invented(generator: Any, count: int, seed: int) -> Array:
    """Return pictures of a generator, uint8 [count, S, S, 3]."""
    import torch

    random = torch.Generator().manual_seed(seed)
    parts = []
    with torch.no_grad():
        for start in range(0, count, SAMPLES):
            wanted = min(SAMPLES, count - start)
            parts.append(generator(torch.randn(wanted, generator.noise, generator=random)))
    images = (torch.cat(parts) + 1) * 127.5
    return np.ascontiguousarray(images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())


def noise_pictures(count: int, size: int, gray: bool, seed: int) -> Array:
    """Return pictures of uniform noise, uint8 [count, S, S, 3]: what one asks without any idea."""
    colours = 1 if gray else 3
    drawn = np.random.default_rng(seed).integers(0, 256, (count, size, size, colours), np.uint8)
    return np.repeat(drawn, 3 // colours, 3)


def learn_released(
    context: RunContext, module: Any, pictures: Array, answers: Array, phase: str, plan: Any
) -> Any:
    """Train a student on pictures and what was released of them; return it in eval mode.

    The loss is -log sum_y answers[y] * p(y): with one-hot rows cross-entropy, with the chances
    of a mechanism the likelihood of what it told (forward correction, Patrini et al. 2017).

    Args:
        context: Of the run.
        module: A fresh network.
        pictures: uint8 [N, S, S, 3].
        answers: float32 [N, K].
        phase: Its name.
        plan: (phase, count) -> Plan.
    """
    import torch

    from edgesdk_training.loop import fit

    images, told = tensor(pictures), torch.from_numpy(answers)

    def draw(order: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return images[order], told[order]

    def loss(batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        likely = (module(batch[0]).softmax(1) * batch[1]).sum(1)
        return -(likely + 1e-12).log().mean(), {}

    fit(context, plan(phase, len(pictures)), module, draw, loss)
    return module
