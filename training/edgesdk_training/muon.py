"""Muon: steps of kernels and matrices whose directions all have the same size.

The momentum of a kernel, read as a matrix [outputs, rest], is replaced by the nearest
orthogonal one, found by five Newton-Schulz steps (K. Jordan 2024, "Muon: an optimizer for
hidden layers in neural networks", with his coefficients). `torch.optim.Muon` takes matrices
only, not kernels.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# The mean size of one step's numbers is 0.2 of the learning rate, as AdamW's are.
SIZE = 0.2
# Vectors and heads learn by SGD, whose rate is this much higher than Muon's.
SGD_SHARE = 10.0

# A number, or a tensor where a step is recorded for a GPU.
Rate: TypeAlias = float | Tensor


class Muon(Optimizer):
    """Muon for groups with `orthogonal`, SGD with Nesterov's momentum for the others."""

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0, "orthogonal": False})

    def step(self, closure: Any = None) -> None:
        """Change all parameters that have a gradient."""
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._move(parameter, group)

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        move = _orthogonal_step if group["orthogonal"] else _sgd_step
        move(parameter, state["momentum"], group["lr"], group["weight_decay"])


def _orthogonal_step(parameter: Tensor, momentum: Tensor, lr: Rate, decay: float) -> None:
    gradient: Any = parameter.grad
    momentum.lerp_(gradient, 1 - MOMENTUM)
    matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)
    scale = SIZE * max(matrix.shape) ** 0.5
    parameter.mul_(1 - lr * decay)
    parameter.sub_(orthogonal(matrix).view_as(parameter) * (lr * scale))


def _sgd_step(parameter: Tensor, momentum: Tensor, lr: Rate, decay: float) -> None:
    gradient: Any = parameter.grad
    gradient = gradient.add(parameter, alpha=decay)
    momentum.mul_(0.9).add_(gradient)
    parameter.sub_(gradient.add(momentum, alpha=0.9) * (lr * SGD_SHARE))


def orthogonal(matrix: Tensor) -> Tensor:
    """Return [R, C] with the singular vectors of `matrix` and singular values near 1 (0.7..1.2)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    first, third, fifth = COEFFICIENTS
    for _ in range(5):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.T if tall else x


def groups(module: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameter groups of `module`: kernels that mix channels, heads, vectors.

    A depthwise kernel [C, 1, k, k] mixes nothing, and a head's rows are classes of which a
    step sees a few: both stay with SGD, as vectors do without decay.
    """
    wanted = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    mixing = [p for n, p in wanted if p.ndim > 1 and p.shape[1] > 1 and not _is_head(n)]
    chosen = {id(p) for p in mixing}
    heads = [p for _, p in wanted if p.ndim > 1 and id(p) not in chosen]
    vectors = [p for _, p in wanted if p.ndim <= 1]
    found: list[dict[str, Any]] = [
        {"params": mixing, "weight_decay": 100 * weight_decay, "orthogonal": True},
        {"params": heads, "weight_decay": weight_decay},
        {"params": vectors},
    ]
    return [group for group in found if group["params"]]


def _is_head(name: str) -> bool:
    return "head" in name.split(".")
