"""Foreign networks with weights drawn by a seed: every layer that users bring along.

The tests and `tools/support.py` export each of them to every target. `NETS` maps a name to a
function that returns the module and its example inputs, for a batch of 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Made = tuple[nn.Module, tuple[Tensor, ...]]
IMAGE = (3, 32, 32)


class Chain(nn.Module):
    """Two convolutions, whatever is tried, the mean over the places, a product."""

    def __init__(
        self, tried: nn.Module, width: int = 16, head: Callable[..., Any] | None = None
    ) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
        self.tried = tried
        self.last = nn.Linear(width, 12)
        self.head = head

    def forward(self, image: Tensor) -> Any:
        x = self.last(self.tried(self.first(image)).mean((2, 3)))
        return x if self.head is None else self.head(x)


class Step(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class Attention(nn.Module):
    """A block of a transformer over the places of a feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(16), nn.LayerNorm(16)
        self.mix = nn.MultiheadAttention(16, 4, batch_first=True)
        self.wide = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        words = x[:, :, ::4, ::4].flatten(2).transpose(1, 2)
        normed = self.before(words)
        words = words + self.mix(normed, normed, normed, need_weights=False)[0]
        words = words + self.wide(self.after(words))
        return words.transpose(1, 2).unflatten(2, (4, 4))


class Recurrent(nn.Module):
    """A recurrent layer over the rows of a feature map."""

    def __init__(self, layer: type[nn.Module]) -> None:
        super().__init__()
        self.layer = layer(16, 16, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        found, _ = self.layer(x.mean(3).transpose(1, 2))
        return found.transpose(1, 2).unsqueeze(3)


class Words(nn.Module):
    """Token numbers through a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(50, 16), nn.Linear(16, 12)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.last(self.table(tokens).mean(1))


class TwoOutputs(nn.Module):
    """An embedding and a map."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
        self.map, self.last = nn.Conv2d(16, 1, 1), nn.Linear(16, 12)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(image)
        return self.last(x.mean((2, 3))), self.map(x).sigmoid()


class Baked(nn.Module):
    """A reshape that knows one batch size only."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.body, self.last = nn.Conv2d(3, 4, 3, 4, 1), nn.Linear(256, 12)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.body(image).relu().reshape(self.batch, 256))


def chain(tried: Callable[[], nn.Module], width: int = 16, **more: Any) -> Callable[[], Made]:
    """Return a maker of a Chain around what `tried` makes."""
    return lambda: (Chain(tried(), width, **more), (torch.zeros(2, *IMAGE),))


def step(function: Callable[[Tensor], Any], width: int = 16) -> Callable[[], Made]:
    """Return a maker of a Chain around a function."""
    return chain(lambda: Step(function), width)


def lively(net: nn.Module) -> nn.Module:
    """Draw convolutions so that values keep their size; as they come, deep ones fade to 1e-9."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net


def settled(net: nn.Module) -> nn.Module:
    """Let every BatchNorm take the statistics of drawn pictures, as training leaves them."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean of all that it sees
    with torch.no_grad():
        net.train()(torch.randn(32, 3, 96, 96))
    return net.eval()


def picture(name: str, side: int = 64, **options: Any) -> Callable[[], Made]:
    """Return a maker of a network of torchvision."""

    def make() -> Made:
        import torchvision

        made = getattr(torchvision.models, name)(weights=None, **options)
        return lively(made), (torch.zeros(2, 3, side, side),)

    return make


class Maps(nn.Module):
    """The backbone of a detector, whose maps come as a dictionary."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.body(image).values())


def backbone() -> Made:
    """Return the backbone of SSDLite with its extra maps."""
    from torchvision.models import detection

    made = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    return Maps(settled(lively(made.backbone))), (torch.zeros(2, 3, 96, 96),)


def transformer() -> Made:
    """Return a small vision transformer."""
    from torchvision.models import VisionTransformer

    made = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64,
        num_classes=12,
    )  # fmt: skip
    nn.init.normal_(made.heads.head.weight)  # zeros, as it comes
    return made, (torch.zeros(2, *IMAGE),)


SMALL: dict[str, Callable[[], Made]] = {
    "normalize": chain(nn.Identity, head=F.normalize),
    "linalg-norm": chain(nn.Identity, head=lambda x: x / torch.linalg.norm(x, dim=1, keepdim=True)),
    "prelu-shared": chain(nn.PReLU),
    "prelu-per-channel": chain(lambda: nn.PReLU(16)),
    "group-norm": chain(lambda: nn.GroupNorm(4, 16)),
    "layer-norm": chain(lambda: nn.LayerNorm([16, 16, 16])),
    "instance-norm": chain(lambda: nn.Sequential(nn.InstanceNorm2d(16, affine=True), nn.ReLU())),
    "attention": chain(Attention),
    "einsum": step(lambda x: torch.einsum("bchw,bdhw->bcd", x, x).unsqueeze(3) / 256),
    "hard-swish": chain(nn.Hardswish),
    "gelu": chain(nn.GELU),
    "gelu-tanh": chain(lambda: nn.GELU(approximate="tanh")),
    "silu": chain(nn.SiLU),
    "leaky-relu": chain(lambda: nn.LeakyReLU(0.1)),
    "elu": chain(nn.ELU),
    "softmax": step(lambda x: x.softmax(1)),
    "bilinear": chain(lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    "bicubic": chain(lambda: nn.Upsample(size=(24, 24), mode="bicubic")),
    "nearest": chain(lambda: nn.Upsample(scale_factor=2)),
    "transposed": chain(lambda: nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), 8),
    "dilated": chain(lambda: nn.Conv2d(16, 16, 3, padding=2, dilation=2)),
    "average-pool": chain(lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "average-pool-padded": chain(lambda: nn.AvgPool2d(3, 2, 1)),
    "max-pool-ceil": chain(lambda: nn.MaxPool2d(3, 2, ceil_mode=True)),
    "pixel-shuffle": chain(lambda: nn.PixelShuffle(2), 4),
    "gru": chain(lambda: Recurrent(nn.GRU)),
    "lstm": chain(lambda: Recurrent(nn.LSTM)),
    "tokens": lambda: (Words(), (torch.zeros(2, 7, dtype=torch.int64),)),
    "two-outputs": lambda: (TwoOutputs(), (torch.zeros(2, *IMAGE),)),
    "baked-batch-1": lambda: (Baked(1), (torch.zeros(1, *IMAGE),)),
    "baked-batch-2": lambda: (Baked(2), (torch.zeros(2, *IMAGE),)),
}
LARGE: dict[str, Callable[[], Made]] = {
    "mobilenet-v3": picture("mobilenet_v3_small"),
    "shufflenet-v2": picture("shufflenet_v2_x0_5"),
    "efficientnet-b0": picture("efficientnet_b0"),
    "resnet-18": picture("resnet18"),
    "vit": transformer,
    "ssdlite-backbone": backbone,
}
NETS = SMALL | LARGE


def make(name: str) -> Made:
    """Return a network of the shelf in eval mode, its weights drawn, and its example inputs."""
    torch.manual_seed(0)
    module, examples = NETS[name]()
    return module.eval(), examples


def __getattr__(name: str) -> Callable[[], Made]:
    """Return the maker of a network as `edgesdk export tools.shelf:prelu_shared` calls it."""
    known = name.replace("_", "-")
    if known not in NETS:
        raise AttributeError(name)
    return lambda: make(known)
