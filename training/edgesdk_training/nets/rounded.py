"""A network as int8 will compute it: weights and maps on 256 levels, arithmetic in float.

Written out instead of taken from `torch.ao.quantization`, which torch calls deprecated. Works
on any module without changes to it, because it watches the operators that run.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

TINY = 1e-12
Range = tuple[Tensor, Tensor]

# Operators that read int8 and how many of their first operands are maps. A ReLU or a maximum
# stands on the same levels before and after, so the next operator that reads it rounds it.
READS: dict[Any, int] = {
    F.conv2d: 1,
    F.linear: 1,
    Tensor.add: 2,
    Tensor.mul: 1,
    Tensor.mean: 1,
}
PRODUCTS = (F.conv2d, F.linear)


def round_map(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return `x` on 256 even levels from `low` to `high`, one of which is 0.

    The gradient passes to `x` as if nothing were rounded, and to the range as the width of
    its levels decides on the errors: outliers that cost the others their levels are pulled in.
    """
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / 255).clamp(min=TINY)
    zero = (-low / scale).detach().round()
    return _on_levels(x, scale, zero, 0, 255)


def round_weight(weight: Tensor) -> Tensor:
    """Return a weight [outputs, ...] on 255 levels around 0, of a width per output."""
    largest = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
    scale = (largest / 127).clamp(min=TINY)
    return _on_levels(weight, scale, scale.new_zeros(()), -127, 127)


def _on_levels(x: Tensor, scale: Tensor, zero: Tensor, first: int, last: int) -> Tensor:
    with torch.no_grad():
        codes = (x / scale).round_().add_(zero).clamp_(first, last).sub_(zero)
        error = codes.sub_(x / scale)
    return x + scale * error


class Rounded(nn.Module):
    """The identity layer [N, D] of a student, before it gets unit length, under int8.

    Attributes:
        student: The network, BatchNorm folded; it shares its weights with this module.
        ranges: Lowest and highest value of each map in the order they are read, as `measure`
            found them; None for those of the batch itself, as in training.
    """

    def __init__(self, student: Any) -> None:
        super().__init__()
        self.student = student
        self.ranges: list[Range] | None = None

    def forward(self, image: Tensor) -> Tensor:
        """Return [N, D] of images [N, 3, S, S]."""
        ranges = None if self.ranges is None else iter(self.ranges)
        with _Int8(_extremes if ranges is None else lambda _: next(ranges)):
            identity: Tensor = self.student.heads(image)[1]
        return identity

    def measure(self, sample: Tensor) -> None:
        """Fix the ranges to what float arithmetic has on `sample`, as an export does."""
        ranges: list[Range] = []

        def note(x: Tensor) -> Range:
            ranges.append(_extremes(x))
            return ranges[-1]

        with torch.no_grad(), _Int8(note, exact=True):
            self.student.heads(sample)
        self.ranges = ranges


def _extremes(x: Tensor) -> Range:
    return x.amin(), x.amax()


class _Int8(TorchFunctionMode):
    """Rounds what the operators inside it read; `exact` looks only."""

    def __init__(self, span: Callable[[Tensor], Range], exact: bool = False) -> None:
        super().__init__()
        self._span, self._exact = span, exact

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        count = READS.get(function, 0)
        read = [self._read(a) if i < count else a for i, a in enumerate(args)]
        if function in PRODUCTS and not self._exact:
            read[1] = round_weight(args[1])
        return function(*read, **(kwargs or {}))

    def _read(self, operand: Any) -> Any:
        if not isinstance(operand, Tensor) or isinstance(operand, nn.Parameter):
            return operand
        low, high = self._span(operand)
        return operand if self._exact else round_map(operand, low, high)
