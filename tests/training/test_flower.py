"""The rounds on Flower: the same weights as in one process, and a sentence where it is absent."""

import subprocess
import sys

import pytest

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import MissingDependencyError
from tests.training.conftest import FEDERATED

pytest.importorskip("torch", reason="needs the train extra")

WITH_FLOWER = all(map(plugins.installed, ("flwr", "ray")))


@pytest.mark.skipif(WITH_FLOWER, reason="Flower is installed")
def test_without_flower_the_extra_is_named(small_digits, tmp_path):
    data = f"clients={small_digits}"
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[federated\]"):
        edgesdk.train("fedlmd", data=data, engine="flower", output_dir=tmp_path / "runs")


@pytest.mark.slow
@pytest.mark.skipif(not WITH_FLOWER, reason="needs the federated extra")
@pytest.mark.parametrize("recipe", ["fedckd", "fedbsd"])
def test_flower_gives_the_weights_of_one_process(federated, small_digits, tmp_path, recipe):
    here = federated(recipe)
    # Ray and Flower warn of themselves, so they get a process of their own.
    words = [f"--set={name}={value}" for name, value in FEDERATED.items()]
    command = [sys.executable, "-m", "edgesdk", "train", recipe, f"--data=clients={small_digits}"]
    subprocess.run(
        [*command, *words, "--engine=flower", "-o", tmp_path / "flower"],
        check=True,
        timeout=500,
    )
    (there,) = (p for p in (tmp_path / "flower").iterdir() if p.is_dir())
    for name, path in here.checkpoints.items():
        other = read_checkpoint(there / path.relative_to(here.folder))
        assert other.weights_sha256 == read_checkpoint(path).weights_sha256, name
