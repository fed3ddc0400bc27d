"""What the tests of training share: a teacher that needs no weights, and tiny runs."""

from pathlib import Path

import numpy as np
import pytest

from edgesdk_training._train import train

FEDERATED = {
    "clients": 4, "rounds": 2, "participation": 1.0, "local_epochs": 1, "size": 8, "width": 2,
    "hidden": 6, "batch": 16, "skew": "shards:2", "last": 1,
}  # fmt: skip
CLASSES = 5
TINY = {"epochs": 2, "adapt_epochs": 2, "holdout": 4, "batch": 32}


@pytest.fixture
def teacher(coarse_teacher):
    return coarse_teacher


@pytest.fixture
def tiny(coarse_teacher, tmp_path):
    """Return a function that trains on drawn faces in seconds."""
    pytest.importorskip("torch", reason="needs the train extra")

    def run(out="runs", seed=0, **settings):
        data = {"public": [Path("synthetic")]}
        given = {
            "fresh": settings.pop("fresh", False),
            "progress": settings.pop("progress", None),
            "device": settings.pop("device", "cpu"),
        }
        return train(
            "bridge", settings=TINY | settings, data=data, seed=seed, out=tmp_path / out, **given
        )

    return run


@pytest.fixture
def small_digits(tmp_path):
    """Return an .npz like mnist.npz: smooth 8 x 8 greys of five kinds, with noise."""
    random = np.random.default_rng(0)
    kinds = random.integers(60, 200, (CLASSES, 8, 8))
    labels = np.arange(120) % CLASSES
    pictures = (kinds[labels] + random.normal(0, 20, (120, 8, 8))).clip(0, 255).astype(np.uint8)
    np.savez(tmp_path / "drawn.npz", x_train=pictures, y_train=labels)
    return tmp_path / "drawn.npz"


@pytest.fixture
def federated(small_digits, tmp_path):
    def start(recipe="fedlmd", out="runs", seed=0, data=None, **settings):
        given = {"clients": [data or small_digits]}
        return train(
            recipe, settings=FEDERATED | settings, data=given, seed=seed, out=tmp_path / out
        )  # fmt: skip

    return start


class Absent:
    """FedAvg whose clients of some numbers fail."""

    whole = True

    def __init__(self, who):
        from edgesdk_training.methods.fedavg import FedAvg

        self._method, self._who = FedAvg(), who

    def __getattr__(self, name):
        return getattr(self._method, name)

    def local(self, job):
        if job.client in self._who:
            raise RuntimeError("absent")
        return self._method.local(job)


def apart_by(one, other):
    """Return the largest difference between the weights of two global networks."""
    from safetensors.torch import load_file

    first, second = (
        load_file(next((path / "global").glob("*.safetensors"))) for path in (one, other)
    )
    return max(float((first[name] - second[name]).abs().max()) for name in first)
