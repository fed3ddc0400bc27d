"""The tracker's word map: where a crop looks like what is said."""

import torch
from torch import Tensor, nn

from edgesdk.words import sentence_features

STRIDE, CHANNELS = 16, 48  # pixels per cell of the backbone's features; these
SCALE = 32.0  # of features inside: what a session keeps lies near -1..1 in any precision
TINTS, FINE = 16, 4  # channels of the word map's colours; its pixels along a side of a cell
QUIET = 0.3  # of the last layers' first weights, so that products begin near 1


class WordMap(nn.Module):
    """Where the crop looks like what is said: exactly 0 everywhere for the blank sentence.

    Features of a frozen backbone hardly know colours, so the mean of what a few filters see in
    every 4 x 4 pixels stands beside them.
    """

    def __init__(self, words: int, dims: int, width: int) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, TINTS, 1), nn.ReLU(), nn.Conv2d(TINTS, TINTS, 1))
        self.key = nn.Sequential(
            nn.Conv2d(TINTS + CHANNELS, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1)
        )
        self.word = nn.Sequential(nn.Linear(dims, width), nn.ReLU(), nn.Linear(width, width))
        self.apply(_loud)
        for last in (self.key[-1], self.word[-1]):
            last.weight.data *= QUIET
        silence = torch.from_numpy(sentence_features("", words, dims))
        self.register_buffer("silence", silence[None], persistent=False)

    def forward(self, pixels: Tensor, features: Tensor, text: Tensor) -> Tensor:
        """Return logits [N, 1, H, W] to add.

        Args:
            pixels: RGB [N, 3, 4 H, 4 W] of 0..255, means of 4 x 4.
            features: [N, 48, H, W].
            text: [N, L, D].
        """
        return self.meet(self.seen(pixels, features), self.said(text))

    def meet(self, seen: Tensor, said: Tensor) -> Tensor:
        """Return how well what is seen fits what is said, [N, 1, H, W]."""
        return (said[:, None] @ seen.flatten(2)).unflatten(2, seen.shape[2:])

    def seen(self, pixels: Tensor, features: Tensor) -> Tensor:
        """Return what each cell looks like, [N, width, H, W] of length 1."""
        tints = nn.functional.avg_pool2d(torch.relu(self.look(pixels / 64 - 2)), FINE)
        key = self.key(torch.cat([tints, features / SCALE], 1))
        return key / ((key * key).sum(1, keepdim=True) + 1e-6).sqrt()

    def said(self, text: Tensor) -> Tensor:
        """Return what the sentence adds to silence, [N, width]; idle words add little."""
        return self.word(text).sum(1) - self.word(self.silence).sum(1)


def _loud(layer: nn.Module) -> None:
    """Begin so that no layer weakens what it is given: few steps must do (He et al. 2015)."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)


def pixels_of(image: Tensor) -> Tensor:
    """Return means of 4 x 4 pixels, which the word map looks at."""
    return nn.functional.avg_pool2d(image, STRIDE // FINE)
