"""What the demo's APK promises beyond the lint for everybody: each promise is broken once."""

import hashlib
import json

import pytest

from android_demo.tools import apk_lint
from edgesdk.apk import inspect_apk
from tests.apks import elf, manifest, write_apk

MODEL = "assets/bundle/model.onnx"
CODE = b"dex\n035\0 Landroid/app/Activity; Lorg/edgesdk/demo/BenchActivity;"
CAMERA = "android.permission.CAMERA"


@pytest.fixture(autouse=True)
def _only_our_own_reader(monkeypatch):
    """Hand-made files satisfy our readers, not Android's: those see the real APK, see below."""
    monkeypatch.setattr(apk_lint.shutil, "which", lambda tool: None)


def entries(**changes):
    files = {"model.onnx": {"sha256": hashlib.sha256(b"model").hexdigest(), "bytes": 5}}
    licences = {f"assets/licenses/{part}.txt": b"text" for part in apk_lint.LICENCES}
    return {
        "lib/arm64-v8a/libonnxruntime.so": elf(),
        MODEL: b"model",
        "assets/bundle/bundle.json": json.dumps({"files": files}).encode(),
        "classes.dex": (CODE, True),
        **licences,
        **changes,
    }


def tree(package="org.edgesdk.demo", permissions=(CAMERA,), sdk=(26, 35), activities=None, **more):
    name, about, children = manifest(permissions, **more)
    names = activities or ("org.edgesdk.demo.MainActivity", "org.edgesdk.demo.BenchActivity")
    shown = [("activity", {"name": n}, []) for n in names]
    levels = ("uses-sdk", {"minSdkVersion": sdk[0], "targetSdkVersion": sdk[1]}, [])
    application = (children[-1][0], children[-1][1], shown)
    return (name, {**about, "package": package}, [levels, *children[1:-1], application])


def lint(tmp_path, changes=None, **options):
    options = {"tree": tree(), **options}
    return apk_lint.lint(write_apk(tmp_path / "app.apk", entries(**(changes or {})), **options))


def test_a_good_app_breaks_nothing_even_if_it_is_debuggable(tmp_path):
    assert lint(tmp_path) == []
    assert lint(tmp_path, tree=tree(debuggable=True)) == []


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        ({"lib/x86_64/libonnxruntime.so": elf("x86_64")}, {}, "abis is"),
        ({"lib/arm64-v8a/libonnxruntime.so": elf(align=0x1000)}, {}, "page-size"),
        ({MODEL: (b"model", True)}, {}, "model: "),
        ({MODEL: b"other"}, {}, "bundle: "),
        ({"classes.dex": (CODE + b" java/lang/invoke/LambdaMetafactory", True)}, {}, "LambdaMeta"),
        ({"classes.dex": (CODE + b" StringConcatFactory", True)}, {}, "StringConcatFactory"),
        ({"classes.dex": (CODE + b" ai/onnxruntime/telemetry/X", True)}, {}, "telemetry"),
        ({"classes.dex": (b"dex", True)}, {}, "classes.dex lacks"),
        ({"assets/licenses/onnxruntime-LICENSE.txt": None}, {}, "lacks onnxruntime-LICENSE"),
        ({MODEL: None, "assets/bundle/bundle.json": None}, {}, "no model is packed"),
        ({}, {"tree": tree("org.other")}, "package is 'org.other'"),
        ({}, {"tree": tree(sdk=(21, 35))}, "min_sdk is 21"),
        ({}, {"tree": tree(sdk=(26, 30))}, "target_sdk is 30"),
        ({}, {"tree": tree(permissions=(CAMERA, "android.permission.INTERNET"))}, "offline"),
        ({}, {"tree": tree(permissions=())}, "permissions is []"),
        ({}, {"tree": tree(activities=["org.edgesdk.demo.MainActivity"])}, "activities is"),
        ({}, {"signed": ("v2",)}, "signed is ['v2']"),
        ({}, {"align": 4096}, "placement"),
    ],
)
def test_every_promise_is_checked(tmp_path, changes, options, expected):
    given = {k: v for k, v in entries(**changes).items() if v is not None}
    path = write_apk(tmp_path / "app.apk", given, **{"tree": tree(), **options})
    broken = apk_lint.lint(path)
    assert any(expected in sentence for sentence in broken), broken


@pytest.mark.parametrize("name", apk_lint.LIMITS)
def test_sizes_are_promises(tmp_path, monkeypatch, name):
    monkeypatch.setitem(apk_lint.LIMITS, name, 3)
    assert any(s.startswith(f"{name} takes") for s in lint(tmp_path))


def test_the_fixture_is_a_whole_app(tmp_path):
    facts = inspect_apk(write_apk(tmp_path / "app.apk", entries(), tree=tree()))
    assert {r["level"] for r in facts["findings"]} == {"ok"}
