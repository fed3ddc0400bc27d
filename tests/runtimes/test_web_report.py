"""What a page may send: a report as asked, or one sentence why it is none. Never anything else."""

import base64
import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk_runtimes._web_report import Failure, Report, ReportError, read_report

WANTED = [(0, 0, 1), (1, 0, 1), (0, 1, 64), (1, 1, 64)]
ROW = base64.b64encode(np.arange(4, dtype="<f4").tobytes()).decode()
ONE = {
    "load_ns": 5e6, "first_ns": 1000, "outputs": {"embedding": ROW}, "embedding": ROW,
    "pre": {"samples": [3, 4], "repeat": 10},
}  # fmt: skip
REPORT = {
    "schema_version": 1,
    "device": {"user_agent": "a\x1b[31m\nb", "platform": "Linux", "model": "", "cores": 8,
               "isolated": True, "secure": True, "wake_lock": False, "hidden": False},
    "runtime": {"version": "1.30.0", "threads": 2, "isolated": True, "simd": True},
    "timer_step_ms": 0.005,
    "bundles": [ONE, {**ONE, "pre": None, "embedding": ""}],
    "series": [{"bundle": b, "plan": p, "batch": n, "samples": [1, 2.5], "warmups": [9],
                "repeat": 3} for b, p, n in WANTED],
}  # fmt: skip


def read(data):
    return read_report(json.dumps(data).encode(), 2, WANTED)


def changed(path, value):
    """Return REPORT with the entry at `path` replaced, or removed for None."""
    data = copy.deepcopy(REPORT)
    *way, last = path
    place = data
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def test_a_good_report_is_read():
    report = read(REPORT)
    assert isinstance(report, Report)
    assert report.series[0, 1, 64].samples == (1.0, 2.5)
    assert report.bundles[0].outputs["embedding"].tolist() == [0, 1, 2, 3]
    assert report.bundles[0].pre.repeat == 10
    assert report.bundles[1].pre is None
    assert report.device["user_agent"] == "a[31mb", "no control character reaches a terminal"


def test_a_failure_is_read():
    told = {"stage": "inference", "reason": "x" * 2000 + "\n", "bundle": 1}
    failure = read({"schema_version": 1, "failure": told})
    assert failure == Failure("inference", "x" * 512, 1)
    for wrong in (
        {"stage": "other", "reason": "a"},
        {**told, "bundle": 2},
        {"stage": "run"},
        [],
        3,
    ):
        with pytest.raises(ReportError):
            read({"schema_version": 1, "failure": wrong})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema_version"], 2), (["schema_version"], None), (["schema_version"], True),
        (["bundles"], []), (["bundles"], [ONE]), (["bundles"], {}), (["bundles", 0], []),
        (["bundles", 0, "load_ns"], 0), (["bundles", 0, "load_ns"], "5"),
        (["bundles", 0, "outputs"], [ROW]), (["bundles", 0, "outputs", "embedding"], "?"),
        (["bundles", 0, "outputs", "embedding"], "AAAA"), (["bundles", 0, "embedding"], 3),
        (["bundles", 0, "outputs", "embedding"], "AADAfw=="), (["bundles", 0, "pre"], 7),
        (["device"], None), (["device", "hidden"], 0), (["device", "cores"], -1),
        (["device", "cores"], 8.0), (["device", "user_agent"], 3), (["runtime", "threads"], 0),
        (["runtime", "simd"], "yes"), (["timer_step_ms"], -0.1), (["timer_step_ms"], 1e30),
        (["series"], []), (["series", 0], None), (["series", 0, "batch"], 2),
        (["series", 0, "samples"], []), (["series", 0, "samples"], [0]),
        (["series", 0, "samples"], [True]), (["series", 0, "samples"], [-1.5]),
        (["series", 0, "samples"], ["1"]), (["series", 0, "samples"], [10**400]),
        (["series", 0, "samples"], [[1]]), (["series", 0, "warmups"], None),
        (["series", 0, "repeat"], 0), (["series", 0, "repeat"], 1.5),
        (["series", 1], REPORT["series"][0]),
    ],
)  # fmt: skip
def test_whatever_differs_is_refused(path, value):
    with pytest.raises(ReportError):
        read(changed(path, value))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b"{" * 100_000, b"[" * 100_000, b'{"a": 1}',
     json.dumps(REPORT).replace("0.005", "NaN").encode(),
     json.dumps(REPORT).replace("0.005", "1e999").encode(),
     json.dumps(REPORT).replace("0.005", "-Infinity").encode(),
     json.dumps(REPORT).replace("0.005", "9" * 5000).encode()],
)  # fmt: skip
def test_what_is_no_json_of_finite_numbers_is_refused(body):
    with pytest.raises(ReportError):
        read_report(body, 2, WANTED)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [["schema_version"], ["device"], ["device", "cores"], ["device", "model"], ["runtime"],
     ["runtime", "threads"], ["timer_step_ms"], ["bundles"], ["bundles", 1], ["bundles", 0, "pre"],
     ["bundles", 0, "outputs"], ["bundles", 0, "outputs", "embedding"], ["bundles", 0, "first_ns"],
     ["series"], ["series", 2], ["series", 2, "samples"], ["series", 2, "samples", 1],
     ["series", 2, "repeat"], ["series", 2, "bundle"]]
)  # fmt: skip


@given(PLACES, ANYTHING)
@settings(max_examples=300, deadline=None)
def test_any_value_anywhere_is_read_or_refused(path, value):
    try:
        report = read_report(json.dumps(changed(path, value)).encode(), 2, WANTED)
    except ReportError:
        return
    assert isinstance(report, Report)
    times = [t for s in report.series.values() for t in s.samples + s.warmups]
    assert all(np.isfinite(t) and t > 0 for t in times)
    assert set(report.series) == set(WANTED)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused(body):
    with pytest.raises(ReportError):
        read_report(body, 2, WANTED)
