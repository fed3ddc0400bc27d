"""From a page's report to the results of a benchmark."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError, GateFailedError
from edgesdk.core.golden import read_golden
from edgesdk.core.protocols import RemoteJob
from edgesdk.core.result import BenchResult, Measurement, Validity
from edgesdk_runtimes._web_report import BundleReport, Report, Series

HIDDEN = "the page was hidden while it measured; keep it in front and measure again"
# In this order: every browser says it is several others as well.
BROWSERS = (
    ("Edge", r"Edg(?:A|iOS)?/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+).*Safari"),
)
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux")


def refuse_wrong_outputs(bundles: Sequence[Bundle], report: Report) -> None:
    """Judge the golden outputs here as well: the page's own word is not enough.

    Raises:
        GateFailedError: a bundle's outputs differ from its golden vectors.
        EdgeSdkError: the outputs are not those of the bundle.
    """
    for bundle, one in zip(bundles, report.bundles, strict=True):
        golden = read_golden(bundle)
        try:
            found = {
                name: one.outputs[name].reshape(want.shape) for name, want in golden.outputs.items()
            }
        except (KeyError, ValueError):
            raise EdgeSdkError(
                f"the page sent other outputs than those of {bundle.name}; run the command again"
            ) from None
        reasons = golden.reasons(found)
        if reasons:
            raise GateFailedError(
                f"{bundle.name} gives wrong numbers in that browser, stage inference: "
                f"{reasons[0]}; export it again"
            )


def result_of(
    job: RemoteJob,
    report: Report,
    keys: Sequence[tuple[int, int, int]],
    order: tuple[str, ...],
) -> BenchResult:
    """Return the result of one job; `keys` name its series."""
    threads = report.runtime["threads"]
    infer = [_measurement("infer", report.series[key], key[2]) for key in keys]
    return BenchResult(
        artefact={},
        runtime={
            "name": "onnxruntime-web",
            "kind": "remote",
            "native": False,
            "ep": "wasm",
            **report.runtime,
        },
        device={"kind": "browser", "name": device_name(report.device)},
        environment=_environment(report),
        plan=replace(job.plan, batch=min(key[2] for key in keys), threads=threads),
        measurements=(*infer, *_others(report.bundles[keys[0][0]])),
        validity=_validity(report, job.plan.threads),
        order=order,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _measurement(stage: str, series: Series, batch: int = 1) -> Measurement:
    return Measurement(
        stage=stage,
        samples=series.samples,
        warmups=series.warmups,
        batch=batch,
        repeat=series.repeat,
    )


def _others(one: BundleReport) -> list[Measurement]:
    """Return loading, the first run and pre-processing."""
    found = [
        Measurement(stage="load", samples=(one.load_ns,)),
        Measurement(stage="first", samples=(one.first_ns,)),
    ]
    return found if one.pre is None else [*found, _measurement("pre", one.pre)]


def _environment(report: Report) -> dict[str, Any]:
    """Return what the browser told; it tells neither the processor nor the memory."""
    device = report.device
    return {
        "cpu": None,
        "cores": device["cores"] or None,
        "os": device["platform"] or None,
        "user_agent": device["user_agent"],
        "model": device["model"] or None,
        "isolated": device["isolated"],
        "secure": device["secure"],
        "wake_lock": device["wake_lock"],
        "timer_step_ms": report.timer_step_ms,
    }


def _validity(report: Report, asked: int) -> Validity:
    reasons = [HIDDEN] if report.device["hidden"] else []
    threads = report.runtime["threads"]
    if threads != asked:
        why = "" if report.runtime["isolated"] else ": the page has no shared memory"
        reasons.append(f"{asked} threads were asked, {threads} ran{why}")
    verdict = "INVALID" if report.device["hidden"] else "VALID"
    return Validity(verdict=verdict, reasons=tuple(reasons))


def device_name(device: Mapping[str, Any]) -> str:
    """Return such as "Pixel 8, Chrome 156 on Android", as far as the browser tells."""
    agent = device["user_agent"]
    found = ((name, re.search(pattern, agent)) for name, pattern in BROWSERS)
    browser = next((f"{name} {match[1]}" for name, match in found if match), "unknown browser")
    system = next((word for word in SYSTEMS if word in agent), device["platform"] or "unknown")
    model = f"{device['model']}, " if device["model"] else ""
    if system == "Linux":  # Safari's engine without Safari
        browser = browser.replace("Safari", "WebKit")
    return f"{model}{browser} on {system.replace('Macintosh', 'macOS').replace('CrOS', 'ChromeOS')}"
