"""Measuring through a runner: what is checked here before a device is asked anything."""

from dataclasses import replace

import numpy as np
import pytest

import edgesdk
from edgesdk.cli import main
from edgesdk.core import plugins
from edgesdk.core.errors import InvalidBenchmarkError, UnsupportedError, UsageError
from edgesdk.core.protocols import Reach
from edgesdk.core.result import BenchPlan, BenchResult, Measurement, Validity, read_result
from edgesdk.core.shipped import open_bundle
from edgesdk_benchmarks.remote import bench_remote
from edgesdk_runtimes._open import choose, open_session, runner_of

PLAN = BenchPlan(duration_s=0.1)
TIMES = [2e6 + i for i in range(110)]


class FakePhone:
    """A runner whose device answers at once."""

    aliases = ("handset",)
    extra = "adb"
    requires = ()
    formats = ("onnx",)
    kind = "remote"
    duration_s = 4.0
    resolve = staticmethod(str)

    def __init__(self):
        self.visits, self.why, self.verdict, self.warmups = [], None, "VALID", 10

    def available(self):
        return self.why

    def devices(self):
        return ("phone",)

    def version(self):
        return "1"

    def bench(self, jobs, device, reach):
        self.visits.append((len(jobs), device, reach))
        return [self.result(job) for job in jobs]

    def result(self, job):
        return BenchResult(
            artefact={},
            runtime={"name": "fake", "native": True},
            device={"kind": "android", "name": "fake"},
            environment={},
            plan=job.plan,
            measurements=(self.infer(job),),
            validity=Validity(verdict=self.verdict, reasons=("too hot",)),
        )

    def infer(self, job):
        times = np.random.default_rng(len(job.plan.scenario)).permutation(TIMES)
        first = 1e6 + len(job.plan.scenario) + len(job.bundle.files)
        return Measurement(stage="infer", samples=(first, *times), warmups=(2e6,) * self.warmups)


class Point:
    def __init__(self, plugin):
        self.load = lambda: plugin


@pytest.fixture
def phone(monkeypatch):
    plugin, real = FakePhone(), plugins._entry_points

    def with_phone(package):
        return {
            **real(package),
            **({"phone": Point(plugin)} if package == plugins.RUNTIMES else {}),
        }

    monkeypatch.setattr(plugins, "_entry_points", with_phone)
    return plugin


@pytest.fixture
def bundle():
    return open_bundle("bridge-face")


def test_a_runner_is_found_by_name_alias_and_serial(phone):
    assert [runner_of(d) for d in ("phone", "handset", "phone:R58M")] == ["phone"] * 3
    assert [runner_of(d) for d in ("cpu", "cuda:0", "auto")] == [None] * 3


def test_all_jobs_travel_in_one_visit_and_are_kept(phone, bundle, tmp_path):
    plans = [PLAN, replace(PLAN, scenario="throughput")]
    reach = Reach(lan=True)
    found = bench_remote([bundle], plans, "phone", "phone:A", reach, out=tmp_path)
    assert phone.visits == [(2, "phone:A", reach)]
    assert sorted(r.plan.scenario for r in map(read_result, tmp_path.glob("*.json"))) == [
        "latency",
        "throughput",
    ]
    again = bench_remote([bundle], [*plans, replace(PLAN, scenario="offline")], "phone", "phone:A",
                         reach, out=tmp_path)  # fmt: skip
    assert phone.visits[1:] == [(1, "phone:A", reach)]
    assert [r.plan for r in again[:2]] == [r.plan for r in found]
    bench_remote([bundle], plans, "phone", "phone:B", reach, out=tmp_path)
    assert len(phone.visits) == 3


def test_bundles_of_a_plan_are_measured_together_again(phone, bundle, tmp_path):
    bench_remote([bundle], [PLAN], "phone", "phone", Reach(), out=tmp_path)
    other = replace(bundle, files={**bundle.files, "more": {"sha256": "1", "bytes": 1}})
    bench_remote([bundle, other], [PLAN], "phone", "phone", Reach(), out=tmp_path)
    assert [jobs for jobs, *_ in phone.visits] == [1, 2], "ratios hold inside one run only"
    phone.verdict = "INVALID"
    with pytest.raises(InvalidBenchmarkError):
        bench_remote([bundle], [PLAN], "phone", "phone", Reach(), out=tmp_path, force=True)
    phone.verdict = "VALID"
    bench_remote([bundle], [PLAN], "phone", "phone", Reach(), out=tmp_path)
    assert len(phone.visits) == 4, "an INVALID result is worth nothing"


def test_a_device_without_a_name_is_always_asked(phone, bundle, tmp_path):
    phone.resolve = lambda device: None
    for _ in range(2):
        bench_remote([bundle, bundle], [PLAN], "phone", "phone", Reach(), out=tmp_path)
    assert [jobs for jobs, *_ in phone.visits] == [1, 1], "it may be another device than before"
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_what_cannot_work_is_refused_before_the_device_is_asked(phone, bundle):
    with pytest.raises(UsageError, match="export it with --target onnx"):
        bench_remote([replace(bundle, format="tflite")], [PLAN], "phone", "phone", Reach())
    with pytest.raises(UsageError, match="no bundle"):
        bench_remote([], [PLAN], "phone", "phone", Reach())
    phone.why = "no phone is connected; plug one in"
    with pytest.raises(UnsupportedError, match="plug one in"):
        bench_remote([bundle], [PLAN], "phone", "phone", Reach())
    assert phone.visits == []


def test_only_invalid_results_are_an_error(phone, bundle):
    phone.verdict = "INVALID"
    with pytest.raises(InvalidBenchmarkError, match="too hot"):
        bench_remote([bundle], [PLAN], "phone", "phone", Reach())


def test_samples_of_a_device_are_judged_like_any_other(phone, bundle):
    (found,) = bench_remote([bundle], [PLAN], "phone", "phone", Reach())
    assert found.artefact["sha256"] == bundle.sha256
    assert found.artefact["bytes"] == bundle.bytes
    assert found.validity.reasons[0] == "too hot"
    assert found.validity.verdict == "NOISY", "one sample is twice as fast: the spread is doubtful"
    phone.warmups = 0
    with pytest.raises(InvalidBenchmarkError, match="0 warm-up runs, 10 are needed"):
        bench_remote([bundle], [PLAN], "phone", "phone", Reach())


def test_a_runner_is_no_runtime(phone, bundle):
    assert choose(bundle)[0] == "ort"
    with pytest.raises(UsageError, match="edgesdk bench --device phone"):
        open_session(bundle, "phone")


def test_the_command_reaches_the_runner(phone, tmp_path, capsys):
    words = ["bench", "bridge-face", "--device", "phone", "--lan", "-o", str(tmp_path), "--quiet",
             "--duration", "0.1"]  # fmt: skip
    assert main(words) == 0
    assert phone.visits[0][2].lan
    assert "fake" in capsys.readouterr().out
    assert main([*words, "--runtime", "ort"]) == 2
    assert "leave --runtime out" in capsys.readouterr().err
    assert main(["bench", "bridge-face", "--https", "-o", str(tmp_path), "--quiet"]) == 2
    assert "--device browser" in capsys.readouterr().err


def test_a_runner_may_want_more_time(phone, tmp_path):
    main(["bench", "bridge-face", "--device", "phone", "-o", str(tmp_path), "--quiet"])
    (stored,) = map(read_result, tmp_path.glob("*.json"))
    assert stored.plan.duration_s == phone.duration_s != BenchPlan().duration_s


def test_runners_stand_in_the_lists(phone):
    rows = {r["name"]: r for r in edgesdk.models()["runtimes"]}
    assert rows["phone"]["kind"] == "remote"
    assert any(r["name"] == "phone" for r in edgesdk.doctor()["rows"])
