"""Step 1 of de-occlusion distillation: find what hides a face and draw what is behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.tensors import Array

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.masked import MaskedFaces

# Shipped and small: what it sees in a face is what the perceptual term compares.
CRITIC = "bridge-face-32"
CRITIC_SIDE = 32
SHOWN = 10


def teach_completion(settings: Any, context: RunContext, faces: MaskedFaces, model: Any) -> None:
    """Teach segmenter and generator of `model` in place; both are folded and frozen after it.

    The discriminator learns in the same step: it is shown the completed face without gradient,
    and the generator is shown it with its weights frozen.

    Args:
        settings: Of the recipe `deocclusion`.
        context: Of the run.
        faces: The public faces.
        model: A network with `segmenter` and `generator`.
    """
    import torch
    from torch import nn

    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.nets.common import fold
    from edgesdk_training.nets.patches import Patches

    critic = _critic(context)
    learnt = nn.ModuleDict({"segmenter": model.segmenter, "generator": model.generator})
    if settings.adversarial:
        torch.manual_seed(context.seed)
        learnt["patches"] = Patches()
    # One that was taught before comes folded and frozen.
    learnt.to(context.device, memory_format=torch.channels_last).requires_grad_(True)
    train = faces.train

    def draw(order: Tensor, generator: Any) -> Any:
        return faces.pairs(train[order], generator)

    def loss(batch: Any) -> Any:
        clean, seen, opacity = batch
        with torch.autocast(clean.device.type, torch.bfloat16, enabled=settings.bf16):
            logits = learnt["segmenter"](seen)
            drawn = learnt["generator"](seen, _known(torch.sigmoid(logits), opacity))
        terms = _terms(settings, logits.float(), drawn.float(), clean, opacity)
        whole = clean + (drawn.float() - clean) * opacity
        if settings.perceptual:
            terms["perceptual"] = _unlike(critic, whole, clean)
        if settings.adversarial:
            terms["adversarial"], terms["discriminator"] = _contest(
                learnt["patches"], whole, clean, opacity
            )
        weights = {name: getattr(settings, name, 1.0) for name in terms}
        return sum(weights[name] * value for name, value in terms.items()), terms

    plan = Plan(
        "complete", len(train), settings.complete_epochs, min(settings.batch, len(train)),
        settings.complete_lr, "adamw", 1e-3, clip=5.0,
    )  # fmt: skip
    fit(context, plan, learnt, draw, loss)
    fold(model.segmenter)
    fold(model.generator)


def _known(found: Tensor, opacity: Tensor) -> Tensor:
    """Return the true mask for one half of the batch, for the others the one found.

    The generator then learns from the first step, and bears the segmenter's errors.
    """
    import torch

    half = len(found) // 2
    return torch.cat([opacity[:half], found[half:].detach()])


def _terms(
    settings: Any, logits: Tensor, drawn: Tensor, clean: Tensor, opacity: Tensor
) -> dict[str, Tensor]:
    import torch.nn.functional as F

    away = (drawn - clean).abs().mean(1, keepdim=True)
    return {
        "segment": F.binary_cross_entropy_with_logits(logits, opacity),
        "hidden": (away * opacity).sum() / opacity.sum().clamp_min(1),
        "visible": (away * (1 - opacity)).mean(),
    }


def _critic(context: RunContext) -> Any:
    from edgesdk.core import plugins

    checkpoint = context.checkpoint(CRITIC)
    network = plugins.load(plugins.STUDENTS, checkpoint.student).load(checkpoint)
    return network.to(context.device)


def _unlike(critic: Any, whole: Tensor, clean: Tensor) -> Tensor:
    """Return 1 - cosine of what the critic sees in the completed and in the bare face."""
    import torch
    from torch.nn.functional import cosine_similarity, interpolate

    small = (CRITIC_SIDE, CRITIC_SIDE)
    shown, wanted = (interpolate(x, small, mode="bilinear", antialias=True) for x in (whole, clean))
    with torch.no_grad():
        there = critic.mimic(wanted)
    return (1 - cosine_similarity(critic.mimic(shown), there)).mean()


def _contest(patches: Any, whole: Tensor, clean: Tensor, opacity: Tensor) -> tuple[Tensor, Tensor]:
    """Return the generator's and the discriminator's hinge loss."""
    import torch

    scores = patches(torch.cat([clean, whole.detach()]))
    real, fake = scores.chunk(2)
    judged = (opacity.mean((1, 2, 3)) > 0).float()[:, None, None, None]
    discriminator = torch.relu(1 - real).mean() + (torch.relu(1 + fake) * judged).mean()
    patches.requires_grad_(False)
    generator = -(patches(whole) * judged).mean()
    patches.requires_grad_(True)
    return generator, discriminator


def judge_completion(model: Any, faces: MaskedFaces, items: Array) -> dict[str, float]:
    """Return how well hidden parts are found and drawn on pictures that were not trained on.

    Args:
        model: A network with `completed`.
        faces: The public faces.
        items: Numbers of pictures.

    Returns:
        `l1_hidden` with the mask found, and of filling with the visible part's mean colour and
        with nothing changed (`l1_mean_fill`, `l1_untouched`), on the scale -1..1; `psnr`, `ssim`
        of the whole picture; `iou` and `iou_unseen` of the mask, at one half.
    """
    import torch

    sums: dict[str, list[float]] = {}
    with torch.no_grad():
        for name, bank in (("", faces.bank), ("_unseen", faces.unseen)):
            for start in range(0, len(items) if len(bank.layers) else 0, 256):
                views = faces.views(items[start : start + 256], bank, start)
                clean, seen, opacity = (model.seen(view) for view in views)
                whole, mask = model.completed(seen)
                for key, value in _measures(clean, seen, opacity, whole, mask).items():
                    sums.setdefault(key + name, []).extend(value.tolist())
    # What is not in the mask is the same with seen and unseen kinds: one row of each is enough.
    return {k: float(np.mean(v)) for k, v in sums.items()}


def _measures(
    clean: Tensor, seen: Tensor, opacity: Tensor, whole: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    def hidden(x: Tensor) -> Tensor:
        away = (x - clean).abs().mean(1, keepdim=True) * opacity
        return away.sum((1, 2, 3)) / opacity.sum((1, 2, 3)).clamp_min(1)

    visible = 1 - opacity
    fill = (seen * visible).sum((2, 3), keepdim=True) / visible.sum((2, 3), keepdim=True)
    found, true = mask > 0.5, opacity > 0.5
    union = (found | true).sum((1, 2, 3)).clamp_min(1)
    return {
        "l1_hidden": hidden(whole),
        "l1_mean_fill": hidden(fill.expand_as(clean)),
        "l1_untouched": hidden(seen),
        "psnr": -10 * ((whole - clean).square().mean((1, 2, 3)) / 4).clamp_min(1e-8).log10(),
        "ssim": ssim(whole, clean),
        "iou": (found & true).sum((1, 2, 3)) / union,
    }


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """Return the structural similarity of pictures [B, 3, S, S] in -1..1, over windows of 7x7.

    Wang et al. 2004 with uniform windows; 1 for equal pictures.
    """
    from torch.nn.functional import avg_pool2d

    def mean(x: Tensor) -> Tensor:
        return avg_pool2d(x, 7, 1)

    a, b = mean(one), mean(other)
    of_a, of_b = mean(one * one) - a * a, mean(other * other) - b * b
    both = mean(one * other) - a * b
    low, high = 0.02**2, 0.06**2
    top = (2 * a * b + low) * (2 * both + high)
    found: Tensor = (top / ((a * a + b * b + low) * (of_a + of_b + high))).mean((1, 2, 3))
    return found


def write_samples(path: Path, model: Any, faces: MaskedFaces, items: Array) -> None:
    """Write a picture of some faces: bare, hidden, mask found, completed, from top to bottom."""
    import torch
    from PIL import Image

    from edgesdk.core.files import write_atomic

    with torch.no_grad():
        clean, seen, _ = (model.seen(view) for view in faces.views(items[:SHOWN], faces.bank))
        whole, mask = model.completed(seen)
    rows = [clean, seen, mask.expand_as(clean) * 2 - 1, whole]
    strip = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    pixels = ((strip + 1) * 127.5).round().clamp(0, 255).permute(1, 2, 0).byte()
    write_atomic(path, _png(Image.fromarray(pixels.numpy(force=True))))


def _png(image: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
