"""The rounds on Flower: the same weights as in one process, and a sentence where it is absent."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.files import read_json
from edgesdk_training.federated.settings import FederatedSettings
from tests.training.conftest import FEDERATED, Absent, apart_by

pytest.importorskip("torch", reason="needs the train extra")

BAD = Path(__file__).parent / "bad_client"
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
    there, _ = simulated(recipe, small_digits, tmp_path / "flower")
    for name, path in here.checkpoints.items():
        other = read_checkpoint(there / path.relative_to(here.folder))
        assert other.weights_sha256 == read_checkpoint(path).weights_sha256, name


def simulated(recipe, data, out, env=(), **settings):
    """Return the folder of a run in Flower's simulation, and what it said.

    Ray and Flower warn of themselves, so they get a process of their own.
    """
    words = [f"--set={name}={value}" for name, value in (FEDERATED | settings).items()]
    command = [sys.executable, "-m", "edgesdk", "train", recipe, f"--data=clients={data}"]
    done = subprocess.run(
        [*command, *words, "--engine=flower", "-o", out], check=True, timeout=500,
        env=os.environ | dict(env), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    (folder,) = (p for p in out.iterdir() if p.is_dir())
    return folder, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not WITH_FLOWER, reason="needs the federated extra")
@pytest.mark.parametrize("mean", ["pictures", "uniform"])
def test_a_secure_sum_of_three_clients_is_their_mean(federated, small_digits, tmp_path, mean):
    settings = {"clients": 3, "skew": "dirichlet:0.5", "mean": mean}
    here = federated(out="here", **settings, rounds=1)
    there, _ = simulated(
        "fedlmd", small_digits, tmp_path / "flower", secure=True, rounds=1, **settings
    )
    assert apart_by(here.folder, there) < 1e-3
    other = federated(out="other", seed=1, **settings, rounds=1)
    assert apart_by(here.folder, other.folder) > 1e-2
    masked = read_json(there / "result.json", "result")["bytes_up"][0]
    assert masked > 2 * here.curves["bytes_up"][0]  # eight bytes a number, and the keys


@pytest.mark.slow
@pytest.mark.skipif(not WITH_FLOWER, reason="needs the federated extra")
def test_who_fails_is_taken_out_of_a_secure_sum(federated, small_digits, tmp_path, monkeypatch):
    settings = {"rounds": 1, "method": "fedavg"}
    bad = {
        "PYTHONPATH": os.pathsep.join([str(BAD), os.environ.get("PYTHONPATH", "")]),
        "EDGESDK_TEST_FAULT": "nan", "EDGESDK_TEST_FAULTY": "2",
    }  # fmt: skip
    there, said = simulated(
        "fedlmd", small_digits, tmp_path / "flower", bad, secure=True, **settings
    )
    assert "round 1: client 2 is left out" in said
    with_all = federated(out="all", **settings)
    monkeypatch.setattr("edgesdk_training.methods.fedavg.PLUGIN", Absent({2}))
    rest = federated(out="rest", **settings)
    assert apart_by(there, rest.folder) < 1e-3 < apart_by(there, with_all.folder)


class Nodes:
    """Flower's grid with two clients, numbers 1 and 7, that are gone when a round begins."""

    def get_node_ids(self):
        return [11, 17]

    def send_and_receive(self, messages, timeout):
        for message in messages:
            node = message.dst_node_id
            if message.message_type == "query":
                yield self.answer(node, content={"told": {"client": node - 10}})
            else:  # in the place of a client that is gone the SuperLink answers, node 1
                yield self.answer(1, error=SimpleNamespace(reason="Node Unavailable"))

    def answer(self, node, content=None, error=None):
        return SimpleNamespace(
            metadata=SimpleNamespace(src_node_id=node), content=content, error=error,
            has_error=lambda: error is not None,
        )  # fmt: skip


@pytest.mark.skipif(not WITH_FLOWER, reason="needs the federated extra")
@pytest.mark.filterwarnings("ignore:.*click.utils:DeprecationWarning")  # Flower's own
def test_clients_that_are_gone_and_too_many_are_told(caplog, monkeypatch):
    from edgesdk_training.federated.messages import Asking
    from edgesdk_training.federated.state import State

    caplog.set_level("INFO", "edgesdk")
    # Flower makes messages within its own programs alone.
    monkeypatch.setattr("flwr.app.Message", lambda _, **told: SimpleNamespace(**told))
    asking = Asking(Nodes(), FederatedSettings(clients=2, timeout_s=0.1), kept=None)
    updates, failures = asking(State({}, {}), [0, 1], 0)
    assert not updates
    assert failures == {
        0: "it is not there", 1: "it is gone, or did not answer within 0.1 s",
    }  # fmt: skip
    assert "client 7 is there, and is never asked: the last is client 1" in caplog.text


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "set engine=flower"),
        ({"engine": "flower", "method": "local"}, "of method=local nothing does"),
        ({"engine": "flower", "clients": 4}, "takes 3 clients in a round or more, found 2"),
    ],
)
def test_a_secure_sum_that_would_hide_nothing_is_refused(settings, why):
    with pytest.raises(UsageError, match=why):
        FederatedSettings(secure=True, **settings)


def test_what_is_summed_is_how_far_each_tensor_moved():
    import torch

    from edgesdk_training.federated.secure import apart, joined

    received = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor(5.0)}
    learnt = {"a": torch.tensor(4.5), "b": torch.tensor([[1.25, 2.0]])}
    moved = apart(received, learnt)
    assert np.array_equal(moved, [-0.5, 0.25, 0.0])
    again = joined(received, moved)
    assert all(torch.equal(again[name], tensor) for name, tensor in learnt.items())
    assert again["a"].dtype == torch.float32
