"""A student of embeddings with a head over people, to be trained where the people are."""

import torch
from torch import Tensor, nn

from edgesdk_training.nets.common import unit

SCALE = 16.0


class Headed(nn.Module):
    """Pictures in, cosine scores of people out; the head is no part of what is exported.

    Attributes:
        body: The student.
        head: Directions of people.

    Args:
        body: Gives unit embeddings [N, width].
        width: Length of an embedding.
        classes: Number of people.
    """

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.head = Directions(width, classes)

    @property
    def exported(self) -> nn.Module:
        """The student itself."""
        return self.body

    def features(self, image: Tensor) -> Tensor:
        """Return the embeddings [N, width]."""
        embeddings: Tensor = self.body(image)
        return embeddings

    def forward(self, image: Tensor) -> Tensor:
        """Return the scores [N, classes]."""
        scores: Tensor = self.head(self.features(image))
        return scores


class Directions(nn.Module):
    """Scaled cosines between embeddings and one learnt direction per class."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the directions anew."""
        nn.init.normal_(self.weight)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return [N, classes] in -16..16."""
        return SCALE * embeddings @ unit(self.weight).T
