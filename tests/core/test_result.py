"""Raw samples are stored, statistics are computed from them, old and broken files are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.core.errors import UsageError
from edgesdk.core.result import (
    BenchPlan,
    BenchResult,
    Measurement,
    Validity,
    read_result,
    write_result,
)

TIMES = st.lists(st.floats(1, 1e12), min_size=1, max_size=200)


def make_result(samples=(3e6, 1e6, 2e6), name="a", **values):
    fields = {
        "artefact": {"model": name, "target": "onnx", "precision": "fp32", "sha256": name * 8,
                     "bytes": 10, "metrics": {}},
        "runtime": {"name": "ort", "version": "1", "kind": "native", "native": True},
        "device": {"kind": "host", "name": "cpu"},
        "environment": {"cpu": "x", "cores": 2},
        "plan": BenchPlan(iterations=3),
        "measurements": (Measurement(stage="infer", samples=tuple(samples), warmups=(9e6,)),),
        "validity": Validity(verdict="VALID"),
        "order": (name,),
        "date": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return BenchResult(**(fields | values))


@given(TIMES)
def test_statistics_are_numpys(samples):
    found = Measurement(stage="infer", samples=tuple(samples), batch=4).statistics
    ms = np.array(samples) / 1e6
    assert found["p50"] == pytest.approx(np.median(ms))
    assert found["p99"] == pytest.approx(np.percentile(ms, 99))
    assert found["min"] == pytest.approx(ms.min())
    assert found["items_s"] == pytest.approx(4000 / np.median(ms))
    assert ("p90" in found["thin"]) == (len(samples) < 100)


def test_the_order_of_samples_does_not_move_the_median():
    assert make_result((3e6, 1e6, 2e6)).infer.statistics["p50"] == 2.0


def test_files_round_trip_and_statistics_are_computed_anew(tmp_path):
    path = tmp_path / "r.json"
    result = make_result()
    write_result(path, result)
    assert read_result(path) == result
    data = json.loads(path.read_text())
    assert data["measurements"][0]["statistics_ms"]["p50"] == 2.0
    data["measurements"][0]["statistics_ms"]["p50"] = 0.001
    path.write_text(json.dumps(data))
    assert read_result(path).infer.statistics["p50"] == 2.0


def test_ranking_leaves_out_invalid_and_foreign_speeds():
    result = make_result()
    assert result.ranked
    assert not replace(result, validity=Validity(verdict="INVALID")).ranked
    assert not replace(result, runtime={**result.runtime, "native": False}).ranked


def test_a_newer_schema_asks_for_an_upgrade():
    with pytest.raises(UsageError, match="has schema 99"):
        BenchResult.from_json({**make_result().to_json(), "schema_version": 99})


@pytest.mark.parametrize(
    "change",
    [
        {"measurements": []},
        {"measurements": [{"stage": "infer", "samples": [], "warmups": [], "batch": 1}]},
        {"measurements": [{"stage": "infer", "samples": [-1], "warmups": [], "batch": 1}]},
        {"measurements": [{"stage": "infer", "samples": ["x"], "warmups": [], "batch": 1}]},
        {"measurements": [{"stage": "nap", "samples": [1], "warmups": [], "batch": 1}]},
        {"measurements": [{"stage": "infer", "samples": [1], "warmups": [], "batch": 0}]},
        {"validity": {"verdict": "GOOD"}},
        {"plan": {"scenario": "latancy"}},
        {"artefact": {}},
        {"runtime": None},
    ],
)
def test_nonsense_is_refused_in_a_sentence(change):
    with pytest.raises(UsageError, match="no benchmark result"):
        BenchResult.from_json({**make_result().to_json(), **change})


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(make_result().to_json())),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
        max_leaves=6,
    ),
)
def test_any_value_anywhere_loads_or_is_refused(key, value):
    data = {**make_result().to_json(), key: value}
    try:
        loaded = BenchResult.from_json(data)
    except UsageError:
        return
    assert loaded.infer.statistics["count"] >= 1
