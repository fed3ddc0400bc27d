"""The small classifier of federated papers: two convolutions, one hidden layer, a head.

With 32 and 64 maps, kernels of 5 and 512 features it is the network that FedLMD's released
settings name; with 16 maps and 64 features it suits digits of 8 pixels.
"""

import torch
from torch import Tensor, nn

SMALL = 16  # pixels: a kernel of 5 sees most of such a picture at once


class ClassNet(nn.Module):
    """Pictures [N, 3, S, S] in, scores [N, classes] out.

    Attributes:
        head: The last layer; all the rest is the backbone.

    Args:
        size: Side of the pictures, a multiple of four.
        classes: Number of classes.
        width: Maps of the first convolution; the second has twice as many.
        hidden: Number of features.
    """

    def __init__(self, size: int, classes: int, width: int, hidden: int) -> None:
        super().__init__()
        kernel = 3 if size <= SMALL else 5
        self.body = nn.Sequential(
            nn.Conv2d(3, width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.hidden = nn.Linear(2 * width * (size // 4) ** 2, hidden)
        self.head = nn.Linear(hidden, classes)

    def features(self, image: Tensor) -> Tensor:
        """Return what the backbone tells of pictures, [N, hidden]."""
        return torch.relu(self.hidden(self.body(image).flatten(1)))

    def forward(self, image: Tensor) -> Tensor:
        """Return the scores [N, classes]."""
        scores: Tensor = self.head(self.features(image))
        return scores
