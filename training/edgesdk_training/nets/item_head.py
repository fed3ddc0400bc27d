"""The head of ITEM: how far a picture and its objects lie from what is said of them.

Independent implementation from the published description (arXiv 2511.00427): global and local
pairs and an MLP head are published, the distance and the head's sizes are our own choice. The
encoders are frozen and not part of it.
"""

import torch
from torch import Tensor, nn

HIDDEN, DROPOUT = 64, 0.1
WIDTHS = {"global": 1, "sum": 1, "concat": 3, "picture": 0}


class VerdictLayers(nn.Sequential):
    """Two small layers that make a handful of distances into a logit, one after the other."""

    # They magnify what little distances differ by, and cost nothing: exporters leave them in float.
    in_float = True


class ItemHead(nn.Module):
    """Unit embeddings in, logits [N, 1] of "generated" out.

    Args:
        head: sum (global distance and mean of the local ones, added), concat (global, mean and
            largest local), global (no objects), or picture (no text: the baseline).
        width: Length of the embeddings.
        objects: Places for objects.
    """

    def __init__(self, head: str, width: int, objects: int) -> None:
        super().__init__()
        self.head, self.objects = head, objects
        self.layers = VerdictLayers(
            nn.Linear(WIDTHS[head] or width, HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits.

        Args:
            features: Unit embeddings [N, 2 + 2K, D]: picture, caption, K crops of objects and
                their K words; an empty place holds zeros.
        """
        image, caption = features[:, 0], features[:, 1]
        objects, words = features[:, 2 : 2 + self.objects], features[:, 2 + self.objects :]
        whole = 1 - (image * caption).sum(1, keepdim=True)
        # The squared length of a word is 1, and 0 in an empty place.
        present = (words * words).sum(2)
        return self.judged(image, whole, 1 - (objects * words).sum(2), present)

    def folded(self) -> "ItemHead":
        """Return itself: nothing is there to fold."""
        return self

    def judged(self, image: Tensor, whole: Tensor, apart: Tensor, present: Tensor) -> Tensor:
        """Return the logits of distances.

        Args:
            image: Unit embedding of the picture [N, D], for the baseline alone.
            whole: Distance of picture and caption [N, 1].
            apart: Distances of objects and words [N, K].
            present: [N, K], 1 where there is an object.
        """
        if self.head == "picture":
            logits: Tensor = self.layers(image)
            return logits
        apart = apart * present
        mean = apart.sum(1, keepdim=True) / present.sum(1, keepdim=True).clamp_min(0.5)
        shown = {"global": [whole], "sum": [whole + mean]}.get(self.head)
        parts = shown or [whole, mean, apart.amax(1, keepdim=True)]
        told: Tensor = self.layers(4 * torch.cat(parts, 1))
        return told
