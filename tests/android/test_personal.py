"""A client's own network on the way to its device: the Android library runs it, on the JVM."""

import shutil
import subprocess

import pytest

import edgesdk
from tests.android.test_built import DEMO, built
from tests.training.conftest import FEDERATED


@pytest.mark.slow
def test_a_personal_network_passes_the_self_test_of_the_android_library(tmp_path):
    pytest.importorskip("torch", reason="needs the train extra")
    built(DEMO / "core/build/test-classes")
    maven = shutil.which("mvn") or pytest.skip("mvn is not installed; run: make android")
    faces = {"skew": "people", "clients": 3, "size": 16, "width": 0, "hidden": 0, "holdout": 0.5}
    run = edgesdk.train(
        "fedbsd", student="bridge-face", data="clients=synthetic", settings=FEDERATED | faces,
        output_dir=tmp_path / "runs",
    )  # fmt: skip
    bundle = edgesdk.export(
        run.checkpoints["client-2"], target="onnx", output_dir=tmp_path / "bundles"
    )
    words = ["-o", "-B", "-q", "-pl", "core", "-Dtest=SelfTestTest#theRealBundlePasses", "test"]
    done = subprocess.run(
        [maven, *words, f"-Dedgesdk.bundle={bundle.path}"],
        cwd=DEMO, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
