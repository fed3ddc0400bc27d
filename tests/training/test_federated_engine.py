"""Federated training in one process: bad clients, killed runs, what is left at the end."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import edgesdk
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import EdgeSdkError
from edgesdk.verbs.train import show
from edgesdk_training._train import train
from tests.training.conftest import CLASSES, FEDERATED

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training.federated import engine  # noqa: E402
from edgesdk_training.federated.local import whole_state  # noqa: E402
from edgesdk_training.federated.networks import network  # noqa: E402
from edgesdk_training.methods.fedavg import FedAvg  # noqa: E402
from edgesdk_training.students.class_net import Config  # noqa: E402


class Faulty(FedAvg):
    """FedAvg with one client that misbehaves."""

    whole = True

    def __init__(self, how):
        self.how = how

    def local(self, job):
        update = super().local(job)
        return self.how(update) if job.client == 2 else update


def dies(update):
    raise RuntimeError("out of memory")


def sends_nothing_finite(update):
    return dataclasses.replace(update, shared={k: t / 0 for k, t in update.shared.items()})


def is_stale(update):
    return dataclasses.replace(update, round=update.round - 1)


class TestEngine:
    @pytest.mark.parametrize("how", [dies, sends_nothing_finite, is_stale])
    def test_a_bad_client_harms_nobody(self, federated, monkeypatch, how):
        found = {}
        for name, method in (("bad", Faulty(how)), ("again", Faulty(dies))):
            monkeypatch.setattr("edgesdk_training.methods.fedavg.PLUGIN", method)
            found[name] = federated(method="fedavg", out=name)
        assert found["bad"].curves["clients"] == [3, 3]
        weights = [read_checkpoint(r.checkpoints["global"]).weights_sha256 for r in found.values()]
        assert weights[0] == weights[1]

    def test_where_no_client_can_learn_the_run_says_why(self, federated, monkeypatch):
        class Broken(FedAvg):
            def local(self, job):
                raise RuntimeError("out of memory")

        monkeypatch.setattr("edgesdk_training.methods.fedavg.PLUGIN", Broken())
        with pytest.raises(EdgeSdkError, match=r"no client could learn in round 1: .*memory"):
            federated(method="fedavg")

    def test_a_run_in_which_nothing_was_learnt_is_no_success(self, federated, tmp_path):
        with pytest.raises(EdgeSdkError, match="no client's answer counted in any of 2 rounds"):
            federated(method="fedavg", lr=1e30)
        (folder,) = (tmp_path / "runs").glob("fedlmd-*")
        assert not (folder / "result.json").exists()

    @pytest.mark.parametrize("recipe", ["fedckd", "fedbsd"])
    def test_a_killed_run_goes_on_and_ends_like_one_that_was_not(
        self, federated, monkeypatch, recipe
    ):
        class Killed(BaseException):
            pass

        def one_round(*given):
            if given[-1] == 2:
                raise Killed
            done.append(given[-1])
            return honest(*given)

        done, honest = [], engine.one_round
        monkeypatch.setattr(engine, "one_round", one_round)
        monkeypatch.setattr(engine, "SAVING", 1.0)
        with pytest.raises(Killed):
            federated(recipe, out="killed", rounds=3)
        monkeypatch.setattr(
            engine, "one_round", lambda *given: done.append(given[-1]) or honest(*given)
        )
        again, whole = federated(recipe, out="killed", rounds=3), federated(recipe, rounds=3)
        assert done[:3] == [0, 1, 2]
        assert again.curves == whole.curves
        for name, path in whole.checkpoints.items():
            other = read_checkpoint(again.checkpoints[name])
            assert other.weights_sha256 == read_checkpoint(path).weights_sha256, name

    def test_a_damaged_state_is_told_in_one_sentence(self, federated):
        folder = federated(rounds=1).folder
        (folder / "result.json").unlink()
        state = folder / "state" / "rounds.pt"
        state.write_bytes(state.read_bytes()[:500])
        with pytest.raises(EdgeSdkError, match=r"rounds\.pt is damaged; start over with --fresh$"):
            federated(rounds=1)

    def test_of_many_clients_a_few_are_listed(self, federated):
        told = show(federated("fedbsd", clients=20, rounds=1, skew="even", method="local"))
        assert told.count("/personal/client-") == 12  # one of them in what to type next
        assert "... 9 more\nclient-19" in told
        assert "bytes_up                 0\n" in told

    def test_bytes_are_those_of_what_travels(self, federated):
        result = federated("fedbsd")
        tensors = whole_state(network("class-net", Config(8, CLASSES, 2, 6), CLASSES, 0))
        backbone = sum(4 * t.numel() for n, t in tensors.items() if not n.startswith("head."))
        assert result.curves["bytes_up"] == [4 * backbone, 4 * backbone]
        assert result.curves["global_accuracy"] == [None, None]
        assert federated("fedbsd", method="local").curves["bytes_up"] == [0, 0]

    def test_the_result_holds_a_value_per_round(self, federated):
        result = federated()
        for name in ("global_accuracy", "personal_accuracy", "generality", "bytes_up"):
            assert len(result.curves[name]) == 2
            assert result.metrics[name] == pytest.approx(result.curves[name][-1])
        assert "<svg" in result.artefacts["distribution"].read_text()
        assert federated() == result
        bytes_up = f"{result.metrics['bytes_up']:,.0f}"
        assert f"bytes_up                 {bytes_up}\n" in show(result)

    def test_every_client_has_a_model_of_its_own_that_tells_classes(self, federated):
        result = federated("fedckd")
        path = result.folder / "personal" / "client-3"
        assert result.checkpoints["client-3"] == path
        checkpoint = read_checkpoint(path)
        assert checkpoint.labels == tuple("01234")
        assert 0 <= checkpoint.metrics["generality"] <= 1
        hashes = {read_checkpoint(p).weights_sha256 for p in result.checkpoints.values()}
        assert len(hashes) == 5

    @pytest.mark.slow
    def test_a_personal_network_passes_the_gate_on_its_way_to_the_device(self, federated, tmp_path):
        pytest.importorskip("litert_torch", reason="needs the tflite extra")
        run = federated("fedckd")
        bundle = edgesdk.export(
            run.folder / "personal" / "client-3", target="tflite", output_dir=tmp_path / "bundles"
        )
        assert (bundle.verify["verdict"], bundle.target) == ("pass", "tflite")
        assert bundle.labels == tuple("01234")
        assert edgesdk.verify(bundle).verdict == "pass"
        with edgesdk.load(bundle) as session:
            picture = np.full((8, 8, 3), 90, np.uint8)
            inputs = {name: step([picture]) for name, step in bundle.preprocess.items()}
            (scores,) = session.run(inputs).values()
        assert scores.shape == (1, 5)

    def test_faces_are_judged_by_people_of_other_clients(self, tmp_path):
        asked = {"skew": "people", "clients": 3, "size": 16, "width": 0, "hidden": 0, "rounds": 1}
        result = train(
            "fedbsd", student="bridge-face", settings=FEDERATED | asked | {"holdout": 0.5},
            data={"clients": [Path("synthetic")]}, out=tmp_path,
        )  # fmt: skip
        assert result.metrics["generality"] >= 0.5
        checkpoint = read_checkpoint(result.checkpoints["client-1"])
        assert (checkpoint.task, checkpoint.model) == ("face-embedding", "bridge-face")
        assert checkpoint.labels == ()

    def test_as_many_clients_at_once_as_threads(self, federated, small_digits, tmp_path):
        given = {"settings": FEDERATED, "data": {"clients": [small_digits]}}
        both = train("fedlmd", **given, out=tmp_path / "two", threads=2)
        one = federated()
        torch.set_num_threads(1)
        for name, path in one.checkpoints.items():
            same = read_checkpoint(both.checkpoints[name]).weights_sha256
            assert read_checkpoint(path).weights_sha256 == same
