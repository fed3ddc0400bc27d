"""SFace 2021dec as a torch network: a teacher that may compute in bfloat16 and be taught.

27 convolutions in the order of MobileNet v1 (a depthwise one before each 1x1), each with
BatchNorm and PReLU, then one linear layer over all 7x7 places. The weights come from the
published ONNX file.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
SIDE = 112
PLACES = 7 * 7
DIM = 128
# Convolutions that an assistant leaves as they are: behind them its map is 14 places wide.
FIRST = 12


class ConvBnPrelu(nn.Module):
    """Convolution with same padding, BatchNorm, PReLU per channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, outputs, H / stride, W / stride]."""
        result: Tensor = self.act(self.bn(self.conv(x)))
        return result


class SFace(nn.Module):
    """RGB faces [N, 3, 112, 112] on the 0..255 scale in, embeddings [N, 128] out."""

    def __init__(self) -> None:
        super().__init__()
        layers, inputs = [ConvBnPrelu(3, 32, 3, 1, 1)], 32
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            layers.append(ConvBnPrelu(inputs, inputs, 3, stride, inputs))
            layers.append(ConvBnPrelu(inputs, width, 1, 1, 1))
            inputs = width
        self.trunk = nn.Sequential(*layers)
        self.norm: nn.Module = nn.BatchNorm2d(inputs, eps=2e-5)
        self.linear = nn.Linear(inputs * PLACES, DIM)
        self.last: nn.Module = nn.BatchNorm1d(DIM, eps=2e-5)

    def forward(self, faces: Tensor) -> Tensor:
        """Return embeddings [N, 128], not of length 1."""
        maps = self.norm(self.trunk((faces - 127.5) / 128))
        # The file's order is channel, row, column, whatever the memory format.
        result: Tensor = self.last(self.linear(maps.flatten(1)))
        return result

    def fold(self) -> "SFace":
        """Move every BatchNorm into its neighbour, in place; return the network in eval mode."""
        self.eval().requires_grad_(False)
        for block in self.trunk:
            block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
        scale, shift = (t.repeat_interleave(PLACES) for t in _affine(self.norm))
        self.linear.bias += self.linear.weight @ shift
        self.linear.weight *= scale
        scale, shift = _affine(self.last)
        self.linear.weight *= scale[:, None]
        self.linear.bias.mul_(scale).add_(shift)
        self.norm = self.last = nn.Identity()
        return self


class Assistant(nn.Module):
    """What a recogniser reads [N, 3 or 4, W, W] in -1..1 in, unit rows [N, 128] out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        network.trunk[FIRST:].requires_grad_(True)
        network.linear.requires_grad_(True)

    def forward(self, seen: Tensor) -> Tensor:
        """Return unit rows [N, 128]; a mask beside the face is not read."""
        face = seen[:, :3]
        if face.shape[-1] != SIDE:
            face = nn.functional.interpolate(face, (SIDE, SIDE), mode="bilinear")
        return nn.functional.normalize(self.network((face + 1) * 127.5))

    def heads(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows twice, as a recogniser has two layers to judge."""
        rows = self(seen)
        return rows, rows


def _affine(norm: Any) -> tuple[Tensor, Tensor]:
    """Return what a BatchNorm in eval mode multiplies by and adds."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def read_sface(model: bytes) -> SFace:
    """Return the network with the weights of the mended ONNX file `model`."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load_from_string(model).graph
    stored = {t.name: torch.from_numpy(to_array(t).copy()) for t in graph.initializer}
    shapes = {n.output[0]: stored[n.input[0]] for n in graph.node if n.op_type == "Reshape"}
    network = SFace()
    with torch.no_grad():
        for tensors, node in zip(_layers(network), _nodes(graph.node), strict=True):
            _fill(tensors, [(stored | shapes)[name] for name in node.input[1:]])
    return network


def _nodes(nodes: Any) -> Iterator[Any]:
    return (n for n in nodes if n.op_type in {"Conv", "BatchNormalization", "PRelu", "Gemm"})


def _layers(network: SFace) -> Iterator[Sequence[Tensor]]:
    """Yield the tensors of each layer in the order of the graph."""
    for block in network.trunk:
        yield [block.conv.weight]
        yield _norm(block.bn)
        yield [block.act.weight]
    yield _norm(network.norm)
    yield [network.linear.weight, network.linear.bias]
    yield _norm(network.last)


def _norm(norm: Any) -> Sequence[Tensor]:
    return [norm.weight, norm.bias, norm.running_mean, norm.running_var]


def _fill(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value.reshape(tensor.shape))
