"""What the tests of training share: a teacher that needs no weights, and tiny runs."""

from pathlib import Path

import pytest

from edgesdk_training._train import train

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
