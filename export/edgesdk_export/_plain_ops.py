"""Operators that a converter lacks or gets wrong, written in others that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Written = dict[Any, Callable[..., Any]]


def for_coreml() -> Written:
    """Return torch's own writings of what coremltools has no form of; steps are written out."""
    import torch

    aten = torch.ops.aten
    return dict(
        torch._decomp.get_decompositions(
            (aten.gru.input, aten.lstm.input, aten.upsample_bicubic2d.vec)
        )
    )


def for_tflite() -> Written:
    """Return our writing of the transposed convolution.

    litert_torch takes few paddings of it, and puts zeros where `output_padding` asks for values.
    """
    import torch

    aten = torch.ops.aten
    return {aten.conv_transpose1d.default: _spread, aten.conv_transpose2d.input: _spread}


def _spread(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Any:
    """Spread without any padding, then cut out what is asked for."""
    import torch
    import torch.nn.functional as F

    count = x.ndim - 2
    stride, padding, more, dilation = (
        [*v] * count if len(v) == 1 else [*v] for v in (stride, padding, output_padding, dilation)
    )
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + m + 1
        for n, s, p, d, k, m in zip(
            x.shape[2:], stride, padding, dilation, weight.shape[2:], more, strict=True
        )
    ]
    # One place more of zeros reaches as far as any `output_padding`.
    beyond = [int(m > p) for m, p in zip(more, padding, strict=True)]
    if any(beyond):
        x = F.pad(x, [n for after in reversed(beyond) for n in (0, after)])
    nothing = [0] * count
    spread = torch.ops.aten.convolution(
        x, weight, bias, stride, nothing, dilation, True, nothing, groups
    )
    for axis, (first, size) in enumerate(zip(padding, sizes, strict=True), 2):
        spread = spread.narrow(axis, first, size)
    return spread
