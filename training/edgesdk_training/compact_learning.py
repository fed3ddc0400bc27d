"""A compact joint space of pictures and text, taught on captions with both towers locked.

MobileNetV2 and MiniLM stay as they are; projections of both are taught to agree on photos and
their captions, phrases with the window of a photo that fits best. Then a table of word pieces
learns what MiniLM and its projection say, so that no text network is needed at run time.
Locked towers: Zhai et al. 2022, "LiT"; the sizes and the windows are our own choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.captions import noun_phrases
from edgesdk.core.tensors import Array
from edgesdk_training.loop import Plan, fit

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.compact_space import Photos

WARMTH, BATCH, LESSONS = 0.07, 128, 256
# What projections do not see of the maps and of the text, against learning by heart.
DROPPED, UNSAID = 0.4, 0.1
OBJECTS = 0.5  # weight of phrases and windows beside captions and pictures


def learn_space(
    context: RunContext, photos: Photos, vectors: Mapping[str, Array], net: Any, epochs: int
) -> Any:
    """Teach the picture side of `net`, and return the projection of the text teacher.

    Args:
        context: Where state and log go.
        photos: To learn from.
        vectors: Sentence or phrase -> the text teacher's vector.
        net: An ItemNet, whose `pictures` is trained.
        epochs: Passes.
    """
    import torch
    from torch import nn

    from edgesdk_training.nets.item_net import unit_last

    side = net.pictures
    side.mean.copy_(photos.maps.mean((0, 2, 3), keepdim=True))
    side.deviation.copy_(photos.maps.std((0, 2, 3), keepdim=True).clamp_min(1e-3))
    width = len(next(iter(vectors.values())))
    towers = nn.ModuleDict({"pictures": side, "texts": nn.Linear(width, side.project.out_channels)})
    phrases = [[p for c in said for p in noun_phrases(c, 4)] or said for said in photos.captions]

    def draw(order: Tensor, generator: Any) -> Any:
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        texts = [
            [vectors[str(random.choice(said[i]))] for i in order.tolist()]
            for said in (photos.captions, phrases)
        ]
        torch.manual_seed(int(random.integers(2**62)))
        maps = photos.maps[order]
        maps = maps.flip(3) if random.random() < 0.5 else maps
        return maps, *(torch.from_numpy(np.stack(t)) for t in texts)

    def loss(batch: Any) -> Any:
        maps, *texts = batch
        dropped = nn.functional.dropout2d(maps - side.mean, DROPPED) + side.mean
        whole, windows = side(dropped)
        said, named = (unit_last(towers["texts"](nn.functional.dropout(t, UNSAID))) for t in texts)
        near = (named @ windows.flatten(0, 1).T).view(len(named), len(windows), -1).amax(2)
        total = contrast(whole @ said.T) + OBJECTS * contrast(near.T)
        return total, {}

    plan = Plan("space", len(photos.names), epochs, BATCH, 2e-3, "adamw", 0.05)
    fit(context, plan, towers, draw, loss)
    return towers["texts"]


def contrast(alike: Tensor) -> Tensor:
    """Return the loss that asks each row and column of cosines [N, N] for its own partner."""
    import torch
    import torch.nn.functional as F

    own = torch.arange(len(alike))
    rows, columns = (F.cross_entropy(a / WARMTH, own) for a in (alike, alike.T))
    return (rows + columns) / 2


def learn_words(context: RunContext, net: Any, tokens: Array, wanted: Tensor, epochs: int) -> None:
    """Teach the table of `net` the places [N, D] in the joint space of sentences [N, L]."""
    import torch

    rows = torch.from_numpy(tokens)

    def draw(order: Tensor, generator: Any) -> Any:
        return rows[order], wanted[order]

    def loss(batch: Any) -> Any:
        shown, where = batch
        told = net.texts(shown)
        near = (told * where).sum(1).mean()
        return 1 - near + 0.2 * contrast(told @ where.T), {"cosine": near}

    plan = Plan("words", len(rows), epochs, LESSONS, 4e-3, "adamw", 1e-4)
    fit(context, plan, net.texts, draw, loss)


def retrieval(whole: Array, texts: Array, owner: Array) -> dict[str, float]:
    """Return recall at 1 and 5: captions of pictures, and pictures of captions.

    Args:
        whole: Unit vectors of pictures [N, D].
        texts: Unit vectors of captions [M, D].
        owner: Number of each caption's picture [M].
    """
    near = whole @ texts.T
    found = {}
    for most in (1, 5):
        best = owner[np.argsort(-near, 1)[:, :most]] == np.arange(len(whole))[:, None]
        pictures = np.argsort(-near.T, 1)[:, :most] == owner[:, None]
        found[f"caption_r{most}"] = float(best.any(1).mean())
        found[f"picture_r{most}"] = float(pictures.any(1).mean())
    return found
