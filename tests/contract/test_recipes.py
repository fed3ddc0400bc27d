"""Every recipe of the project keeps the public contract, in a run of seconds."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.testing.recipe import RecipeContract


class TestBridge(RecipeContract):
    recipe = "bridge"
    settings: ClassVar = {"epochs": 2, "adapt_epochs": 2, "holdout": 4, "batch": 32}
    data: ClassVar = {"public": [Path("synthetic")]}

    @pytest.fixture(autouse=True)
    def _frequent_states(self, coarse_teacher, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


class TestF2c(RecipeContract):
    recipe = "f2c"
    settings: ClassVar = {"epochs": 1, "batch": 4, "size": 32}
    data: ClassVar = {"images": []}

    @pytest.fixture(autouse=True)
    def _drawn_set(self, drawn_set, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr(type(self), "data", {"images": [drawn_set]})
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


class TestDetect(RecipeContract):
    recipe = "detect"
    settings: ClassVar = {"epochs": 1, "tiles": 8, "batch": 4, "side": 64, "occluders": 4}
    data: ClassVar = {"images": [], "public": []}

    @pytest.fixture(autouse=True)
    def _drawn_photos(self, photos_and_faces, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr(type(self), "data", photos_and_faces)
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


class TestDeocclusion(RecipeContract):
    recipe = "deocclusion"
    settings: ClassVar = {
        "epochs": 1, "complete_epochs": 1, "holdout": 4, "batch": 32, "occluders": 20, "size": 32,
        "deep": False,
    }  # fmt: skip
    data: ClassVar = {"public": [Path("synthetic")]}

    @pytest.fixture(autouse=True)
    def _frequent_states(self, coarse_teacher, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


class TestItem(RecipeContract):
    recipe = "item"
    settings: ClassVar = {"epochs": 2}
    data: ClassVar = {"images": []}

    @pytest.fixture(autouse=True)
    def _made_up(self, tmp_path, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        from edgesdk_training.joint_space import made_up

        np.savez(tmp_path / "space.npz", **made_up(120, 0))
        monkeypatch.setattr(type(self), "data", {"images": [tmp_path / "space.npz"]})
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


class TestRelabel(RecipeContract):
    recipe = "relabel"
    settings: ClassVar = {"epochs": 1, "batch": 32, "latent": 8}
    data: ClassVar = {"images": [Path("synthetic")]}

    @pytest.fixture(autouse=True)
    def _frequent_states(self, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


class Federated(RecipeContract):
    settings: ClassVar = {
        "clients": 3, "rounds": 2, "local_epochs": 1, "size": 16, "width": 2, "hidden": 4,
        "skew": "even", "participation": 0.6,
    }  # fmt: skip
    data: ClassVar = {"clients": [Path("synthetic")]}

    def train(self, out, **options):
        pytest.importorskip("torch", reason="needs the train extra")
        return super().train(out, **options)


class TestFedLmd(Federated):
    recipe = "fedlmd"


class TestFedBsd(Federated):
    recipe = "fedbsd"


class TestFedCkd(Federated):
    recipe = "fedckd"


def _leaves(kind):
    below = kind.__subclasses__()
    return {leaf for k in below for leaf in _leaves(k)} if below else {kind}


class TestCost(RecipeContract):
    recipe = "cost"
    settings: ClassVar = {
        "pairs": 4, "epochs": 1, "whole_steps": 1, "batch": 2, "size": 64, "width": 16,
        "hears": 8, "hear_pairs": 4, "hear_epochs": 1,
    }  # fmt: skip
    data: ClassVar = {"video": [Path("synthetic")]}

    @pytest.fixture(autouse=True)
    def _frequent_states(self, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)
        monkeypatch.setattr("edgesdk_training.track_trial.WORLDS", 1)


class TestDpdf(RecipeContract):
    recipe = "dpdf"
    settings: ClassVar = {
        "seeded": True, "size": 8, "width": 2, "hidden": 8, "teacher_width": 2, "epochs": 1,
        "generator_width": 4, "steps": 2, "queries": 60, "teacher_epochs": 1, "batch": 32,
    }  # fmt: skip
    data: ClassVar = {"private": [Path("synthetic")]}

    @pytest.fixture(autouse=True)
    def _frequent_states(self, monkeypatch):
        pytest.importorskip("torch", reason="needs the train extra")
        monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)


def test_every_recipe_is_covered():
    covered = {c.recipe for c in _leaves(RecipeContract)}
    assert covered == set(plugins.names(plugins.RECIPES))
