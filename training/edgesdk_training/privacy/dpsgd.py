"""The rival DP-SGD: a student learns from the private pictures, each gradient clipped and noised.

Abadi et al. 2016 (arXiv 1607.00133). Gradients per picture and noise by Opacus, Poisson sampling
here, the guarantee by dp-accounting. BatchNorm mixes pictures, so the student learns in its
folded form, which has none.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from edgesdk_training.classes import accuracy
from edgesdk_training.privacy import accountant
from edgesdk_training.privacy.budget import Budget, Charge
from edgesdk_training.privacy.desk import account, token
from edgesdk_training.privacy.work import Made

if TYPE_CHECKING:
    from edgesdk_training.privacy.work import Work

PROTECTS = (
    "each private picture with its label (neighbours: one picture added or removed), against "
    "whoever sees the student"
)
COMPOSITION = "Poisson-sampled Gaussian mechanism over all steps, Renyi accountant of dp-accounting"
# Larger than that of the other methods: noise weighs less in large batches.
RATE = 0.02
LR = 0.5


class Needs:
    """What is to be installed."""

    requires, extra = ("opacus", *accountant.NEEDS), "privacy"


def by_dp_sgd(work: Work) -> Made:
    """Return a student that DP-SGD taught on the private pictures."""
    settings, context, data = work.settings, work.context, work.data
    steps = max(1, round(settings.epochs / RATE))
    budget = Budget(context.folder.parent, f"records-{data.sha256[:16]}", settings.budget)
    noise = accountant.sgd_noise(settings.epsilon, settings.delta, RATE, steps)
    cost = accountant.sgd_epsilon(noise, settings.delta, RATE, steps)
    budget.charge(Charge(context.folder.name, token(context), "dp-sgd", cost, steps))
    module = work.student.folded(work.fresh(3)).requires_grad_(True).train()
    _learn(work, module, noise, steps)
    metrics = {
        "holdout_accuracy": accuracy(module, data, data.held),
        "holdout_pictures": float(len(data.held)),
        "noise_multiplier": noise,
    }
    ledger = {
        "mechanism": "dp-sgd", "epsilon": cost, "delta": settings.delta, "queries": steps,
        "composition": COMPOSITION, "protects": PROTECTS, "noise_multiplier": noise, "rate": RATE,
        "randomness": _source(settings.seeded), **account(budget, settings.budget),
    }  # fmt: skip
    return Made(module, metrics, ledger)


def _source(seeded: bool) -> str:
    if seeded:
        return "seed: for tests; whoever knows the seed takes the noise away, so it protects nobody"
    return "64 bits of the system's secure source, expanded by torch, which is not cryptographic"


def _learn(work: Work, module: Any, noise: float, steps: int) -> None:
    """Train in place; a restart goes on from the last state with noise of its own."""
    import torch
    import torch.nn.functional as F
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    from edgesdk_training.classes import tensor

    context, data, settings = work.context, work.data, work.settings
    state = context.load("private")
    first = 0
    if state is not None:
        module.load_state_dict(state["module"])
        first = int(state["step"])
    wrapped = GradSampleModule(module, loss_reduction="sum")
    plain = torch.optim.SGD(module.parameters(), lr=LR)
    random = torch.Generator()
    optimiser = DPOptimizer(
        plain, noise_multiplier=noise, max_grad_norm=settings.clip, loss_reduction="mean",
        expected_batch_size=max(1, round(RATE * len(data.train))), generator=random,
    )  # fmt: skip
    labels = torch.from_numpy(data.labels)
    for step in range(first, steps):
        random.manual_seed(_seed(settings.seeded, context.seed, step))
        taken = data.train[(torch.rand(len(data.train), generator=random) < RATE).numpy()]
        optimiser.zero_grad()
        if len(taken):
            scores = wrapped(tensor(data.pictures[taken]).requires_grad_())
            F.cross_entropy(scores, labels[taken], reduction="sum").backward()
            optimiser.step()
        if (step + 1) % max(1, steps // 10) == 0 or step + 1 == steps:
            context.log(step + 1, "private", pictures=float(len(taken)))
            context.progress(step + 1, steps, "private")
            context.save("private", {"module": module.state_dict(), "step": step + 1})
    wrapped.remove_hooks()


def _seed(seeded: bool, seed: int, step: int) -> int:
    return (seed * 1_000_003 + step) % 2**63 if seeded else secrets.randbits(63)
