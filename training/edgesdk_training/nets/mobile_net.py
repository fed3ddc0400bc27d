"""MobileNetV2's convolutions (Sandler et al. 2018), to take the weights of others.

The state has the names that torchvision gives it, so that weights taught on ImageNet fit.
"""

import torch
from torch import Tensor, nn

# Expansion, channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
BLOCKS = 1 + sum(stage[2] for stage in STAGES)
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Return convolution, BatchNorm and ReLU6."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; beside the map itself where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = [conv(inputs, wide, 1)] if expansion > 1 else []
        layers += [conv(wide, wide, 3, stride, wide), nn.Conv2d(wide, outputs, 1, bias=False)]
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(outputs))
        self.beside = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        found: Tensor = self.conv(x)
        return x + found if self.beside else found


class MobileNetV2(nn.Module):
    """Pictures [N, 3, S, S], standardised, in; a map [N, width, S / 32, S / 32] out.

    Args:
        blocks: How many of the 18 blocks are kept, from the first; 15 to 18 end at a 32nd.
    """

    def __init__(self, blocks: int = BLOCKS) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv(3, 32, 3, 2)]
        width = 32
        for expansion, outputs, count, stride in STAGES:
            for number in range(count):
                step = stride if number == 0 else 1
                layers.append(InvertedResidual(width, outputs, step, expansion))
                width = outputs
        self.features = nn.Sequential(*layers[:blocks])
        last = self.features[-1]
        assert isinstance(last, InvertedResidual)
        self.width = int(last.conv[-1].num_features)

    def forward(self, image: Tensor) -> Tensor:
        """Return the map."""
        found: Tensor = self.features(image)
        return found


def folded(net: MobileNetV2) -> MobileNetV2:
    """Fold every BatchNorm into the convolution before it, in place; eval mode."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for part in net.eval().modules():
        if not isinstance(part, nn.Sequential):
            continue
        for place in range(len(part) - 1):
            layer, norm = part[place], part[place + 1]
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[place], part[place + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    net.requires_grad_(False)
    return net


def load_imagenet(net: MobileNetV2, path: str) -> MobileNetV2:
    """Give the network the weights of a file of torchvision's names; tensors only, no pickle."""
    stored = torch.load(path, "cpu", weights_only=True)
    known = net.state_dict()
    net.load_state_dict({name: stored[name] for name in known})
    return net
