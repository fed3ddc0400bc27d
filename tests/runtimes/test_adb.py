"""Phones behind adb: what each situation says. The phone's shell is ours, its commands are
tests/phone/bin; the same commands run behind a real adb daemon in test_adb_daemon.py."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk.core.errors import EdgeSdkError, GateFailedError, UnsupportedError, UsageError
from edgesdk.core.protocols import Reach, RemoteJob
from edgesdk.core.result import BenchPlan
from edgesdk.core.shipped import open_bundle
from edgesdk_benchmarks.remote import bench_remote
from edgesdk_benchmarks.report.groups import row

pytest.importorskip("adbutils", reason="needs the adb extra")

from edgesdk_runtimes import _adb_app, adb
from edgesdk_runtimes._open import runner_of

ROOT = Path(__file__).parents[2]
ACTIVITY = ROOT / "android_demo" / "app" / "build" / "results" / "robolectric.json"
COMMANDS = Path(__file__).parents[1] / "phone" / "bin"


class LocalPhone:
    """The phone's commands, run here."""

    serial, adb = "R58M", "1.0.41"

    def __init__(self, state):
        self.state, self.lost = state, None
        self.env = {"PATH": f"{COMMANDS}:{os.environ['PATH']}", "FAKE": str(state.folder)}

    def sh(self, command, timeout_s=None):
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        if self.lost and self.lost in " ".join(words):
            raise EdgeSdkError("the connection was lost")
        if words[0] in os.listdir(COMMANDS):
            words = ["sh", str(COMMANDS / words[0]), *words[1:]]
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def push(self, source, target):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


@pytest.fixture
def phone(tmp_path, monkeypatch, phone_state, bundle, app_report):
    state = phone_state(tmp_path / "fake")
    found = LocalPhone(state)
    state.behave("ok", app_report(bundle))
    monkeypatch.setattr(adb, "find_phone", lambda device, timeout_s: found)
    monkeypatch.setattr(_adb_app, "FOLDER", str(tmp_path / "pushed"))
    monkeypatch.setattr(_adb_app, "POLL_S", 0.01)
    return found


@pytest.fixture
def bundle():
    return open_bundle("bridge-face")


@pytest.fixture
def measure(bundle, plan):
    def run(plan=plan, timeout_s=1.0, **reach):
        job = RemoteJob(bundle, plan)
        return adb.PLUGIN.bench([job], "android", Reach(timeout_s=timeout_s, **reach))

    return run


def left_behind(phone):
    """Return what a run left on the phone."""
    return [p for p in (Path(_adb_app.FOLDER), phone.state.result) if p.exists()]


def test_android_is_a_runner_and_wants_half_a_minute():
    assert runner_of("android") == runner_of("android:127.0.0.1:6001") == "adb"
    assert adb.PLUGIN.duration_s == 30


def test_a_run_gives_a_result_like_every_other(phone, bundle, plan, measure):
    (found,) = measure()
    assert found.device["kind"] == "android"
    assert found.plan == plan
    assert found.environment["os"] == "Android 14 (SDK 34)"
    assert found.environment["cpu"] == "Maker S1"
    assert found.environment["state"]["thermal"] == [0, 1]
    assert "R58M" not in str(found), "a serial number names somebody's phone"
    assert len(found.infer.samples) == 110
    assert f"--es bundle {_adb_app.FOLDER}/{bundle.sha256[:12]}" in phone.state.log
    extras = "--ei seconds 10 --ei threads 1 --ei warmup 10 --ei iterations 100 --ei batch 1"
    assert extras in phone.state.log
    assert phone.state.log.splitlines()[-1] == f"am force-stop {_adb_app.PACKAGE}"
    assert left_behind(phone) == []


def test_what_is_no_android_never_ranks(phone, measure):
    (found,) = measure()
    assert found.device["emulated"] is True, "this shell has no app process"
    assert not found.ranked
    assert row(found)[-1] == "not native"
    assert found.device["name"] == "Example Phone 1 (emulated)"


@pytest.mark.skipif(not ACTIVITY.exists(), reason=f"no {ACTIVITY}; make it with: make android")
def test_what_the_app_s_activity_wrote_is_read(phone, bundle, measure, plan):
    report = json.loads(ACTIVITY.read_text())
    if report["model"]["bundle_sha256"] != bundle.sha256:
        pytest.skip("the Activity measured another bundle; run: make android")
    del report["nonce"]
    phone.state.behave("ok", report)
    (found,) = measure(replace(plan, duration_s=1.0))
    assert len(found.infer.samples) >= 20
    assert {"load", "first", "pre"} <= {m.stage for m in found.measurements}
    assert found.validity.verdict == "INVALID", "one second on a JVM is no measurement of a phone"
    assert not found.ranked


def test_only_a_phone_that_says_nothing_of_an_emulator_is_native(phone, measure, monkeypatch):
    real = {"manufacturer": "Example", "model": "Phone 1", "abi": "arm64-v8a", "sdk": "34",
            "release": "14", "soc_maker": "", "soc": "", "page_size": "4096"}  # fmt: skip
    monkeypatch.setattr(adb, "identify", lambda phone: {**real, "emulated": False})
    (found,) = measure()
    assert found.runtime["native"] is True
    assert found.ranked
    phone.state.behave("ok", phone_report(phone, device={"kind": "android", "emulated": True}))
    assert not measure()[0].ranked


@pytest.mark.parametrize(
    ("key", "value"),
    [("ro.boot.qemu", "1"), ("ro.hardware", "ranchu"), ("ro.hardware", "goldfish")],
)
def test_an_emulator_is_known_by_its_properties(phone, monkeypatch, key, value):
    monkeypatch.setattr(phone, "sh", with_app_process(phone.sh))
    assert _adb_app.identify(phone)["emulated"] is False
    phone.state.prop(key, value)
    assert _adb_app.identify(phone)["emulated"] is True


def with_app_process(sh):
    def run(command, timeout_s=None):
        code, text = sh(command, timeout_s)
        return code, text.replace("art=", "art=/system/bin/app_process64")

    return run


def phone_report(phone, **changes):
    report = json.loads("{" + (phone.state.folder / "report").read_text())
    return {**report, **changes}


REPORTS = {
    "wrong numbers": (
        {"ok": False, "error": "cosine 0.4", "check": {"passed": False}},
        GateFailedError,
        "answers the golden vectors of .* wrongly: cosine 0.4",
    ),
    "no check": ({"check": None}, GateFailedError, "did not check the golden vectors"),
    "another failure": ({"ok": False, "error": "no\n\u001bspace"}, EdgeSdkError, "failed: nospace"),
    "another bundle": (
        {"model": {"bundle_sha256": "0"}},
        EdgeSdkError,
        "measured another bundle",
    ),
    "no times": ({"measurements": []}, EdgeSdkError, "no inference times"),
    "no numbers": ({"measurements": [{"stage": "infer"}]}, EdgeSdkError, "wrote no result"),
    "another kind": ({"device": {"kind": "toaster"}}, EdgeSdkError, "measured \\('toaster', 1\\)"),
    "another schema": ({"schema_version": 99}, EdgeSdkError, "has schema 99"),
}


@pytest.mark.parametrize("case", REPORTS)
def test_a_report_is_believed_only_when_all_of_it_fits(phone, measure, case):
    changes, kind, says = REPORTS[case]
    phone.state.behave("ok", phone_report(phone, **changes))
    with pytest.raises(kind, match=says) as caught:
        measure()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert left_behind(phone) == []


APPS = {
    "slow": "gave no result within 1[01] s",
    "crash": "stopped before it gave a result: .*java.lang.OutOfMemoryException",
    "other": "answered another run .nonce 'of-somebody-else'",
    "broken": "is no JSON",
    "empty": "stopped before it gave a result",
    "refuses": r"does not start .* \(Error: Activity class",
}


@pytest.mark.parametrize("mode", APPS)
def test_an_app_that_does_not_answer_is_told_in_one_sentence(phone, measure, monkeypatch, mode):
    if mode in ("slow", "other"):
        clock = iter(range(1000))
        monkeypatch.setattr(_adb_app.time, "monotonic", lambda: float(next(clock)))
    phone.state.set("crash", "I beginning\nE AndroidRuntime: java.lang.OutOfMemoryException\n")
    phone.state.behave(mode)
    with pytest.raises(EdgeSdkError, match=APPS[mode]) as caught:
        measure()
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert left_behind(phone) == []


def test_an_app_that_quits_after_its_answer_is_believed(phone, measure):
    phone.state.behave("quits")
    assert len(measure()) == 1


def test_a_failure_that_only_the_log_holds_is_told(phone, measure, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(_adb_app.time, "monotonic", lambda: float(next(clock)))
    phone.state.behave("logs", {"ok": False, "error": "the disk is full"})
    with pytest.raises(EdgeSdkError, match="failed: the disk is full"):
        measure()
    phone.state.behave("logs", {"ok": True})
    with pytest.raises(EdgeSdkError, match="raw times cannot be read"):
        measure()


def test_what_the_phone_lacks_is_told_before_anything_is_pushed(phone, measure):
    phone.state.set("sealed")
    with pytest.raises(UnsupportedError, match=r"debuggable build, see android_demo/README\.md"):
        measure()
    phone.state.set("absent")
    with pytest.raises(UnsupportedError, match=r"not installed .* android_demo/README\.md"):
        measure()
    phone.state.prop("ro.product.cpu.abi", "x86_64")
    with pytest.raises(UnsupportedError, match="runs x86_64, the app is built for arm64-v8a"):
        measure()
    assert "am start" not in phone.state.log
    assert not Path(_adb_app.FOLDER).exists()


def test_a_sweep_of_batch_sizes_is_refused(phone, measure, plan):
    with pytest.raises(UsageError, match="--scenario throughput"):
        measure(replace(plan, scenario="offline"))
    phone.state.behave("ok", phone_report(phone, measurements=[batch_of(phone, 8)]))
    (found,) = measure(replace(plan, scenario="throughput", batch=8))
    assert found.plan.batch == 8
    assert "--ei batch 8" in phone.state.log


@pytest.mark.parametrize("name", adb.LIMITS)
def test_what_the_app_would_cut_short_is_refused(phone, measure, plan, name):
    """A result says what was asked; an app that measures less would make that wrong."""
    asked = replace(plan, scenario="throughput", **{name: adb.LIMITS[name] + 1})
    with pytest.raises(UsageError, match=rf"takes --\w+ {adb.LIMITS[name]} at most"):
        measure(asked)
    kotlin = ROOT / "android_demo/app/src/main/kotlin/org/edgesdk/demo/BenchActivity.kt"
    key = {"duration_s": "seconds"}.get(name, name)
    (most,) = re.findall(rf'"{key}".*coerceIn\(1, ([\d_]+)\)', kotlin.read_text())
    assert int(most) == adb.LIMITS[name]


def batch_of(phone, size):
    return {**phone_report(phone)["measurements"][0], "batch": size}


def test_a_file_that_arrives_damaged_stops_the_run(phone, measure, monkeypatch):
    push = phone.push

    def cut(source, target):
        push(source, target)
        if target.endswith(".onnx"):
            Path(target).write_bytes(b"cut")

    monkeypatch.setattr(phone, "push", cut)
    with pytest.raises(EdgeSdkError, match=r"model\.onnx of .* arrived damaged"):
        measure()
    assert left_behind(phone) == []


def test_a_lost_connection_is_the_error_even_though_cleaning_up_fails_too(phone, measure):
    phone.lost = "a"
    with pytest.raises(EdgeSdkError, match="the connection was lost"):
        measure()


def test_the_progress_of_a_run_is_told(phone, measure):
    seen = []
    measure(progress=lambda *step: seen.append(step))
    label = "bench bridge-face-onnx-fp32 on the phone"
    assert (seen[0], seen[-1]) == ((0, 10, label), (10, 10, label))


def test_a_verdict_is_made_of_the_samples(phone, bundle, plan, tmp_path):
    (found,) = bench_remote([bundle], [plan], "adb", "android", Reach(), out=tmp_path / "out")
    assert found.validity.verdict == "VALID"
    assert found.artefact["sha256"] == bundle.sha256
    (path,) = (tmp_path / "out").glob("bridge-face-onnx-fp32-adb-latency-*.json")
    assert path.stat().st_size > 1000


def test_another_phone_s_stored_result_is_not_taken_for_this_one_s(
    phone, bundle, plan, tmp_path, app_report
):
    def measured():
        (found,) = bench_remote([bundle], [plan], "adb", "android", Reach(), out=tmp_path / "out")
        return found

    first = measured()
    phone.serial = "OTHER"
    report = app_report(bundle)
    report["runtime"]["version"] = "2"
    phone.state.behave("ok", report)
    assert measured().runtime["version"] == "2"
    phone.serial = "R58M"
    assert measured().runtime["version"] == first.runtime["version"] != "2"
    assert phone.state.log.count("am start") == 2


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setattr(adb.plugins, "installed", lambda module: False)
    assert "edgesdk[adb]" in adb.PLUGIN.available()
    monkeypatch.undo()
    assert adb.PLUGIN.available() is None
    assert adb.PLUGIN.version().startswith("adbutils ")


def test_a_plan_of_a_fixed_batch_is_kept(bundle):
    fixed = replace(bundle, inputs=(replace(bundle.inputs[0], shape=(4, 3, 16, 16)),))
    assert adb._plan_of(RemoteJob(fixed, BenchPlan())).batch == 4
