"""What the tests of runners share: a phone's app as the host sees it, and bundles gone wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.result import BenchPlan, BenchResult, Measurement, Validity
from edgesdk.core.shipped import shipped_bundle

PLAN = BenchPlan(duration_s=10.0)
PROPERTIES = {
    "ro.product.manufacturer": "Example",
    "ro.product.model": "Phone 1",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.build.version.sdk": "34",
    "ro.build.version.release": "14",
    "ro.soc.manufacturer": "Maker",
    "ro.soc.model": "S1",
}


def app_report(bundle, **changes):
    """Return what the app writes after a good run of 10 s, without its nonce."""
    times = 1e8 + np.random.default_rng(len(bundle.precision)).normal(0, 1e5, 110)
    result = BenchResult(
        artefact={"model": bundle.model, "target": bundle.target, "precision": bundle.precision},
        runtime={"name": "onnxruntime-android", "version": "1.29.0", "native": True, "threads": 1},
        device={"kind": "android", "name": "Example Phone 1", "emulated": False, "cores": 8},
        environment={"cores": 8, "versions": {"onnxruntime": "1.29.0"}},
        plan=PLAN,
        measurements=(Measurement(stage="infer", samples=tuple(times), warmups=tuple(times[:10])),),
        validity=Validity(verdict="VALID"),
    )
    about = {
        "ok": True,
        "error": None,
        "app": {"version": "0.1.0", "debuggable": True},
        "model": {"bundle_sha256": bundle.sha256, "file": bundle.entry},
        "state": {"thermal": [0, 1], "battery": [80, 80], "charging": True, "power_save": False},
        "check": {"golden_cos_min": 0.99999, "passed": True},
    }
    return json.loads(json.dumps({**result.to_json(), **about, **changes}))


class PhoneState:
    """The folder from which the phone's commands take what they do: tests/phone/bin."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("props", "app/files"):
            (folder / name).mkdir(parents=True)
        for key, value in PROPERTIES.items():
            self.prop(key, value)
        self.behave("ok")

    def prop(self, key, value):
        (self.folder / "props" / key).write_text(value + "\n")

    def behave(self, mode, report=None):
        """Say what the app does when it is started, and what it answers."""
        (self.folder / "mode").write_text(mode)
        if report is not None:
            (self.folder / "report").write_text(json.dumps(report)[1:] + "\n")
        for path in self.folder.rglob("*"):
            path.chmod(0o777 if path.is_dir() else 0o666)
        self.folder.chmod(0o777)

    def set(self, name, text=""):
        (self.folder / name).write_text(text)

    @property
    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @property
    def result(self):
        return self.folder / "app" / "files" / "edgesdk_result.json"


@pytest.fixture(name="app_report")
def _app_report():
    return app_report


@pytest.fixture
def plan():
    """Return the plan that `app_report` answers."""
    return PLAN


@pytest.fixture
def phone_state():
    """Return the class that prepares a phone's state folder."""
    return PhoneState


@pytest.fixture
def changed_bundle(tmp_path):
    """Return a function that copies the shipped bundle with other fields, files, pre-processing."""

    def make(name, *, files=(), how=(), **values):
        folder = tmp_path / name
        shutil.copytree(shipped_bundle("bridge-face"), folder)
        for file, content in dict(files).items():
            (folder / file).write_bytes(content)
        found = read_bundle(shipped_bundle("bridge-face"))
        prepare = {input_: replace(p, **dict(how)) for input_, p in found.preprocess.items()}
        return seal(replace(found, path=folder, preprocess=prepare, **values)).path

    return make
