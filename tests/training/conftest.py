"""What the tests of training share: a teacher that needs no weights, and tiny runs."""

from pathlib import Path

import numpy as np
import pytest

from edgesdk_training import context
from edgesdk_training._train import train

TINY = {"epochs": 2, "adapt_epochs": 2, "holdout": 4, "batch": 32}


class FakeTeacher:
    """Projects coarse colours to 32 dimensions; tells drawn people apart."""

    name, sha256, dim = "fake", "0" * 64, 32

    def __init__(self):
        self.calls = 0
        self._map = np.random.default_rng(0).normal(size=(48, 32)).astype(np.float32)

    def __call__(self, pictures):
        self.calls += 1
        cells = [p[:48, :48].reshape(4, 12, 4, 12, 3).mean((1, 3)).ravel() for p in pictures]
        return (np.stack(cells) / 127.5 - 1).astype(np.float32) @ self._map


@pytest.fixture
def teacher(monkeypatch):
    fake = FakeTeacher()
    monkeypatch.setattr(context, "open_teacher", lambda name, threads: fake)
    return fake


@pytest.fixture
def tiny(teacher, tmp_path):
    """Return a function that trains on drawn faces in seconds."""
    pytest.importorskip("torch", reason="needs the train extra")

    def run(out="runs", seed=0, **settings):
        data = {"public": [Path("synthetic")]}
        given = {"fresh": settings.pop("fresh", False), "progress": settings.pop("progress", None)}
        return train(
            "bridge", settings=TINY | settings, data=data, seed=seed, out=tmp_path / out, **given
        )

    return run
