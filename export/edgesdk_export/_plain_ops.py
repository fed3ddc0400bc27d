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


def for_openvino(model: Any) -> None:
    """Write constants per channel that meet a product of four axes with one axis more, in place.

    OpenVINO's CPU kernels make the sum or PReLU a part of the product before it and read its
    constant along the last axis: refused where the sizes differ, other numbers where they are
    alike. With a further axis they keep the operator as it is.

    Args:
        model: openvino.Model.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Add", "Subtract", "PRelu") and _behind_product(node):
            for place, value in enumerate(node.input_values()):
                _broaden(node, place, value.get_node())


def _behind_product(node: Any) -> bool:
    """Tell whether a product lies before a node, with element-wise operators alone between."""
    shape = node.get_output_partial_shape(0)
    while len(shape) > 3 and node.get_output_partial_shape(0) == shape:
        if node.get_type_name() == "MatMul":
            return True
        makers = [value.get_node() for value in node.input_values()]
        before = [maker for maker in makers if maker.get_type_name() != "Constant"]
        if not before or "Convolution" in node.get_type_name():
            return False
        node = before[0]
    return False


def _broaden(node: Any, place: int, constant: Any) -> None:
    """Repeat a constant per channel along the first further axis that is longer than one."""
    import numpy as np
    from openvino import opset13 as ops

    shape = node.get_output_partial_shape(0)
    along = [n for n in range(2, len(shape)) if shape[n].is_static and shape[n].get_length() > 1]
    if constant.get_type_name() != "Constant" or not along:
        return
    sizes, apart = [*constant.shape], [1] * (len(shape) - 2)
    if node.get_type_name() == "PRelu" and len(sizes) == 1:  # one slope per channel
        sizes += apart
    sizes = [1] * (len(shape) - len(sizes)) + sizes
    if sizes[1] > 1 and [sizes[0], *sizes[2:]] == [1, *apart]:
        times = shape[along[0]].get_length()
        broad = ops.constant(np.repeat(constant.data.reshape(sizes), times, along[0]))
        broad.set_friendly_name(constant.get_friendly_name())
        node.input(place).replace_source_output(broad.output(0))


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
