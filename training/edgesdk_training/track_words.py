"""Teach a tracker's word map alone: worlds in which nothing but the words can tell the target.

The first frame is grey, look-alikes jump about with the target, and the search lies anywhere. All
else stays as it is, so the features are computed once; with the blank sentence the map is 0, so a
tracker that is told nothing is the one it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.tensors import Array
from edgesdk.words import sentence_features

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk_training.track_data import Pairs

RATE = 10.0  # of the learning rate: the map is small, and learns alone
ALIGN = 5.0  # of the weight of the alignment, likewise
LETTERS, WORDS = 0.15, 0.3  # of a word's vector, and of the places left empty: what is idle


def hear(settings: Any, context: RunContext, config: Any, model: Any, pairs: Pairs) -> None:
    """Teach the word map, by where the target is and by which sentence belongs to it.

    Args:
        settings: Of the recipe, with hear_pairs, hear_epochs, align and temperature.
        context: Of the run.
        config: Of the student.
        model: The tracker, with a word map.
        pairs: Draws what is seen and said.
    """
    from edgesdk_training.loop import Plan, fit

    if not settings.hear_epochs:
        return
    found = context.load("heard")
    if found is None:
        found = gather_words(
            pairs, model.eval(), config, settings.hear_pairs, context.seed, context.progress
        )
        context.save("heard", found)

    def draw(order: Any, generator: Any) -> Any:
        rows = {key: value[order.to(value.device)].float() for key, value in found.items()}
        rows = {key: value.to(context.device) for key, value in rows.items()}
        return {**rows, "heard": with_idle_words(rows["text"], generator)}

    plan = Plan(
        "hear", settings.hear_pairs, settings.hear_epochs, min(settings.batch, settings.hear_pairs),
        RATE * settings.lr, settings.optimiser, settings.weight_decay, average=settings.average,
    )  # fmt: skip
    fit(context, plan, model.words, draw, objective(model.words, config, settings))


def objective(words: Any, config: Any, settings: Any) -> Callable[[Any], Any]:
    """Return the loss of a batch: which cell the sentence means, and which sentence is its own.

    The map is held to both alone. Together with the tracker's scores it learnt next to nothing:
    where these are sure and wrong they outweigh all that words can tell.
    """
    from edgesdk_training.nets.track_losses import cells_of, contrast, grid_of
    from edgesdk_training.nets.word_map import SCALE

    grid = grid_of(config)

    def loss(batch: Any) -> tuple[Any, dict[str, Any]]:
        truth = batch["box"]
        inside, sure = cells_of(grid.to(truth.device), truth)
        told = sure.any(1) & truth.isfinite().all(1)
        seen = words.seen(batch["pixels"], batch["features"] * SCALE)
        said = words.said(batch["heard"])
        logits = words.meet(seen, said).flatten(1)
        share = sure / sure.sum(1, keepdim=True).clamp(min=1)
        placed = -(share * logits.log_softmax(1)).sum() / sure.any(1).sum().clamp(min=1)
        own = contrast(pooled(seen, sure), said, batch["text"], told, settings.temperature)
        hit = inside.gather(1, logits.argmax(1, keepdim=True))[:, 0].float()
        right = (hit * told).sum() / told.sum().clamp(min=1)
        total = placed + ALIGN * settings.align * own
        return total, {"where": placed, "align": own, "hit": right}

    return loss


def with_idle_words(text: Any, generator: Any) -> Any:
    """Return sentences, some of them with words that no one knows at places left empty.

    Args:
        text: [N, L, D].
        generator: Decides all of it, so that a batch can be drawn again; on the same device.
    """
    import torch

    def uniform(*shape: int) -> Any:
        return torch.rand(shape, generator=generator, device=generator.device)

    count, places, width = text.shape
    drawn = torch.randn(text.shape, generator=generator, device=generator.device)
    drawn = drawn * (uniform(count, places, width) < LETTERS)
    drawn = drawn / (drawn.norm(dim=2, keepdim=True) + 1e-6)
    chosen = (uniform(count, 1, 1) < 0.5) & (uniform(count, places, 1) < WORDS)
    empty = text.abs().sum(2, keepdim=True) == 0
    return text + drawn * (chosen & empty)


def pooled(seen: Any, sure: Any) -> Any:
    """Return the mean [N, width] of what is seen at the cells near the box's middle."""
    weights = sure / sure.sum(1, keepdim=True).clamp(min=1)
    return (seen.flatten(2) * weights[:, None]).sum(2)


def gather_words(
    pairs: Pairs, model: Any, config: Any, count: int, seed: int, progress: Any
) -> dict[str, Any]:
    """Return what the map looks at, what is said, and where the target is.

    Returns:
        pixels (bytes), features and text (half precision), box.
    """
    import torch

    from edgesdk_training.nets.word_map import SCALE, pixels_of

    rng = np.random.default_rng([seed, 0x40D5])
    rows: list[dict[str, Array]] = []
    while len(rows) < count:
        for pair in pairs.hard(rng):
            crop = torch.from_numpy(pair.search[None])
            with torch.inference_mode():
                features = model.backbone(crop)[0] / SCALE
            rows.append({
                "pixels": pixels_of(crop)[0].round().to(torch.uint8).numpy(),
                "features": features.half().numpy(),
                "text": sentence_features(pair.text, config.words, config.dims).astype(np.float16),
                "box": pair.box.astype(np.float32),
            })  # fmt: skip
        progress(min(len(rows), count), count, "hear pairs")
    return {key: torch.from_numpy(np.stack([r[key] for r in rows[:count]])) for key in rows[0]}


def retrieval(seen: Any, said: Any) -> float:
    """Return how often a row of `said` [N, width] is the nearest one to its row of `seen`."""
    import torch
    from torch.nn import functional

    likeness = functional.normalize(seen, dim=1) @ functional.normalize(said, dim=1).T
    return float((likeness.argmax(1) == torch.arange(len(likeness))).float().mean())
