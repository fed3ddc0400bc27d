"""Sealed but absurd: values whose hash is right and that no export wrote are one sentence."""

import json
import os

import numpy as np
import pytest

from edgesdk.core.bundle import read_bundle, read_checkpoint
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import canonical, read_json, sha256_bytes, sha256_file, write_json
from edgesdk.core.golden import read_array, read_golden
from edgesdk.core.preprocess import Align, Preprocess, align
from edgesdk.core.result import BenchResult
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk.core.target import Tolerance, read_profile, read_target
from edgesdk.core.typed import DEEPEST, check_known, check_plain
from edgesdk.core.verify import Verification
from tests.core.test_result import make_result


def reseal(folder, **changes):
    """Change the manifest, with fitting hashes of itself and of every file."""
    data = json.loads((folder / "bundle.json").read_text())
    data.pop("manifest_sha256")
    data["files"] = {
        name: {"sha256": sha256_file(folder / name), "bytes": (folder / name).stat().st_size}
        for name in data["files"]
        if os.path.isfile(folder / name)
    }
    data |= changes
    write_json(folder / "bundle.json", data | {"manifest_sha256": sha256_bytes(canonical(data))})


IMAGE = {"name": "image", "shape": [None, 3, 16, 16], "dtype": "float32", "layout": "NCHW",
         "kind": "image", "scale": None, "zero_point": None}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"postprocess": {"kind": "embedding", "dim": 10**9}},
        {"postprocess": {"kind": "embedding", "dim": 0}},
        {"postprocess": {"kind": "embedding", "dim": 7}},
        {"postprocess": {"kind": "embedding", "dim": "128"}},
        {"postprocess": {"kind": ["embedding"]}},
        {"inputs": [IMAGE | {"shape": [None, 2**14, 2**14, 2**14]}]},
        {"inputs": [IMAGE | {"shape": [None, -3, 16, 16]}]},
        {"inputs": [IMAGE, IMAGE]},
        {"thresholds": {"far_1e-2": {"value": "high", "low": 0, "high": 1}}},
        {"build": {"batch": [8, 1, 4]}},
        {"build": {"batch": [1, 1, 10**9]}},
        {"build": {"batch": "123"}},
        {"build": {"accelerators": "SM86"}},
        {"verify": {"level": "moon", "verdict": "pass"}},
        {"verify": {"level": "host", "verdict": 1}},
        {"runtimes": "ort"},
        {"labels": "abc"},
        {"decisions": [1]},
        {"model": "x" * 300},
        {"model": "x" * 90, "target": "y" * 90, "profile": "z" * 90},
        {"preprocess": {"image": {"size": [10**5, 16]}}},
        {"preprocess": {"image": {"size": [16, 16], "std": [1e-300, 1, 1]}}},
        {"preprocess": {"image": {"size": [16, 16], "pad_value": 1e300}}},
        {"preprocess": {"image": {"size": [16, 16], "align": {"size": 10**9}}}},
    ],
)
def test_a_bundle_with_such_values_is_refused(make_face_bundle, changes):
    path = make_face_bundle().path
    reseal(path, **changes)
    with pytest.raises(UsageError, match=r"bundle\.json lacks or has unknown fields"):
        read_bundle(path)


def test_a_file_whose_name_no_system_takes_is_missing(make_face_bundle):
    path = make_face_bundle().path
    files = json.loads((path / "bundle.json").read_text())["files"]
    for name in ("x" * 5000, "\0", ""):
        reseal(path, files=files | {name: {"sha256": "0", "bytes": 1}})
        with pytest.raises(EdgeSdkError, match="lacks its file"):
            read_bundle(path)


INFER = {"inputs": {}, "outputs": {}, "tolerance": {"atol": 1e-5}}


@pytest.mark.parametrize(
    "index",
    [
        [],
        3,
        {"infer": []},
        {"infer": {}},
        {"infer": INFER},
        {"infer": INFER, "pre": 5},
        {"infer": INFER, "pre": [[]]},
        {"infer": INFER | {"inputs": {"image": {"file": 1, "dtype": "float32", "shape": []}}}},
    ],
)
def test_golden_vectors_with_such_values_are_damaged(make_face_bundle, index):
    path = make_face_bundle().path
    write_json(path / "golden" / "index.json", index)
    reseal(path)
    with pytest.raises(UsageError, match=r"golden vectors .* are damaged|input .* is missing"):
        read_golden(read_bundle(path))


@pytest.mark.parametrize(
    "entry",
    [
        {"file": "a.f32", "dtype": "float32", "shape": [10**9, 10**9]},
        {"file": "a.f32", "dtype": "float32", "shape": [-1]},
        {"file": "a.f32", "dtype": "float32", "shape": "2"},
        {"file": "a.f32", "dtype": "float32", "shape": [[2]]},
        {"file": "a.f32", "dtype": "O", "shape": [1]},
        {"file": "a.f32", "dtype": "V1000000000", "shape": [1]},
        {"file": "a.f32", "dtype": "float32"},
        {"file": "..", "dtype": "float32", "shape": [2]},
        {"file": "../../etc/passwd", "dtype": "float32", "shape": [2]},
        None,
    ],
)
def test_an_array_is_what_its_file_holds(tmp_path, entry):
    (tmp_path / "a.f32").write_bytes(np.zeros(2, "<f4").tobytes())
    with pytest.raises((TypeError, ValueError, KeyError, OSError)):
        read_array(tmp_path, entry)


@pytest.mark.parametrize(
    "change",
    [
        {"order": "a"},
        {"order": [1, 2]},
        {"order": {"a": 1}},
        {"validity": {"verdict": "VALID", "reasons": "all well"}},
        {"validity": {"verdict": "VALID", "reasons": [None]}},
        {"plan": {"threads": "2"}},
        {"plan": {"duration_s": True}},
        {"placement": {"cpu": "all"}},
        {"memory": {"peak_mb": "much"}},
        {"artefact": {"model": 1, "target": "onnx", "precision": "fp32"}},
        {"artefact": {"model": "a", "target": "onnx", "precision": "fp32", "bytes": "ten"}},
        {"artefact": {"model": "a", "target": "onnx", "precision": "fp32", "verify": []}},
        {"artefact": {"model": "a", "target": "onnx", "precision": "fp32", "metrics": 1}},
        {"runtime": {"name": "ort", "native": "yes"}},
        {"date": 5},
        {"measurements": {"a": 1}},
        {"measurements": [{"stage": "infer", "samples": [1], "warmups": [], "batch": True}]},
        {"measurements": [{"stage": ["infer"], "samples": [1], "warmups": [], "batch": 1}]},
        {"measurements": [{"stage": "infer", "samples": [10**400], "warmups": [], "batch": 1}]},
    ],
)
def test_a_result_with_such_values_is_refused(change):
    with pytest.raises(UsageError, match="no benchmark result"):
        BenchResult.from_json({**make_result().to_json(), **change})


@pytest.mark.parametrize(
    "change",
    [
        {"tolerance": {"atol": "small"}},
        {"outputs": {"embedding": {"max_abs": "small"}}},
        {"outputs": {"embedding": []}},
        {"reasons": "none"},
        {"proxy": "maybe"},
        {"samples": -1},
        {"task": []},
    ],
)
def test_a_verdict_with_such_values_is_refused(change):
    with pytest.raises(UsageError, match="no verification"):
        Verification.from_json(Verification(verdict="pass", level="host").to_json() | change)


def test_a_tolerance_is_numbers_from_0_up():
    for absurd in ({"atol": "1"}, {"rtol": None}, {"snr_db": True}, {"size": 1}, [], {"atol": -1}):
        with pytest.raises((TypeError, ValueError)):
            Tolerance.from_json(absurd)
    assert Tolerance.from_json({"atol": 1}) == Tolerance(atol=1)


@pytest.mark.parametrize(
    "change",
    [
        {"student_config": {"size": "16"}},
        {"student_config": {"colour": 1}},
        {"student_config": {"size": 10**9}},
        {"postprocess": {"kind": "embedding"}},
        {"thresholds": {"far_1e-2": {"value": 1}}},
        {"labels": 5},
        {"labels": "abc"},
        {"cost": {"macs": "many"}},
        {"model": "a/b"},
    ],
)
def test_a_checkpoint_with_such_values_is_refused(tmp_path, change):
    from edgesdk_training.students.bridge_face import PLUGIN

    shipped = shipped_checkpoint("bridge-face")
    (tmp_path / "model.safetensors").write_bytes((shipped / "model.safetensors").read_bytes())
    write_json(tmp_path / "meta.json", json.loads((shipped / "meta.json").read_text()) | change)
    with pytest.raises(UsageError):
        read_checkpoint(tmp_path).config(PLUGIN)


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("targets", "format = 1"),
        ("targets", "format = 'x'\nprecisions = 'fp32'\nruntimes = []\n[tolerance]"),
        ("targets", "format = 'x'\nprecisions = ['fp32']\nruntimes = []\n[tolerance]"),
        ("targets", "format = 'x'\nprecisions = []\nruntimes = []\n[tolerance.fp32]\natol = nan"),
        ("targets", "["),
        ("profiles", "target = 'tensorrt'\nbatch = [1, 2]"),
        ("profiles", "target = 'tensorrt'\nbatch = [1, 2, 9999999999]"),
        ("profiles", "target = 'tensorrt'\naccelerators = 'SM86'"),
        ("profiles", "target = 'tensorrt'\nspeed = 1"),
    ],
)
def test_a_constraint_file_with_such_values_is_refused(tmp_path, monkeypatch, folder, text):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "odd.toml").write_text(text)
    monkeypatch.setattr("edgesdk.core.target.files", lambda package: tmp_path)
    with pytest.raises(UsageError, match=r"odd\.toml cannot be used"):
        (read_target if folder == "targets" else read_profile)("odd", "mine")


@pytest.mark.parametrize(
    "text", ["NaN", "[1e999]", "[-Infinity]", '{"a": "\\ud800"}', '{"\\ud800": 1}', "9" * 400,
             "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "[" * 10**5]
)  # fmt: skip
def test_no_file_brings_such_values(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        read_json(tmp_path / "a.json", "file")


def test_plain_values_and_unknown_keys_pass():
    check_plain({"a": [1, 2.5, None, True, "ü"], "b": {}})
    check_known("x", {"a": 1, "other": object()}, {"a": int, "b": str}, ("a",))


def test_what_preprocess_takes_is_bounded():
    for values in ({"size": (4097, 1)}, {"size": (1, 1), "mean": (1e300, 0, 0)}):
        with pytest.raises(ValueError, match="a "):
            Preprocess.from_json(values)
    with pytest.raises(ValueError, match="align"):
        Align.from_json({"size": 10**6})


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 1e300),
        np.full((5, 2), np.nan),
        np.array([[0, 0], [1e5, 0], [5e4, 5e4], [0, 1e5], [1e5, 1e5]]),
        np.zeros((4, 2)),
        np.zeros(10),
    ],
)
def test_a_face_larger_than_its_picture_is_not_aligned(points):
    with pytest.raises(UsageError, match="no alignment exists"):
        align(np.zeros((8, 8, 3), np.uint8), points, Align())
