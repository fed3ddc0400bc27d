"""What goes wrong in the fresh process comes home as one sentence."""

import shutil

import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.shipped import shipped_bundle
from edgesdk_benchmarks._worker import cold_start


@pytest.fixture
def bundle(tmp_path):
    shutil.copytree(shipped_bundle("bridge-face"), tmp_path / "bridge-face-onnx-fp32")
    return read_bundle(tmp_path / "bridge-face-onnx-fp32")


def test_a_refusal_is_told_in_its_own_words(bundle, capfd):
    (bundle.path / "model.onnx").write_bytes(b"altered")
    assert "was altered" in cold_start(bundle, "ort", "cpu", 1)["error"]
    assert capfd.readouterr() == ("", "")


def test_a_crash_is_told_by_its_last_line(bundle, capfd):
    said = cold_start(bundle, "ort", "cpu", "many")["error"]
    assert "ended with 1: ValueError" in said
    assert capfd.readouterr() == ("", "")
