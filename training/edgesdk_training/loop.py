"""One training loop for all recipes: schedule, clipping, averaging, resuming, speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from edgesdk.core.errors import EdgeSdkError, UsageError, did_you_mean
from edgesdk_training import _dist
from edgesdk_training.recorded import Recorded

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from edgesdk.core.protocols import RunContext

# A killed run loses at most this much work.
SAVE_EVERY_S = 60.0
OPTIMISERS = ("sgd", "adamw", "muon")

Batch = Any
Draw = Callable[["Tensor", "Generator"], Batch]
Loss = Callable[[Batch], "tuple[Tensor, dict[str, Tensor]]"]
Learn = Callable[[int], "tuple[Tensor, dict[str, Tensor]]"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one phase is trained.

    Attributes:
        phase: Its name in the state folder, the log and the progress.
        count: Number of items.
        epochs: Passes over them.
        batch: Items per step and process.
        lr: Highest learning rate; it rises for one twentieth and falls as a cosine to 0.
        optimiser: "sgd" (momentum 0.9, Nesterov), "adamw" or "muon" (see muon.py).
        weight_decay: On matrices and kernels only.
        clip: Largest norm of the gradient.
        average: Decay of the averaged weights that are returned, 0 for the last ones.
        alike: Whether all steps have the same shapes, so that a GPU may replay one.
    """

    phase: str
    count: int
    epochs: int
    batch: int
    lr: float
    optimiser: str = "sgd"
    weight_decay: float = 5e-4
    clip: float = 5.0
    average: float = 0.0
    alike: bool = True

    def __post_init__(self) -> None:
        check_optimiser(self.optimiser)

    @classmethod
    def of(cls, settings: Any, phase: str, count: int, alike: bool = True) -> Self:
        """Return the plan of a phase as a recipe's settings of the same names tell it.

        Args:
            settings: With epochs, batch, lr, optimiser, weight_decay, and average or none.
            phase: Its name.
            count: Number of items.
            alike: Whether all steps have the same shapes.
        """
        return cls(
            phase, count, settings.epochs, min(settings.batch, count), settings.lr,
            settings.optimiser, settings.weight_decay,
            average=getattr(settings, "average", 0.0), alike=alike,
        )  # fmt: skip

    @property
    def share(self) -> int:
        """Items per step of this process: of few items every process gets some."""
        return max(1, min(self.batch, self.count // _dist.world()))

    @property
    def steps_per_epoch(self) -> int:
        """Steps per pass; an incomplete last batch is left out."""
        return max(1, self.count // (self.share * _dist.world()))

    @property
    def steps(self) -> int:
        """Steps of the whole phase."""
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        warm = max(1, self.steps // 20)
        if step < warm:
            return self.lr * (step + 1) / warm
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


def fit(context: RunContext, plan: Plan, modules: Any, draw: Draw, loss: Loss) -> None:
    """Train `modules` in place; goes on where an earlier run of the phase stopped.

    Every random choice of a step follows from (seed, step), so on the CPU an interrupted run
    ends with the same weights as an uninterrupted one; a GPU adds up in no fixed order.

    Args:
        context: Where state and log go.
        plan: Lengths and rates.
        modules: One torch module that holds all that is trained.
        draw: (indices, generator) -> batch.
        loss: batch -> (loss, scalars for the log).
    """
    modules.to(context.device)
    optimiser = _optimiser(plan, modules)
    averaged = _averaged(plan, modules)
    state = context.load(plan.phase)
    first = 0 if state is None else _restore(state, modules, optimiser, averaged)
    modules.train()
    clock = _Clock()
    learn = _learner(context, plan, modules, optimiser, draw, loss, clock)
    for step in range(first, plan.steps):
        value, scalars = learn(step)
        if averaged is not None:
            averaged.update_parameters(modules)
        last = step + 1 == plan.steps
        if last or (step + 1) % max(1, plan.steps_per_epoch // 4) == 0:
            done = step + 1 - first
            numbers = {"loss": value.item(), **{k: v.item() for k, v in scalars.items()}}
            context.log(
                step + 1, plan.phase, **numbers, lr=plan.rate(step), **clock.speed(done, plan.share)
            )
            if not math.isfinite(numbers["loss"]):
                raise EdgeSdkError(
                    f"the loss is no longer finite after step {step + 1} of {plan.phase}; "
                    "train with a lower lr"
                )
            context.progress(step + 1, plan.steps, plan.phase)
        if last or clock.due():
            context.save(plan.phase, _state(step + 1, modules, optimiser, averaged))
    if averaged is not None:
        modules.load_state_dict(averaged.module.state_dict())
    modules.eval()


def _learner(
    context: RunContext,
    plan: Plan,
    modules: Any,
    optimiser: Any,
    draw: Draw,
    loss: Loss,
    clock: Any,
) -> Learn:
    """Return what does one step and tells its loss and scalars."""
    import torch

    generator = torch.Generator(context.device)
    # Of the optimisers, Muon alone takes a rate that lies on the GPU.
    recorded = context.device != "cpu" and plan.optimiser == "muon" and plan.alike

    def learn(order: Tensor, rate: Any) -> tuple[Tensor, dict[str, Tensor]]:
        with nullcontext() if recorded else clock.loading():
            batch = draw(order, generator)
        value, scalars = loss(batch)
        _move(plan, modules, optimiser, value, rate)
        return value.detach(), {k: v.detach() for k, v in scalars.items()}

    once = Recorded(learn, generator) if recorded else learn

    def step(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        generator.manual_seed(_seed(context.seed, plan.phase, number))
        return once(_indices(context, plan, number), plan.rate(number))

    return step


def _move(plan: Plan, modules: Any, optimiser: Any, value: Tensor, rate: Any) -> None:
    import torch

    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    parameters = [p for p in modules.parameters() if p.requires_grad]
    _dist.average_gradients(parameters)
    torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
    optimiser.step()


def _seed(seed: int, phase: str, step: int) -> int:
    mixed = (seed * 1_000_003 + sum(map(ord, phase))) * 1_000_033 + step
    return (mixed * 1000 + _dist.rank()) % 2**63


def _indices(context: RunContext, plan: Plan, step: int) -> Tensor:
    """Return this process's items of a step, out of the epoch's own permutation."""
    epoch, inside = divmod(step, plan.steps_per_epoch)
    seed = _seed(context.seed, plan.phase, epoch) - _dist.rank()
    start = (inside * _dist.world() + _dist.rank()) * plan.share
    return _order(plan.count, seed, context.device)[start : start + plan.share]


@lru_cache(maxsize=1)
def _order(count: int, seed: int, device: str) -> Tensor:
    import torch

    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(device)


def _optimiser(plan: Plan, modules: Any) -> Any:
    import torch

    if plan.optimiser == "muon":
        from edgesdk_training.muon import Muon, groups

        return Muon(groups(modules, plan.weight_decay), plan.lr)
    decayed = [p for p in modules.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in modules.parameters() if p.requires_grad and p.ndim <= 1]
    found = [{"params": decayed, "weight_decay": plan.weight_decay}]
    found += [{"params": free, "weight_decay": 0.0}] if free else []
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(found, lr=plan.lr)
    return torch.optim.SGD(found, lr=plan.lr, momentum=0.9, nesterov=True)


def check_optimiser(name: str) -> None:
    """Raise UsageError where there is no optimiser of that name."""
    if name not in OPTIMISERS:
        raise UsageError(f"there is no optimiser {name!r}. {did_you_mean(name, OPTIMISERS)}")


def _averaged(plan: Plan, modules: Any) -> Any:
    if not plan.average:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    return AveragedModel(modules, multi_avg_fn=get_ema_multi_avg_fn(plan.average), use_buffers=True)


def _state(step: int, modules: Any, optimiser: Any, averaged: Any) -> dict[str, Any]:
    state = {"step": step, "modules": modules.state_dict(), "optimiser": optimiser.state_dict()}
    return state if averaged is None else {**state, "averaged": averaged.state_dict()}


def _restore(state: Any, modules: Any, optimiser: Any, averaged: Any) -> int:
    try:
        modules.load_state_dict(state["modules"])
        optimiser.load_state_dict(state["optimiser"])
        if averaged is not None:
            averaged.load_state_dict(state["averaged"])
        return int(state["step"])
    except (RuntimeError, ValueError, KeyError):
        raise EdgeSdkError(
            "the run was begun with another version of this student or optimiser, whose saved "
            "state does not fit; start over with --fresh"
        ) from None


class _Clock:
    """Measures speed, the share of data loading, and when to save."""

    def __init__(self) -> None:
        self._begin = self._saved = time.perf_counter()
        self._loading = 0.0

    def loading(self) -> _Loading:
        return _Loading(self)

    def add(self, seconds: float) -> None:
        self._loading += seconds

    def speed(self, steps: int, batch: int) -> dict[str, float]:
        """Return images per second of this process and the part of time spent on data.

        Of a recorded step the part is unknown.
        """
        spent = time.perf_counter() - self._begin
        share = {"data_share": self._loading / spent} if self._loading else {}
        return {"images_s": steps * batch / spent, **share}

    def due(self) -> bool:
        now = time.perf_counter()
        if now - self._saved < SAVE_EVERY_S:
            return False
        self._saved = now
        return True


class _Loading:
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        self._clock.add(time.perf_counter() - self._begin)
