"""Layers that convert to every target, and the folding of BatchNorm."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def unit(x: Tensor) -> Tensor:
    """Return the rows of [N, D] at length 1.

    `rsqrt` instead of `F.normalize`: the latter breaks dynamic batches in several converters.
    """
    return x * torch.rsqrt((x * x).sum(1, keepdim=True) + 1e-12)


class ConvBnRelu(nn.Module):
    """Convolution with bias, BatchNorm, ReLU; `fold` drops the BatchNorm.

    The map shrinks `stride` times; the kernel is larger than that by an even number. The bias
    is not learnt before folding.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        relu: bool = True,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        padding = (kernel - stride) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
        # BatchNorm takes any bias away again, and its gradient is a large part of a GPU's step.
        assert self.conv.bias is not None
        self.conv.bias.requires_grad_(False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs)
        self.relu: nn.Module = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(bn(conv(x))), [N, outputs, H, W]."""
        return self.relu(self.bn(self.conv(x)))

    def fold(self) -> None:
        """Move the BatchNorm's running statistics into the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
            self.bn = nn.Identity()


def fold(module: nn.Module) -> nn.Module:
    """Fold every ConvBnRelu of `module` in place and return it in eval mode."""
    module.eval()
    for part in module.modules():
        if isinstance(part, ConvBnRelu):
            part.fold()
    return module.requires_grad_(False)
