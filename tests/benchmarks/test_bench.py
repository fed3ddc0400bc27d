"""Measuring: fair turns, golden check first, verdicts that can say no."""

import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.errors import (
    EdgeSdkError,
    GateFailedError,
    InvalidBenchmarkError,
    UnsupportedError,
    UsageError,
)
from edgesdk.core.result import BenchPlan, BenchResult, Measurement, Validity, write_result
from edgesdk.core.shipped import shipped_bundle
from edgesdk.verbs import find_verb
from edgesdk_benchmarks import bench as module
from edgesdk_benchmarks import stats
from edgesdk_benchmarks._timing import interleaved
from edgesdk_benchmarks._worker import cold_start
from edgesdk_benchmarks.bench import bench, result_path
from edgesdk_benchmarks.validity import flag_pooling, judge
from edgesdk_runtimes.ort import Ort

QUICK = BenchPlan(warmup=2, iterations=20, duration_s=0.05)


@pytest.fixture
def bundle(tmp_path):
    shutil.copytree(shipped_bundle("bridge-face"), tmp_path / "bridge-face-onnx-fp32")
    return read_bundle(tmp_path / "bridge-face-onnx-fp32")


def steady(count=400, seed=0):
    return tuple(1e6 + np.random.default_rng(seed).normal(0, 5e3, count))


def measured(samples, **values):
    return Measurement(stage="infer", samples=tuple(samples), warmups=(1e6,) * 10, **values)


PLAN = BenchPlan(iterations=100, duration_s=0.1)


# --- statistics ---------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.floats(1, 1e9), min_size=2, max_size=60))
def test_the_interval_holds_the_median(samples):
    low, high = stats.median_interval(samples)
    assert min(samples) <= low <= high <= max(samples)
    assert low <= np.median(samples) * (1 + 1e-9)
    assert high >= np.median(samples) * (1 - 1e-9)


def test_a_ratio_says_how_many_times_as_fast():
    value, low, high = stats.ratio_interval(steady(seed=1), np.array(steady(seed=2)) / 2)
    assert value == pytest.approx(2, rel=0.01)
    assert low <= value <= high


def test_drift_is_seen_and_jitter_is_not():
    rising = np.array(steady()) * np.linspace(1, 1.2, 400)
    assert stats.drift(rising)[0] > 0.8
    assert stats.drift(rising)[1] < 1e-6
    assert stats.drift(steady())[1] > 0.001
    assert stats.moved(rising) == pytest.approx(0.15, abs=0.02)
    assert abs(stats.moved(steady())) < 0.01


def test_a_slow_wave_is_autocorrelated_and_noise_is_not():
    wave = 1e6 + 1e4 * np.sin(np.arange(400) / 20)
    assert stats.autocorrelation(wave) > 0.9
    assert abs(stats.autocorrelation(steady())) < 0.2


# --- verdicts -----------------------------------------------------------------


def test_a_steady_series_is_valid():
    assert judge(PLAN, [measured(steady())]) == Validity(verdict="VALID")


@pytest.mark.parametrize(
    ("samples", "verdict", "says"),
    [
        (steady(50), "INVALID", "50 samples, 100 are needed"),
        ([s / 1e4 for s in steady()], "INVALID", "measured for 0.00 s"),
        (np.array(steady()) * np.random.default_rng(0).uniform(0.8, 1.2, 400), "NOISY", "vary by"),
        (np.array(steady()) * np.linspace(1, 1.2, 400), "NOISY", "got slower by"),
        (np.array(steady()) * np.linspace(1.2, 1, 400), "NOISY", "got faster by"),
    ],
)
def test_a_doubtful_series_is_told_why(samples, verdict, says):
    found = judge(PLAN, [measured(samples)])
    assert found.verdict == verdict
    assert any(says in reason for reason in found.reasons)


def test_too_few_warm_ups_are_invalid():
    short = Measurement(stage="infer", samples=steady(), warmups=(1e6,))
    assert judge(PLAN, [short]).reasons == ("batch 1: 1 warm-up runs, 10 are needed",)


def row(name, samples):
    return BenchResult(
        artefact={"model": name, "target": "onnx", "precision": "fp32", "sha256": name},
        runtime={"name": "ort", "native": True},
        device={}, environment={}, plan=PLAN, measurements=(measured(samples),),
        validity=Validity(verdict="VALID"),
    )  # fmt: skip


def test_rows_that_share_their_extremes_were_pooled():
    """The fault of a published table: one accumulator served fp32, then int8."""
    pooled = [row("fp32", steady()), row("int8", (*steady(), 1.0e6)), row("other", steady(seed=3))]
    flagged = flag_pooling(pooled)
    assert [r.validity.verdict for r in flagged] == ["INVALID", "INVALID", "VALID"]
    assert "pooled samples" in flagged[0].validity.reasons[0]


# --- timing -------------------------------------------------------------------


def test_contenders_take_turns_in_changing_order(monkeypatch):
    monkeypatch.setattr("edgesdk_benchmarks._timing.WARMUP_NS", 0)
    ran, rounds = [], []
    work = {name: (lambda name=name: ran.append(name) or sum(range(3000))) for name in "abc"}
    found = interleaved(
        work, warmup=3, iterations=300, duration_s=0.3, progress=lambda d, t: rounds.append((d, t))
    )
    assert all(len(s.samples) >= 300 and len(s.warmups) >= 3 for s in found.values())
    assert rounds[-1][0] == rounds[-1][1] > 3
    turns = [a for a, b in zip(ran, [*ran[1:], ""], strict=True) if a != b][3:]
    orders = {tuple(turns[i : i + 3]) for i in range(0, len(turns) - 3, 3)}
    assert len(orders) > 1


def test_the_order_of_a_round_follows_its_number_alone():
    draw = lambda index: random.Random(f"0 {index}").sample(["a", "b", "c"], 3)  # noqa: E731
    assert draw(1) == draw(1)
    assert len({tuple(draw(i)) for i in range(20)}) > 1


# --- whole runs ---------------------------------------------------------------


def test_a_result_holds_all_a_reader_needs(bundle, tmp_path):
    plans = [QUICK, replace(QUICK, scenario="offline", duration_s=0.1)]
    results = bench([bundle], plan=plans, out=tmp_path / "out")
    latency, offline = results
    assert latency.name == "bridge-face onnx fp32 ort"
    assert latency.infer.batch == 1
    assert len(latency.infer.samples) >= 20
    assert {m.stage for m in latency.measurements} == {"infer", "load", "first", "pre"}
    assert [m.batch for m in offline.stage("infer")] == [1, 8, 32, 64, 256]
    assert 0 < latency.memory["baseline_mb"] < latency.memory["peak_mb"] < 400
    assert latency.placement["cpu"] > 0
    assert latency.artefact["sha256"] == bundle.sha256
    assert latency.artefact["metrics"]["metric"] == "accuracy"
    assert latency.artefact["metrics"]["value"] > 0.5
    assert (latency.artefact["task"], latency.item) == ("face-embedding", "face")
    assert latency.environment["python"]
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def test_an_existing_result_is_read_not_measured(bundle, tmp_path, monkeypatch):
    (first,) = bench([bundle], plan=QUICK, out=tmp_path / "out")
    monkeypatch.setattr(module, "_measure", lambda *_: pytest.fail("measured again"))
    assert bench([bundle], plan=QUICK, out=tmp_path / "out") == [first]


def test_an_invalid_result_is_measured_again(bundle, tmp_path):
    out = tmp_path / "out"
    (first,) = bench([bundle], plan=QUICK, out=out)
    from edgesdk.core.result import write_result

    path = result_path(out, bundle, "ort", "cpu", QUICK)
    write_result(path, replace(first, validity=Validity(verdict="INVALID"), date="old"))
    (again,) = bench([bundle], plan=QUICK, out=out)
    assert again.date != "old"


def test_results_of_another_machine_or_run_are_measured_again(bundle, tmp_path):
    out = tmp_path / "out"
    (first,) = bench([bundle], plan=QUICK, out=out)
    path = result_path(out, bundle, "ort", "cpu", QUICK)
    for other in (
        replace(first, date="x", environment={**first.environment, "cpu": "another"}),
        replace(first, date="x", order=(*first.order, "a third one")),
    ):
        write_result(path, other)
        (again,) = bench([bundle], plan=QUICK, out=out)
        assert again.date != "x"
        assert again.environment["cpu"] == first.environment["cpu"]


def test_one_artefact_in_two_folders_is_no_comparison(bundle, tmp_path):
    shutil.copytree(bundle.path, tmp_path / "copy")
    with pytest.raises(UsageError, match="hold the same artefact"):
        bench([bundle, read_bundle(tmp_path / "copy")], plan=QUICK)


def test_the_throughput_batch_is_the_one_asked_for(bundle, tmp_path):
    options = {"scenario": ["throughput"], "iterations": 5, "duration": 0.01, "warmup": 1}
    for batch, measured_at in ((None, 64), (1, 1), (3, 3)):
        (result,) = edgesdk.bench([bundle], batch=batch, output_dir=tmp_path, **options)
        assert result.infer.batch == measured_at
    fixed = replace(bundle, inputs=(replace(bundle.inputs[0], shape=(7, 3, 16, 16)),))
    with pytest.raises(UsageError, match="takes batches of 7 alone"):
        edgesdk.bench([fixed], batch=16, output_dir=tmp_path, **options)


def test_a_folder_that_cannot_be_written_is_said_before_measuring(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_measure", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSdkError, match="cannot write"):
        bench([bundle], plan=QUICK, out=tmp_path / "file" / "out")


def test_a_contender_with_wrong_outputs_is_dropped_not_ranked(bundle, tmp_path, monkeypatch):
    wrong = tmp_path / "wrong-onnx-fp32"
    shutil.copytree(bundle.path, wrong)
    golden = wrong / "golden" / "index.json"
    index = json.loads(golden.read_text())
    index["infer"]["tolerance"]["cosine_p1"] = 2.0
    golden.write_text(json.dumps(index))
    spoiled = seal(replace(bundle, path=wrong, model="wrong"))
    (result,) = bench([bundle, spoiled], plan=QUICK)
    assert result.artefact["model"] == "bridge-face"
    assert any("dropped for wrong outputs: wrong-onnx" in r for r in result.validity.reasons)
    with pytest.raises(GateFailedError, match="no contender gives its golden outputs"):
        bench([spoiled], plan=QUICK)


def test_an_interpreter_gives_verdicts_never_speeds(bundle, monkeypatch):
    monkeypatch.setattr(Ort, "kind", "interpreter")
    with pytest.raises(UnsupportedError, match="never a speed"):
        bench([bundle], plan=QUICK)


def test_nothing_to_measure_is_said(bundle):
    with pytest.raises(UsageError, match="no bundle was given"):
        bench([], plan=QUICK)
    with pytest.raises(UsageError, match="none of the runtimes litert opens"):
        bench([bundle], plan=QUICK, runtimes=["litert"])


def test_when_all_is_invalid_the_verb_fails(bundle, monkeypatch):
    bad = Validity(verdict="INVALID", reasons=("too short",))
    monkeypatch.setattr(module, "judge", lambda *_: bad)
    with pytest.raises(InvalidBenchmarkError, match="every result is INVALID: too short"):
        bench([bundle], plan=QUICK)


def test_a_cold_start_that_fails_leaves_the_unknown_unknown(bundle, monkeypatch):
    monkeypatch.setattr("edgesdk_benchmarks._worker.TIMEOUT_S", 0.01)
    (result,) = bench([bundle], plan=QUICK)
    assert result.memory == {"baseline_mb": None, "peak_mb": None, "model_mb": None}
    assert not result.stage("load")
    assert any("did not open and run it within 0.01 s" in r for r in result.validity.reasons)


def test_every_native_runtime_can_be_asked_for(bundle):
    every = plugins.every(plugins.RUNTIMES)
    native = [n for n, p in every if "onnx" in p.formats and p.kind == "native"]
    (result,) = bench([bundle], plan=QUICK, runtimes=native)
    assert result.runtime["name"] == "ort"


def test_a_cold_start_fills_a_large_fixed_batch(bundle, tmp_path):
    fixed = edgesdk.export(bundle.path, target="onnx", batch=32, output_dir=tmp_path)
    assert cold_start(fixed, "ort", "cpu", 1)["load_ns"] > 0


def test_what_cannot_run_here_is_listed_and_the_rest_is_measured(bundle, tmp_path, monkeypatch):
    """`edgesdk bench bundles/*` where one is for another machine, and one was rejected."""
    foreign = tmp_path / "bridge-face-coreml-fp32"
    shutil.copytree(bundle.path, foreign)
    seal(replace(read_bundle(foreign), format="of another machine", target="coreml"))
    shutil.copytree(bundle.path, tmp_path / "x.rejected")
    places = [foreign, bundle.path, tmp_path / "x.rejected"]
    found = edgesdk.bench(places, iterations=5, duration=0.05, output_dir=tmp_path / "out")
    assert [r.artefact["target"] for r in found] == ["onnx"]
    assert set(found.skipped) == {str(foreign), str(tmp_path / "x.rejected")}
    assert "no runtime opens the format" in found.skipped[str(foreign)]
    assert "not measured: " in find_verb("bench").show(found)
    with pytest.raises(UnsupportedError, match="no runtime opens"):
        edgesdk.bench([foreign], output_dir=tmp_path / "out")
    with pytest.raises(UnsupportedError, match="no runtime opens"):
        edgesdk.bench([tmp_path / "x.rejected", foreign], output_dir=tmp_path / "out")


def test_equal_names_are_told_apart(bundle, tmp_path):
    other = tmp_path / "elsewhere" / bundle.path.name
    shutil.copytree(bundle.path, other)
    (other / "MODEL_CARD.md").write_text("another")
    other = seal(replace(bundle, path=other))
    found = bench([bundle, other], plan=QUICK)
    assert len({r.name for r in found}) == 2
    assert {r.name.split()[-1] for r in found} == {b.sha256[:8] for b in (bundle, other)}
