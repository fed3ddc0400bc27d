"""Artefacts judged beside their checkpoint, on made-up people."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk.pairs import read_pairs, thresholds
from edgesdk_benchmarks import _artefacts
from edgesdk_benchmarks._artefacts import Judged, judge_artefacts, line, make_plan
from edgesdk_benchmarks.accuracy import main

NAME = "bridge-face"
needs_train = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("safetensors") is None, reason="needs the extra train"
)


def test_all_targets_are_planned_by_default():
    plan = make_plan([NAME], [], None)
    assert plan.checkpoints == (shipped_checkpoint(NAME),)
    assert {"onnx", "tflite", "coreml", "tensorrt", "reference"} <= set(plan.targets)
    assert make_plan([str(shipped_checkpoint(NAME))], ["litert", "onnx"], None).targets == (
        "onnx", "tflite",
    )  # fmt: skip


@needs_train
def test_what_cannot_run_here_is_left_out_with_its_reason(faces, monkeypatch):
    plan = make_plan([NAME], ["tensorrt"], None)
    monkeypatch.setattr(_artefacts, "_why_not", lambda target: f"no GPU for {target}")
    source, *rows = judge_artefacts(plan, read_pairs(faces), threads=1)
    assert (source["model"], source["runtime"], source["face_px"]) == (NAME, "torch", 16)
    assert source["drop"] == {"points": 0.0, "interval": [0.0, 0.0]}
    assert [row["precision"] for row in rows] == ["fp32", "fp16", "int8"]
    assert {row["reason"] for row in rows} == {"no GPU for tensorrt"}
    assert "left out: no GPU for tensorrt" in line(rows[0])


@needs_train
def test_an_unchanged_artefact_is_not_judged_again(faces, monkeypatch):
    plan, pairs = make_plan([NAME], ["reference"], None), read_pairs(faces)
    first = list(judge_artefacts(plan, pairs, threads=1))
    known = {row["sha256"]: row for row in first}
    opened = []
    honest = _artefacts.bundle_model
    monkeypatch.setattr(
        _artefacts, "bundle_model", lambda *given: opened.append(1) or honest(*given)
    )
    assert list(judge_artefacts(plan, pairs, 1, known)) == first
    assert not opened
    known[first[0]["sha256"]] = first[0] | {"auc": 0.123}  # Torch answered otherwise then.
    assert list(judge_artefacts(plan, pairs, 1, known)) == first
    assert len(opened) == 1


def test_a_failed_export_says_why(tmp_path):
    about = {"model": NAME, "target": "onnx", "precision": "int3"}
    with pytest.raises(EdgeSdkError, match="int3"):
        _artefacts._exported(shipped_checkpoint(NAME), about, None, tmp_path)


@pytest.mark.parametrize(
    ("target", "precision", "words"),
    [("onnx", "int8", ["--calib", "c"]), ("onnx", "fp16", []), ("coreml", "int8", [])],
)
def test_only_what_is_calibrated_gets_the_crops(target, precision, words):
    about = {"target": target, "precision": precision}
    assert _artefacts._calibration(about, "c") == words
    assert _artefacts._calibration(about, None) == []


def test_the_loss_is_counted_over_the_same_pairs(faces):
    pairs = read_pairs(faces)
    good = np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)
    bad = good.copy()
    bad[1] = bad[2]
    before, after = Judged(good, pairs), Judged(bad, pairs)
    assert before.right.all()
    assert before.right.sum() > after.right.sum()
    assert before.metrics.accuracy == 1
    assert after.right.mean() == pytest.approx(after.metrics.accuracy)


def test_thresholds_hang_on_the_artefacts_own_scores(tmp_path, faces):
    pairs = read_pairs(faces)
    generator = np.random.default_rng(0)
    # Eight pictures have 24 impostor pairs: too few for any FAR.
    assert thresholds(generator.normal(size=(8, 4)), pairs) == {}


@pytest.mark.slow
@needs_train
@pytest.mark.skipif(find_spec("onnxscript") is None, reason="needs the extra export")
def test_every_onnx_artefact_of_a_shipped_model_is_judged(faces, tmp_path, capsys):
    output = tmp_path / "a.json"
    words = ["--pairs", faces, "--artefacts", NAME, "--targets", "onnx", "-o", output]
    assert main([str(word) for word in words]) == 0
    document = json.loads(output.read_text())
    assert document["rows"] == []
    rows = document["artefacts"]
    assert [(row["target"], row["precision"]) for row in rows] == [
        ("checkpoint", "fp32"), ("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"),
    ]  # fmt: skip
    assert len({row["sha256"] for row in rows}) == 4
    assert len({row["source_sha256"] for row in rows[1:]}) == 1
    for row in rows:
        assert (row["kind"], row["face_px"], row["genuine"]) == ("native", 16, 4)
        assert row["drop"]["points"] == pytest.approx(100 * (rows[0]["accuracy"] - row["accuracy"]))
        assert row["thresholds"] == {}
    assert [bool(row.get("calib_sha256")) for row in rows] == [False, False, False, True]
    assert document["claims"][-1]["claim"] == f"{NAME} onnx int8 loses at most 0.3 points"
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert not list(Path(tmp_path).glob("*-onnx-*"))
