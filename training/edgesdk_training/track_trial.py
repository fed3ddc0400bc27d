"""A tracker's network tried on sequences while it is still a torch module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgesdk.core.task import ModelInfo, info_of
from edgesdk.core.tensors import Array, Arrays
from edgesdk.sequences import Track, measures
from edgesdk.track import Follower
from edgesdk.track_steps import Policy
from edgesdk.worlds import Scene, make_world

WORLDS, FRAMES = 24, 12  # of the trial among look-alikes


def info_of_module(student: Any, config: Any) -> ModelInfo:
    """Describe a network that is no checkpoint yet."""
    inputs, outputs = student.specs(config)
    return ModelInfo(
        model=student.model_name(config), task=student.task, inputs=inputs, outputs=outputs,
        preprocess=student.preprocess(config), postprocess=student.postprocess(config),
    )  # fmt: skip


def info_of_checkpoint(student: Any, checkpoint: Any) -> ModelInfo:
    """Describe a stored network, with the policy that travels with it."""
    return info_of(checkpoint, *student.specs(student.config(**checkpoint.student_config)))


def runner(module: Any) -> Callable[[Arrays], dict[str, Array]]:
    """Return the module as a function of named arrays."""
    import torch

    def run(arrays: Arrays) -> dict[str, Array]:
        with torch.inference_mode():
            found = module(*(torch.from_numpy(arrays[k]) for k in ("image", "memory", "text")))
        return dict(zip(("score", "box", "features"), (f.numpy() for f in found), strict=True))

    return run


def follow(follower: Follower, frames: Sequence[Array], box: Array, text: str) -> Array:
    """Return the boxes [frames, 4], the first one being given."""
    found = [follower.start(frames[0], box, text).box]
    found += [follower.update(frame).box for frame in frames[1:]]
    return np.array(found)


def judged(
    module: Any, student: Any, config: Any, held: Sequence[Track], policy: Policy | None = None
) -> dict[str, float]:
    """Return the AUC on sequences held out and among look-alikes, with and without words."""
    follower = Follower(runner(module), info_of_module(student, config), policy)
    found: dict[str, float] = {}
    for key, spoken in (("auc", True), ("auc_silent", False)):
        worlds = [make_world(10_000 + i, Scene(frames=FRAMES)) for i in range(WORLDS)]
        scores = [
            measures(follow(follower, w.frames, w.boxes[0], w.text * spoken), w.boxes)["auc"]
            for w in worlds
        ]
        found[f"worlds_{key}"] = float(np.mean(scores))
        rows = [
            measures(
                follow(follower, [t.read(i) for i in range(len(t))], t.boxes[0], t.text * spoken),
                t.boxes,
            )["auc"]
            for t in held
        ]
        if rows:
            found[f"holdout_{key}"] = float(np.mean(rows))
    return found
