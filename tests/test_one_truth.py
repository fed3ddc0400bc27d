"""The comparison of all engines: what it counts, what it refuses, and the committed result."""

import json

import numpy as np
import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.shipped import shipped_bundle
from tools import one_truth
from tools.one_truth import Answer

TRUTH = np.eye(3, 4, dtype=np.float32)


@pytest.fixture
def bundle():
    return read_bundle(shipped_bundle("bridge-face"))


@pytest.fixture
def answers(tmp_path, monkeypatch):
    monkeypatch.setattr(one_truth, "ANSWERS", tmp_path)
    return tmp_path


def test_an_engine_passes_within_the_limit_and_fails_beyond():
    near, far = TRUTH + np.float32(9e-6), TRUTH + np.float32(1.2e-5)
    assert one_truth.row(Answer("a", "1", near), TRUTH)["verdict"] == "pass"
    line = one_truth.row(Answer("a", "1", far), TRUTH)
    assert line["verdict"] == "fail"
    assert line["max_abs"] == pytest.approx(1.2e-5, rel=0.01)
    assert 0.999 < line["cosine_min"] < 1
    assert one_truth.row(Answer("a", "1", TRUTH[:2]), TRUTH)["verdict"] == "fail"
    assert one_truth.row(Answer("a", "1", TRUTH * np.nan), TRUTH)["verdict"] == "fail"
    assert one_truth.row(Answer("a", absent="no qemu"), TRUTH)["reason"] == "no qemu"


def test_an_answer_to_another_bundle_does_not_count(answers, bundle):
    data = {"version": "1", "bundle_sha256": bundle.sha256, "embedding": TRUTH.tolist()}
    (answers / "jvm.json").write_text(json.dumps(data))
    (answers / "chromium.json").write_text(json.dumps(data | {"bundle_sha256": "0" * 64}))
    jvm, chromium = one_truth.outside(bundle)
    assert np.array_equal(jvm.embedding, TRUTH)
    assert "to another bundle" in chromium.absent
    del data["bundle_sha256"]
    (answers / "chromium.json").write_text(json.dumps(data))
    assert "to another bundle" in list(one_truth.outside(bundle))[1].absent
    (answers / "chromium.json").unlink()
    assert "no answer" in list(one_truth.outside(bundle))[1].absent


def test_fp16_and_int8_have_limits_of_their_own():
    turned = TRUTH + np.float32(0.009)
    assert one_truth.low_row("fp16", "cpu", turned, TRUTH, TRUTH)["verdict"] == "pass"
    far = TRUTH + np.float32(0.011)
    assert one_truth.low_row("fp16", "cpu", far, far, TRUTH)["verdict"] == "fail"
    assert one_truth.low_row("int8", "cpu", far, far, TRUTH)["verdict"] == "pass"
    other = TRUTH + np.float32(0.2)
    assert one_truth.low_row("int8", "cpu", other, TRUTH, TRUTH)["verdict"] == "fail"


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("not run", 0), ("fail", 4)])
def test_the_exit_code_tells_a_difference(tmp_path, monkeypatch, capsys, verdict, code):
    data = json.loads(one_truth.RESULT.read_text())
    data["rows"] = [{"engine": "a", "version": "1", "verdict": verdict, "reason": "because"}]
    monkeypatch.setattr(one_truth, "collect", lambda: data)
    monkeypatch.setattr(one_truth, "ROOT", tmp_path)
    monkeypatch.setattr(one_truth, "RESULT", tmp_path / "one-truth.json")
    assert one_truth.main() == code
    assert f"| a | 1 |  |  | {verdict}: because |" in capsys.readouterr().out


def test_python_engines_agree_now(bundle):
    truth = one_truth.embed(bundle, "ort", "ONNX Runtime").embedding
    assert len(truth) == 8
    assert one_truth.row(one_truth.stored(bundle), truth)["verdict"] == "pass"


def test_the_committed_result_is_of_the_shipped_bundle(bundle):
    data = json.loads(one_truth.RESULT.read_text())
    assert data["bundle"]["sha256"] == bundle.sha256, "run: make android one-truth"
    assert len(data["rows"]) >= 10
    for line in data["rows"]:
        if line["verdict"] == "pass":
            assert line["max_abs"] <= data["most"] == one_truth.MOST
        else:
            assert line["verdict"] == "not run", line
    assert {line["precision"] for line in data["low"]} == {"fp16", "int8"}
    assert all(line["verdict"] == "pass" for line in data["low"])
