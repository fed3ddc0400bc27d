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
                moved = [p for p in group["params"] if p.grad is not None]
                if moved:
                    move = _orthogonal_steps if group["orthogonal"] else _sgd_steps
                    momenta = [self._momentum(p) for p in moved]
                    move(moved, momenta, group["lr"], group["weight_decay"])

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        return momentum


# A small network's step is hundreds of tiny operations, which a GPU starts one by one: so
# operations on lists of tensors, and one iteration for all matrices of a shape.


def _orthogonal_steps(
    parameters: list[Tensor], momenta: list[Tensor], lr: Rate, decay: float
) -> None:
    gradients = _gradients(parameters)
    torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
    torch._foreach_mul_(parameters, 1 - lr * decay)
    by_shape: dict[torch.Size, list[int]] = {}
    matrices = [m.flatten(1) for m in torch._foreach_lerp(gradients, momenta, MOMENTUM)]
    for place, matrix in enumerate(matrices):
        by_shape.setdefault(matrix.shape, []).append(place)
    for shape, places in by_shape.items():
        rate = lr * SIZE * max(shape) ** 0.5
        turned = orthogonal(torch.stack([matrices[i] for i in places])) * rate
        for place, matrix in zip(places, turned, strict=True):
            parameters[place].sub_(matrix.view_as(parameters[place]))


def _sgd_steps(parameters: list[Tensor], momenta: list[Tensor], lr: Rate, decay: float) -> None:
    gradients = torch._foreach_add(_gradients(parameters), parameters, alpha=decay)
    torch._foreach_mul_(momenta, 0.9)
    torch._foreach_add_(momenta, gradients)
    moves = torch._foreach_add(gradients, momenta, alpha=0.9)
    torch._foreach_mul_(moves, lr * SGD_SHARE)
    torch._foreach_sub_(parameters, moves)


def _gradients(parameters: list[Tensor]) -> list[Any]:
    return [p.grad for p in parameters]


def orthogonal(matrices: Tensor) -> Tensor:
    """Return [..., R, C] with the singular vectors of `matrices`, singular values 0.7..1.2."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    first, third, fifth = COEFFICIENTS
    for _ in range(5):
        square = x @ x.mT
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.mT if tall else x


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
