"""What a page is asked and served, and what becomes of its report; no browser needed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import EdgeSdkError, GateFailedError, UsageError
from edgesdk.core.golden import read_golden
from edgesdk.core.protocols import Reach, RemoteJob
from edgesdk.core.result import BenchPlan
from edgesdk.core.shipped import shipped_bundle
from edgesdk_runtimes import _web_vendor, _web_visit
from edgesdk_runtimes._web_report import BundleReport, Report, Series
from edgesdk_runtimes._web_result import device_name, refuse_wrong_outputs, result_of
from edgesdk_runtimes._web_visit import MOST_SAMPLES, Visit

CHROME = "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 Chrome/156.0.0.0 Mobile Safari/537"
PLAN = BenchPlan(threads=2)


@pytest.fixture
def bundle():
    return read_bundle(shipped_bundle("bridge-face"))


def report_of(bundle, outputs, **device):
    told = {"user_agent": CHROME, "platform": "Android", "model": "Phone 1", "cores": 8,
            "isolated": True, "secure": True, "wake_lock": True, "hidden": False}  # fmt: skip
    runtime = {"version": "1.30.0", "threads": 1, "isolated": True, "simd": True}
    one = BundleReport(5e6, 1e6, outputs, np.zeros(0, np.float32), Series((1e4,), (), 3))
    series = {(0, 0, 1): Series((2e6, 3e6), (9e6,), 5)}
    return Report(told | device, runtime, 0.005, (one,), series)


def test_each_bundle_and_plan_is_asked_once(bundle):
    four = replace(bundle.inputs[0], shape=(4, *bundle.inputs[0].shape[1:]))
    fixed = replace(bundle, model="other", inputs=(four,))
    offline = replace(PLAN, scenario="offline")
    jobs = [RemoteJob(b, p) for b in (bundle, fixed, bundle) for p in (PLAN, offline)]
    visit = Visit(jobs[:-1])
    assert [b.model for b in visit.bundles] == ["bridge-face", "other"]
    asked = visit._plan(8)
    assert [p["sizes"] for p in asked["plans"]] == [[[1], [4]], [[1, 8, 32, 64, 256], [4]]]
    assert asked["samples_per_series"] == MOST_SAMPLES // 8 - 200
    assert visit.jobs[4] == visit.jobs[0]
    assert len(visit.order(0)) == 2


@pytest.mark.parametrize("values", [{"iterations": 60_000}, {"warmup": 60_000}])
def test_more_samples_than_a_report_holds_are_refused(bundle, values):
    with pytest.raises(UsageError, match="ask for fewer --iterations"):
        Visit([RemoteJob(bundle, replace(PLAN, **values))])._plan(1)


def test_only_files_of_the_page_and_of_the_bundles_are_served(bundle, monkeypatch):
    monkeypatch.setattr(_web_vendor, "checked", lambda: {"ort.wasm.min.mjs": bundle.path})
    page = _web_visit._page("live")
    assert page["/"].name == "live.html"
    assert "/vendor/ort.wasm.min.mjs" in page
    assert not any(path.name.endswith(".py") for path in page.values())
    guarded = _web_visit._guarded({"threads": 1}, [bundle])
    assert json.loads(guarded["/plan.json"]) == {"threads": 1}
    assert set(guarded) == {"/plan.json", "/bundle/0/bundle.json",
                            *(f"/bundle/0/{name}" for name in bundle.files)}  # fmt: skip


def test_a_report_becomes_a_result_that_says_what_it_is(bundle):
    report = report_of(bundle, read_golden(bundle).outputs)
    refuse_wrong_outputs([bundle], report)
    result = result_of(RemoteJob(bundle, PLAN), report, [(0, 0, 1)], ("a",))
    assert (result.device, result.runtime["native"]) == (
        {"kind": "browser", "name": "Phone 1, Chrome 156 on Android"},
        False,
    )
    assert result.infer.samples == (2e6, 3e6)
    assert result.infer.repeat == 5
    assert result.plan.threads == 1
    assert result.validity.reasons == ("2 threads were asked, 1 ran",)
    hidden = report_of(bundle, {}, hidden=True)
    found = result_of(RemoteJob(bundle, PLAN), hidden, [(0, 0, 1)], ())
    assert found.validity.verdict == "INVALID"


def test_the_pages_outputs_are_judged_here(bundle):
    good = read_golden(bundle).outputs["embedding"]
    flat = {"embedding": (good + 0.01).ravel()}
    with pytest.raises(GateFailedError, match="stage inference: embedding: "):
        refuse_wrong_outputs([bundle], report_of(bundle, flat))
    for odd in ({}, {"embedding": good.ravel()[:-1]}):
        with pytest.raises(EdgeSdkError, match="other outputs"):
            refuse_wrong_outputs([bundle], report_of(bundle, odd))


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome 156 on Android"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko Firefox/153.0", "Firefox 153 on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU) AppleWebKit Version/26.1 Safari/6",
            "Safari 26 on iPhone",
        ),
        ("Mozilla/5.0 (X11; Linux) AppleWebKit Version/60.5 Safari/605", "WebKit 60 on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/5 Edg/150.0", "Edge 150 on Windows"),
        ("Mozilla/5.0 (Macintosh) Version/26.0 Safari/605", "Safari 26 on macOS"),
        ("something else", "unknown browser on unknown"),
    ],
)
def test_browsers_are_named_as_people_know_them(agent, name):
    assert device_name({"user_agent": agent, "model": "", "platform": ""}) == name


def test_an_unused_visit_says_so(bundle, monkeypatch):
    monkeypatch.setattr(_web_vendor, "checked", lambda: {})
    reach = Reach(timeout_s=0.2)
    with pytest.raises(EdgeSdkError, match=r"nobody opened the page within 0\.2 s") as stop:
        Visit([RemoteJob(bundle, PLAN)]).receive("browser", reach, lambda *_: "link")
    assert stop.value.exit_code == 3
