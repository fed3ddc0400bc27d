"""Masked faces: find what hides the face, complete it, recognise; one graph, one picture in.

Independent implementation from the published description (arXiv 2409.12385, ACM MM 2020):
an encoder and a decoder with two parallel branches between them, one of which puts the hidden
region's features together from visible places; the visible part is pasted back. Layers and
widths are our own. All three parts work on half the picture where it is large, because a face of
56 pixels tells all that a small network reads.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from edgesdk_training.nets.bridge_face_plus import (
    DEPTH,
    FULL,
    FULL_INSIDE,
    HALF,
    HALF_INSIDE,
    HALVING,
    IDENTITY,
    MIMIC,
    Inverted,
    Reading,
    Residual,
)
from edgesdk_training.nets.common import ConvBnRelu, unit
from edgesdk_training.nets.mobile_face import MobileFace

# Sides above this one are halved before anything looks at the picture.
LARGEST_WORK = 64
# Channels of the branch that the recogniser has beside the trunk of bridge-face-plus.
DEEP, DEEP_INSIDE, DEEP_BLOCKS, DEEP_READ = 128, 256, 2, 256
# How much less a hidden place is looked at; a large number would take the levels of int8.
HIDDEN = 8.0


def work_side(size: int) -> int:
    """Return the side in pixels at which a face of `size` pixels is worked on."""
    return size // 2 if size > LARGEST_WORK else size


class Segmenter(nn.Module):
    """Pictures [N, 3, W, W] in -1..1 in, logits of what hides the face [N, 1, W, W] out."""

    # Of a bare face all of the mask lies within one level of 8 bits.
    in_float = True

    def __init__(self) -> None:
        super().__init__()
        self.enter = ConvBnRelu(3, 16, 4, stride=2)
        self.middle = nn.Sequential(
            Inverted(16, 48, 32, stride=2), Inverted(32, 64, 32), Inverted(32, 64, 32)
        )
        # Looks at the whole face; what lies before sees a third of it.
        self.coarse = nn.Sequential(
            Inverted(32, 96, 48, stride=2), Inverted(48, 96, 48), Inverted(48, 96, 32)
        )
        self.leave = nn.Sequential(ConvBnRelu(48, 24, 1), ConvBnRelu(24, 16, 3))
        self.logit = nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [N, 1, W, W]."""
        fine = self.enter(image)
        middle = self.middle(fine)
        seen = middle + twice(self.coarse(middle))
        return twice(self.logit(self.leave(torch.cat([twice(seen), fine], 1))))


class Attention(nn.Module):
    """Put the features of each place together from the visible places that look alike."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.ask = nn.Conv2d(width, inside, 1)
        self.answer = nn.Conv2d(width, inside, 1)
        self.scale = inside**-0.5

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return [N, width, H, W]; `hidden` [N, 1, H, W] is 1 where nothing may be taken from."""
        ask, answer = (layer(x).flatten(2) for layer in (self.ask, self.answer))
        scores = torch.matmul(ask.transpose(1, 2), answer) * self.scale
        share = torch.softmax(scores - HIDDEN * hidden.flatten(2), 2)
        found: Tensor = torch.matmul(x.flatten(2), share.transpose(1, 2))
        return found.unflatten(2, x.shape[2:])


class Generator(nn.Module):
    """Draw the face behind the mask: picture and mask [N, 4, W, W] in, picture out.

    The attention branch and the branch of local and coarse features lie side by side.
    """

    # What is looked for among hidden places is told from the rest by less than a level.
    in_float = True

    def __init__(self) -> None:
        super().__init__()
        self.enter = ConvBnRelu(4, 24, 4, stride=2)
        self.down = nn.Sequential(ConvBnRelu(24, 64, 4, stride=2), Inverted(64, 128, 64))
        self.local = nn.Sequential(Inverted(64, 128, 64), Inverted(64, 128, 64))
        self.coarse = nn.Sequential(
            Inverted(64, 128, 96, stride=2), *(Inverted(96, 192, 96) for _ in range(3)),
            Inverted(96, 192, 64),
        )  # fmt: skip
        self.attention = Attention(64, 32)
        self.join = nn.Sequential(ConvBnRelu(128, 64, 1), Inverted(64, 128, 48))
        self.leave = nn.Sequential(ConvBnRelu(72, 32, 1), Inverted(32, 64, 32))
        self.draw = nn.Sequential(ConvBnRelu(32, 16, 3), nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return a picture [N, 3, W, W] in -1..1 of which the hidden part counts."""
        fine = self.enter(torch.cat([image * (1 - mask), mask], 1))
        x = self.down(fine)
        features = self.local(x) + twice(self.coarse(x))
        found = self.attention(features, avg_pool2d(mask, 4))
        x = twice(self.join(torch.cat([features, found], 1)))
        return torch.tanh(self.draw(twice(self.leave(torch.cat([x, fine], 1)))))


class Recogniser(nn.Module):
    """Faces [N, 3, W, W] in -1..1 in; the trunk of bridge-face-plus and a deeper branch beside it.

    The trunk takes the weights of a trained bridge-face-plus (`grow`); what the branch adds
    begins at nothing.
    """

    mimic_width, identity_width = MIMIC, IDENTITY

    def __init__(self, side: int, deep: bool = True) -> None:
        super().__init__()
        stride = 1 if side <= LARGEST_WORK // 2 else 2
        self.trunk = plus_trunk(side, stride)
        places = side // stride // 4
        self.deep = nn.Sequential(
            Inverted(HALF, HALF_INSIDE, DEEP, stride=2),
            *(Inverted(DEEP, DEEP_INSIDE, DEEP) for _ in range(DEEP_BLOCKS)),
            ConvBnRelu(DEEP, DEEP_READ, 1),
            Reading(DEEP_READ, places),
        ) if deep else None  # fmt: skip
        self.identity = nn.Linear(MIMIC + (DEEP_READ if deep else 0), IDENTITY)

    def heads(self, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mimic layer [N, 128], before its ReLU, and the identity layer [N, 128]."""
        shared = self.trunk[:-2](face)
        mimic: Tensor = self.trunk[-2:](shared)
        read = mimic if self.deep is None else torch.cat([mimic, self.deep(shared)], 1)
        return mimic, self.identity(torch.relu(read))

    def forward(self, face: Tensor) -> Tensor:
        """Return unit embeddings [N, 128]."""
        return unit(self.heads(face)[1])


def plus_trunk(side: int, stride: int) -> nn.Sequential:
    """Return the layers of `BridgeFacePlus.trunk` for a face of `side` pixels."""
    return nn.Sequential(
        ConvBnRelu(3, FULL, stride + 2, stride=stride),
        Residual(FULL, FULL_INSIDE),
        Residual(FULL, FULL_INSIDE),
        Inverted(FULL, HALVING, HALF, stride=2),
        *(Inverted(HALF, HALF_INSIDE, HALF) for _ in range(DEPTH)),
        ConvBnRelu(HALF, MIMIC, 1),
        Reading(MIMIC, side // stride // 2),
    )


class PictureStep(nn.Module):
    """A step on pictures that stays in float: one level of 8 bits is more than most masks hold."""

    in_float = True

    def __init__(self, step: Callable[..., Tensor]) -> None:
        super().__init__()
        self.step = step

    def forward(self, *pictures: Tensor) -> Tensor:
        """Return what the step makes of pictures."""
        return self.step(*pictures)


class Mean(nn.Module):
    """Unit rows, two of each face, in; their mean's direction out."""

    in_float = True

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return unit rows [N, D]."""
        return unit(one + other)


class MaskedFace(nn.Module):
    """A face [N, 3, size, size] in; its embedding, and what was seen and drawn on the way.

    Args:
        size: Side of the face in pixels.
        complete: Whether a segmenter and a generator stand before the recogniser.
        given: Whether the mask is a second input [N, 1, size, size] instead of found.
        views: Whether mask and completed picture are given as well.
        deep: Whether the recogniser has its deeper branch.
        aside: Whether the completion is only shown: the recogniser reads the face as it came.
        mobile: Whether the recogniser is a MobileFaceNet, which reads all of 112 pixels.
        gated: Which faces it corrects by small layers of its own: "masked", "bare" or "" for none.
        mirrored: Whether the embedding is the mean of those of the face and of its mirror image.
    """

    def __init__(
        self, size: int, complete: bool = True, given: bool = False, views: bool = True,
        deep: bool = True, aside: bool = False, mobile: bool = False, gated: str = "",
        mirrored: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.aside, self.mobile, self.gated = aside, mobile, bool(gated)
        self.halves, self.given, self.views = work_side(size) < size, given, views
        self.segmenter = Segmenter() if complete and not given else None
        self.generator = Generator() if complete else None
        self.halved, self.twice = PictureStep(halved), PictureStep(twice)
        self.sigmoid = PictureStep(torch.sigmoid)
        self.paste = PictureStep(paste)
        self.recogniser = MobileFace(gated) if mobile else Recogniser(work_side(size), deep)
        self.mirror = PictureStep(mirror) if mirrored else None
        self.mean = Mean() if mirrored else None

    @property
    def identity(self) -> nn.Linear:
        """The last layer, into which a whitening is folded."""
        return self.recogniser.identity

    def seen(self, image: Tensor) -> Tensor:
        """Return pictures of any kind [N, C, W, W] at the side at which they are worked on."""
        small: Tensor = self.halved(image) if image.shape[-1] > LARGEST_WORK else image
        return small

    def completed(self, face: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return a face at working size without what hides it, and the mask [N, 1, W, W] in 0..1.

        Args:
            face: [N, 3, W, W] in -1..1.
            mask: [N, 1, W, W], 1 where the face is hidden; None to find it.
        """
        assert self.generator is not None
        if mask is None:
            assert self.segmenter is not None
            mask = self.sigmoid(self.segmenter(face))
        return self.paste(face, self.generator(face, mask), mask), mask

    def readable(self, image: Tensor) -> Tensor:
        """Return what the recogniser reads of faces [N, 3, W, W] in -1..1.

        At working size, completed; of a gated network as they came, beside the mask found.
        """
        if not self.gated:
            return self.completed(image)[0]
        assert self.segmenter is not None
        return torch.cat([image, self.twice(self.sigmoid(self.segmenter(self.seen(image))))], 1)

    def embedding(self, read: Tensor) -> Tensor:
        """Return unit embeddings of what the recogniser reads."""
        embedding: Tensor = self.recogniser(read)
        if self.mirror is None or self.mean is None:
            return embedding
        both: Tensor = self.mean(embedding, self.recogniser(self.mirror(read)))
        return both

    def forward(self, image: Tensor, mask: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Return unit embeddings, with `views` also the mask found and the picture."""
        face, hidden = self.seen(image), None if mask is None else self.seen(mask)
        if self.generator is None:
            return self.embedding(image if self.mobile else face)
        small, hidden = self.completed(face, hidden)
        whole = self.twice(small) if self.halves else small
        hidden = self.twice(hidden) if self.halves else hidden
        # The visible part of the shown picture is as sharp as it came.
        shown = self.paste(image, whole, hidden)
        came, drawn = (image, shown) if self.mobile else (face, small)
        read = came if self.aside else drawn
        embedding = self.embedding(torch.cat([read, hidden], 1) if self.gated else read)
        if not self.views:
            return embedding
        return (embedding, shown) if self.given else (embedding, hidden, shown)


def halved(x: Tensor) -> Tensor:
    """Return the means of 2x2 places."""
    return avg_pool2d(x, 2)


def twice(x: Tensor) -> Tensor:
    """Return a map of twice the side."""
    return interpolate(x, scale_factor=2.0, mode="bilinear")


def mirror(x: Tensor) -> Tensor:
    """Return pictures [N, C, H, W] with left and right changed."""
    return x.flip(3)


def paste(face: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """Return the face with the drawn picture where the mask is 1."""
    return face + (drawn - face) * mask


def grow(recogniser: Recogniser, trained: nn.Module) -> None:
    """Give a recogniser the weights of a network with `trunk` and `identity`; it answers alike.

    Args:
        recogniser: Changed in place.
        trained: BatchNorm inside, layers as in `plus_trunk`.
    """
    with torch.no_grad():
        recogniser.trunk.load_state_dict(trained.trunk.state_dict())
        recogniser.identity.weight.zero_()
        recogniser.identity.weight[:, :MIMIC] = trained.identity.weight
        recogniser.identity.bias.copy_(trained.identity.bias)
