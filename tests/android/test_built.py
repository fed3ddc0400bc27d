"""What `make android` left behind, read by the Python side."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from android_demo.tools import apk_lint
from edgesdk.apk import inspect_apk
from edgesdk.core.bundle import read_bundle
from edgesdk.core.elf import HEAD_BYTES, read_elf
from edgesdk.core.errors import UsageError
from edgesdk.core.golden import read_golden
from edgesdk.core.protocols import RemoteJob
from edgesdk.core.result import read_result
from edgesdk_runtimes._adb_result import result_of

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "android_demo"
RESULTS = {
    "jvm": DEMO / "core/build/results/jvm.json",
    "robolectric": DEMO / "app/build/results/robolectric.json",
}
TRUTH = ROOT / "build/one_truth/jvm.json"


def built(path):
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT)} is not built; run: make android")
    return path


def packed_bundle():
    return read_bundle(built(DEMO / "build/bundle/bundle.json").parent)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_kotlin_wrote_is_a_result_of_edgesdk(name):
    path, bundle = built(RESULTS[name]), packed_bundle()
    result = read_result(path)
    assert result.artefact["sha256"] == bundle.sha256
    assert result.artefact["bytes"] == bundle.bytes
    assert result.artefact["parameters"] == bundle.cost["parameters"]
    assert {m.stage for m in result.measurements} == {"infer", "load", "first", "pre"}
    assert len(result.infer.warmups) >= result.plan.warmup
    assert len(result.infer.samples) >= result.plan.iterations


@pytest.mark.parametrize("name", RESULTS)
def test_kotlin_and_python_compute_the_same_statistics(name):
    data = json.loads(built(RESULTS[name]).read_text())
    for told, measurement in zip(
        data["measurements"], read_result(RESULTS[name]).measurements, strict=True
    ):
        facts = measurement.statistics
        assert told["statistics_ms"].keys() == facts.keys()
        assert told["statistics_ms"]["thin"] == facts["thin"]
        for key in facts.keys() - {"thin"}:
            assert told["statistics_ms"][key] == pytest.approx(facts[key], rel=1e-9)


def test_no_time_of_this_machine_can_pass_for_a_phones():
    result = read_result(built(RESULTS["robolectric"]))
    assert result.device["kind"] == "android"
    assert result.device["emulated"] is True
    assert result.validity.verdict == "INVALID"
    assert not result.ranked


def test_what_the_app_writes_is_what_the_host_expects_over_adb():
    """The two sides of `edgesdk bench --device android`, written apart, meet here."""
    path, bundle = built(RESULTS["robolectric"]), packed_bundle()
    report = json.loads(path.read_text())
    plan = read_result(path).plan
    facts = {
        "manufacturer": "Acme", "model": "One", "soc_maker": "Acme", "soc": "A1", "release": "15",
        "sdk": "35", "abi": "arm64-v8a", "page_size": "4096", "emulated": False,
    }  # fmt: skip
    result = result_of(report, RemoteJob(bundle, plan), plan, facts, "1.0.41")
    assert result.environment["check"]["passed"] is True
    assert result.device["emulated"] is True
    assert not result.ranked


def test_a_result_with_a_broken_time_is_refused(tmp_path):
    data = json.loads(built(RESULTS["jvm"]).read_text())
    data["measurements"][0]["samples"][0] = -1
    (tmp_path / "broken.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="not a positive number"):
        read_result(tmp_path / "broken.json")


def test_the_jvm_embeds_the_golden_crops_as_the_source_does():
    data, bundle = json.loads(built(TRUTH).read_text()), packed_bundle()
    if data["bundle_sha256"] != bundle.sha256:
        pytest.skip("build/one_truth/jvm.json is of another bundle; run: make android")
    golden = read_golden(bundle)
    want = golden.outputs[bundle.outputs[0].name]
    found = np.array(data["embedding"], np.float32)
    assert golden.reasons({bundle.outputs[0].name: found}) == []
    assert np.abs(found - want).max() < 1e-5


def test_the_packed_app_keeps_its_promises():
    assert apk_lint.lint(built(apk_lint.APK)) == []


def test_readelf_sees_the_same_page_sizes(tmp_path):
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed; on Debian and Ubuntu: apt install binutils")
    path = built(apk_lint.APK)
    with zipfile.ZipFile(path) as archive:
        for info in (i for i in archive.infolist() if i.filename.endswith(".so")):
            content = archive.read(info)
            library = tmp_path / Path(info.filename).name
            library.write_bytes(content)
            done = subprocess.run(["readelf", "-lW", library], capture_output=True, check=True)
            lines = [line.split() for line in done.stdout.decode().splitlines()]
            aligns = tuple(int(w[-1], 16) for w in lines if w and w[0] == "LOAD")
            assert aligns == read_elf(content[:HEAD_BYTES]).aligns


def test_each_flip_of_the_packed_app_is_found(tmp_path):
    """A lint that never failed proves nothing: the real file, one thing changed at a time."""
    path = built(apk_lint.APK)
    changed = tmp_path / "changed.apk"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            deflate = info.filename.endswith((".onnx", "jni.so"))
            how = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            new.writestr(info.filename, old.read(info), how)
    rows = {
        (r["rule"], r["where"]) for r in inspect_apk(changed)["findings"] if r["level"] == "error"
    }
    assert ("model", "assets/bundle/model.onnx") in rows
    assert ("placement", "lib/arm64-v8a/libonnxruntime4j_jni.so") in rows
    broken = "\n".join(apk_lint.lint(changed))
    assert "signed is []" in broken
    if shutil.which("apksigner"):
        assert "apksigner does not accept the v2 signature" in broken
