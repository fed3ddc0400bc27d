"""One export, from what is asked to what lies in the folder; torch is not needed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import (
    EdgeSdkError,
    GateFailedError,
    MissingDependencyError,
    UnsupportedError,
    UsageError,
)
from edgesdk.core.verify import read_verification
from edgesdk_export._pipeline import ExportOptions, export_bundle

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
onnxruntime = pytest.importorskip("onnxruntime")


def drawn_set(folder, count):
    from PIL import Image

    from edgesdk.core.samples import synthetic_faces

    folder.mkdir()
    for number, face in enumerate(synthetic_faces(count, 0, 32)):
        Image.fromarray(face).save(folder / f"p{number}.png")
    return folder


def content(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_fp32_from_onnx_is_a_copy_with_proof_beside_it(export, source, out):
    bundle = export()
    assert bundle.entry_path.read_bytes() == source.entry_path.read_bytes()
    assert content(bundle.path) == [
        "LICENSE.weights", "MODEL_CARD.md", "bundle.json", "golden", "model.onnx", "verify.json",
    ]  # fmt: skip
    assert read_bundle(out / "tiny-face-onnx-fp32") == bundle
    assert bundle.verify == {"file": "verify.json", "level": "host", "verdict": "pass"}
    assert bundle.source_sha256 == source.source_sha256
    assert bundle.calib_sha256 is None


def test_fp32_needs_neither_onnx_nor_torch(source, tmp_path):
    code = (
        "import sys; sys.modules.update(onnx=None, torch=None)\n"
        "from pathlib import Path\n"
        "from edgesdk.core.bundle import read_bundle\n"
        "from edgesdk_export._pipeline import ExportOptions, export_bundle\n"
        "made = export_bundle(read_bundle(sys.argv[1]), ExportOptions('onnx'), Path(sys.argv[2]))\n"
        "print(made.verify['verdict'])"
    )
    command = [sys.executable, "-c", code, str(source.path), str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "pass"


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_lower_precision_is_smaller_in_meaning_and_still_passes(export, precision):
    bundle = export(precision=precision)
    kinds = {t.data_type for t in onnx.load(bundle.entry_path).graph.initializer}
    code = {"fp16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}[precision]
    assert code in kinds
    found = read_verification(bundle.path / "verify.json")
    assert found.verdict == "pass"
    assert found.outputs["embedding"]["max_abs"] > 0
    assert {spec.dtype for spec in bundle.inputs + bundle.outputs} == {"float32"}


def test_the_file_says_what_it_is(export, source):
    session = onnxruntime.InferenceSession(
        export(precision="int8").entry_path, providers=["CPUExecutionProvider"]
    )
    told = session.get_modelmeta().custom_metadata_map
    assert told["edgesdk.source_sha256"] == source.source_sha256
    assert told["edgesdk.licence_weights"] == "CC0-1.0"
    assert json.loads(told["edgesdk.preprocess"])["image"]["size"] == [16, 16]


def test_choices_are_sentences(export):
    bundle = export(precision="int8", calib_samples=20, decisions=("model x: asked",))
    assert bundle.decisions[:3] == (
        "model x: asked",
        "precision int8: asked",
        "calibration: 20 synthetic faces, seed 0; fewer than 100, so the ranges may be too narrow",
    )
    assert bundle.decisions[-1].startswith("thresholds: inherited from the source")
    assert "precision fp32: that of the source bundle" in export().decisions


def test_alias_names_the_folder_of_the_target(export):
    pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")
    assert export("trt").path.name == "tiny-face-tensorrt-fp32"


def test_a_whole_bundle_of_the_same_recipe_is_left_alone(export):
    first = export(precision="int8")
    before = (first.path / "bundle.json").stat().st_mtime_ns
    assert export(precision="int8") == first
    assert (first.path / "bundle.json").stat().st_mtime_ns == before
    assert export(precision="int8", force=True) is not None
    assert (first.path / "bundle.json").stat().st_mtime_ns > before


@pytest.mark.parametrize("change", [{"calib_seed": 1}, {"calib_samples": 64}, {"batch": 4}])
def test_another_request_is_another_recipe(export, change):
    first = export(precision="int8").build["export_sha256"]
    assert export(precision="int8", **change).build["export_sha256"] != first


def test_a_proof_that_was_left_out_is_made_up_for(export):
    skipped = export(verify=False)
    assert skipped.verify["verdict"] == "skipped"
    assert "verification was switched off" in skipped.decisions
    assert export().verify["verdict"] == "pass"


def test_an_altered_bundle_is_made_again(export):
    bundle = export()
    bundle.entry_path.write_bytes(b"altered")
    assert read_bundle(export().path).verify["verdict"] == "pass"


def test_fixed_batch(export):
    bundle = export(batch=4)
    assert bundle.inputs[0].shape == (4, 3, 16, 16)
    session = onnxruntime.InferenceSession(bundle.entry_path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [4, 3, 16, 16]
    found = read_verification(bundle.path / "verify.json")
    assert (found.samples, found.batch) == (64, {})


def test_a_fixed_source_stays_fixed(export, out):
    fixed = export(batch=4)
    again = export_bundle(fixed, ExportOptions("onnx", "int8", calib_samples=16), out)
    assert again.inputs[0].shape[0] == 4
    assert "batch 4: that of the source bundle" in again.decisions
    assert again.verify["verdict"] == "pass"
    other = export_bundle(fixed, ExportOptions("onnx", "fp16", batch=2), out)
    assert other.inputs[0].shape[0] == 2
    assert other.verify["verdict"] == "pass"


# What is refused, and how.


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"target": "onx"}, UsageError, "Did you mean 'onnx'"),
        ({"precision": "int7"}, UsageError, "Did you mean 'int8'"),
        ({"profile": "rtx-30"}, UsageError, "Did you mean 'rtx-30-series'"),
        ({"profile": "rtx-30-series"}, UsageError, "belongs to target 'tensorrt'"),
        ({"batch": 0}, UsageError, "batch must be 1 to 4096, found 0"),
        ({"batch": 5_000_000}, UsageError, "batch must be 1 to 4096"),
        ({"max_drop": float("nan")}, UsageError, "max_drop is a part of the whole"),
        ({"max_drop": -1.0}, UsageError, "max_drop is a part of the whole"),
        ({"precision": "int8", "calib_seed": -1}, UsageError, "calib_seed must be 0 or more"),
        ({"calib": Path("x")}, UsageError, "uses no calibration"),
        ({"precision": "int8", "calib": Path("absent")}, UsageError, "does not exist"),
        ({"precision": "int8", "calib_samples": 0}, UsageError, "must be 1 to"),
        ({"data": Path("absent")}, UsageError, "does not exist"),
        ({"target": "tflite"}, UnsupportedError, "start from the checkpoint"),
    ],
)
def test_bad_requests_are_one_sentence_and_leave_nothing(export, out, asked, error, words):
    if asked.get("target") == "tflite" and not plugins.installed("litert_torch"):
        pytest.skip("needs the tflite extra")
    with pytest.raises(error, match=words) as caught:
        export(**asked)
    assert caught.value.exit_code in (2, 3)
    assert "\n" not in str(caught.value)
    assert content(out) == []


def test_int8_bundles_are_no_source(export, source, out):
    with pytest.raises(UnsupportedError, match="onnx at int8; start from a checkpoint"):
        export_bundle(export(precision="int8"), ExportOptions("reference"), out / "second")


@pytest.mark.parametrize(
    ("target", "precision", "gone", "command"),
    [
        ("onnx", "int8", "onnx", "edgesdk[onnx]"),
        ("onnx", "fp16", "onnxconverter_common", "edgesdk[onnx]"),
        ("reference", None, "onnx", "edgesdk[onnx]"),
        ("tflite", None, "litert_torch", "edgesdk[tflite]"),
        ("coreml", None, "coremltools", "edgesdk[coreml]"),
    ],
)
def test_missing_tools_are_named_with_the_command(
    export, out, monkeypatch, target, precision, gone, command
):
    present = plugins.installed
    monkeypatch.setattr(plugins, "installed", lambda name: name != gone and present(name))
    with pytest.raises(MissingDependencyError, match=gone) as caught:
        export(target, precision)
    assert f"pip install '{command}'" in str(caught.value)
    assert caught.value.exit_code == 3
    assert content(out) == []


# What must never be left behind.


def damage(channels, factor):
    """Return a change that scales some columns of the weights in an exported file."""

    def change(folder, artefact):
        model = onnx.load(folder / artefact.entry)
        weights = next(t for t in model.graph.initializer if len(t.dims) == 2)
        array = onnx.numpy_helper.to_array(weights).copy()
        array[:, :channels] = (array[:, :channels] * factor).astype(array.dtype)
        weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))
        onnx.save(model, folder / artefact.entry)

    return change


@pytest.mark.parametrize(("precision", "factor"), [("fp32", 1.01), ("fp16", 1.1), ("int8", 0.5)])
def test_damaged_weights_are_rejected(export, out, spoil, precision, factor):
    spoil("onnx", damage(4, factor))
    remedy = {"int8": r"--calib", "fp16": "fp32", "fp32": ""}[precision]
    with pytest.raises(GateFailedError, match=rf"differs from its source.*{remedy}") as caught:
        export(precision=precision)
    assert caught.value.exit_code == 4
    assert content(out) == [f"tiny-face-onnx-{precision}.rejected"]
    rejected = out / f"tiny-face-onnx-{precision}.rejected"
    assert read_verification(rejected / "verify.json").verdict == "fail"
    with pytest.raises(EdgeSdkError, match="was rejected"):
        read_bundle(rejected)
    assert read_bundle(rejected, allow_rejected=True).verify["verdict"] == "fail"


def test_an_earlier_bundle_does_not_stand_in_for_a_rejected_one(export, out, spoil):
    export()
    spoil("onnx", damage(4, 2.0))
    with pytest.raises(GateFailedError, match="earlier bundle was moved to"):
        export(force=True)
    assert not (out / "tiny-face-onnx-fp32").exists()
    assert read_bundle(out / ".tiny-face-onnx-fp32.replaced").verify["verdict"] == "pass"


def test_a_broken_file_is_rejected_with_the_runtimes_words(export, out, spoil):
    def change(folder, artefact):
        (folder / artefact.entry).write_bytes(b"no model")

    spoil("onnx", change)
    with pytest.raises(GateFailedError, match="ONNX Runtime cannot open"):
        export()
    assert content(out) == ["tiny-face-onnx-fp32.rejected"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("converter"), SystemExit(1)])
def test_an_interrupted_export_leaves_nothing(export, out, spoil, error):
    def change(folder, artefact):
        raise error

    spoil("onnx", change)
    with pytest.raises(type(error)):
        export()
    assert content(out) == []


def test_a_full_disk_is_one_sentence(export, out, spoil):
    def change(folder, artefact):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    spoil("onnx", change)
    with pytest.raises(EdgeSdkError, match="No space left on device; free space") as caught:
        export()
    assert caught.value.exit_code == 1
    assert content(out) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(export, out):
    out.write_text("a file, not a folder")
    with pytest.raises(EdgeSdkError, match="cannot write"):
        export()


@pytest.mark.slow
def test_a_killed_export_leaves_no_bundle(source, tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from edgesdk.core.bundle import read_bundle\n"
        "import edgesdk_export._pipeline as p\n"
        "def slow(*a): print('converted', flush=True); time.sleep(60)\n"
        "p._assemble = slow\n"
        "p.export_bundle(read_bundle(sys.argv[1]), p.ExportOptions('onnx'), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(source.path), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "converted\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "out" / "tiny-face-onnx-fp32").exists()
    assert all(not (p / "bundle.json").exists() for p in (tmp_path / "out").iterdir())


# Opening 5: items of a batch must not see each other.


def test_progress_is_told_to_the_end(source, out):
    seen = []
    export_bundle(source, ExportOptions("onnx"), out, lambda *step: seen.append(step))
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[-1] == (4, 4, "done")


def test_timestamps_stay_out_of_the_manifest(export, out):
    first = json.loads((export().path / "bundle.json").read_text())
    time.sleep(0.01)
    second = json.loads((export(force=True).path / "bundle.json").read_text())
    assert first == second


def test_strict_looks_at_every_picture_of_the_calibration_set(export, out, tmp_path):
    folder = drawn_set(tmp_path / "set", 12)
    (folder / "p3.png").write_bytes((folder / "p3.png").read_bytes()[:60])
    (folder / "p7.png").write_bytes(b"")
    asked = {"precision": "int8", "calib": folder, "calib_samples": 4}
    with pytest.raises(UsageError, match=r"2 of 12 pictures.*p3\.png.*p7\.png"):
        export(**asked, strict=True)
    assert content(out) == []
    assert any("calibration: 4 of" in said for said in export(**asked).decisions)
