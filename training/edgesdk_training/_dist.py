"""Several processes under torchrun; one process needs none of it."""

from __future__ import annotations

import os
from typing import Any


def rank() -> int:
    """Return this process's number."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def start() -> None:
    """Join the group that torchrun made, over the CPU's gloo."""
    import torch.distributed as dist

    if world() > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")


def wait() -> None:
    """Wait for all processes."""
    import torch.distributed as dist

    if world() > 1:
        dist.barrier()


def stop() -> None:
    """Leave the group."""
    import torch.distributed as dist

    if world() > 1 and dist.is_initialized():
        dist.destroy_process_group()


def average_gradients(parameters: list[Any]) -> None:
    """Replace each gradient by its mean over all processes, in one message."""
    if world() == 1:
        return
    import torch
    import torch.distributed as dist

    gradients = [p.grad for p in parameters if p.grad is not None]
    joined = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(joined)
    joined /= world()
    for gradient, part in zip(gradients, joined.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
