"""What one item costs, counted on the folded network itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesdk.core.tensors import Arrays


def measure(module: Any, example: Arrays) -> Mapping[str, int]:
    """Return parameters, macs and activation_floats of one item.

    Args:
        module: A torch module with convolutions and linear layers.
        example: One batch of one item.

    Returns:
        `macs` counts convolutions and linear layers, padding included; `activation_floats`
        the maps of all convolutions and the vector that the last one is pooled to.
    """
    import torch
    from torch import nn

    macs: list[int] = []
    maps: list[int] = []

    def count(layer: Any, _: Any, output: Any) -> None:
        macs.append(layer.weight.numel() * output[0, 0].numel())
        if isinstance(layer, nn.Conv2d):
            maps.append(output[0].numel())

    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        module(*(torch.from_numpy(array) for array in example.values()))
    for hook in hooks:
        hook.remove()
    last = [m for m in layers if isinstance(m, nn.Conv2d)][-1]
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "macs": sum(macs),
        "activation_floats": sum(maps) + last.out_channels,
    }
