"""ITEM whole: a picture and the tokens of its caption in, the logit of "generated" out.

A compact joint space stands in for CLIP: MobileNetV2 and a table of word pieces, each followed by
a small projection. The crops of objects are windows of the picture's last map, so that the
picture passes once; a phrase meets the window that it fits best.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesdk_training.nets.item_head import ItemHead
from edgesdk_training.nets.mobile_net import MobileNetV2, folded

HIDDEN = 192


def unit_last(x: Tensor) -> Tensor:
    """Return vectors along the last axis at length 1; zeros stay zeros."""
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-12)


class PictureSide(nn.Module):
    """Maps [N, C, h, w] into the joint space: the whole picture and windows of it.

    Args:
        inputs: Channels.
        width: Of the joint space.
        window: Side of a window in places of the map.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, width: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.register_buffer("mean", torch.zeros(1, inputs, 1, 1))
        self.register_buffer("deviation", torch.ones(1, inputs, 1, 1))
        self.project = nn.Conv2d(inputs, width, 1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors of the whole [N, D] and of the windows [N, G, D]."""
        found = self.project((maps - self.mean) / self.deviation)
        windows = F.avg_pool2d(found, self.window, 1).flatten(2).transpose(1, 2)
        return unit_last(found.mean((2, 3))), unit_last(windows)


class TextSide(nn.Module):
    """Tokens [..., L] into the joint space: a table, the mean, two layers.

    Args:
        vocabulary: Pieces of words; number 0 is an empty place.
        table: Length of a piece's vector.
        width: Of the joint space.
    """

    filled: Tensor

    def __init__(self, vocabulary: int, table: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, table)
        self.layers = nn.Sequential(nn.Linear(table, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width))
        self.beside = nn.Linear(table, width, bias=False)
        # Looked up instead of compared: a cast to float32 has no place in a graph of float16.
        filled = (torch.arange(vocabulary) > 0).to(torch.float32)[:, None]
        self.register_buffer("filled", filled, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return unit vectors [..., D], zeros for a text without tokens."""
        here = F.embedding(tokens, self.filled)
        count = here.sum(-2)
        mean = (self.table(tokens) * here).sum(-2) / count.clamp_min(1.0)
        return unit_last(self.layers(mean) + self.beside(mean)) * count.clamp_max(1.0)


class ItemNet(nn.Module):
    """Pictures [N, 3, S, S] and tokens [N, 1 + K, L]: caption and phrases, empty ones all zero.

    Args:
        head: As in ItemHead.
        blocks: Of MobileNetV2 that are kept.
        window: Of PictureSide.
        vocabulary: Pieces of words.
        table: Length of a piece's vector.
        width: Of the joint space.
        objects: Phrases per picture.
    """

    def __init__(
        self, head: str, blocks: int, window: int, vocabulary: int, table: int, width: int,
        objects: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.backbone = MobileNetV2(blocks)
        self.pictures = PictureSide(self.backbone.width, width, window)
        self.texts = TextSide(vocabulary, table, width)
        self.head = ItemHead(head, width, objects)

    def folded(self) -> "ItemNet":
        """Fold the backbone in place and return itself."""
        folded(self.backbone)
        return self

    def forward(self, image: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [N, 1] and distances [N, 1 + K] of caption and phrases, 0 for none."""
        whole, windows = self.pictures(self.backbone(image))
        texts = self.texts(tokens)
        present = (texts * texts).sum(-1)
        far = 1 - (texts[:, 0] * whole).sum(-1, keepdim=True)
        # The best window of each phrase.
        apart = 1 - (texts[:, 1:] @ windows.transpose(1, 2)).amax(-1)
        logits = self.head.judged(whole, far, apart, present[:, 1:])
        return logits, torch.cat([far, apart * present[:, 1:]], 1)
