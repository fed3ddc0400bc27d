"""From the report that the app wrote to a result like every other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgesdk._version import __version__
from edgesdk.core.errors import EdgeSdkError, GateFailedError, UsageError
from edgesdk.core.protocols import RemoteJob
from edgesdk.core.result import BenchPlan, BenchResult
from edgesdk_runtimes._adb_app import telling

# What the app tells beside the schema of all results, and a reader of the result wants to know.
TOLD = ("app", "state", "check", "run")


def result_of(
    report: Mapping[str, Any], job: RemoteJob, plan: BenchPlan, facts: Mapping[str, Any], adb: str
) -> BenchResult:
    """Check the app's report and return the result that it holds.

    Args:
        report: What the app wrote; its nonce is right.
        job: What it was asked for.
        plan: The job's plan with the batch size that was measured.
        facts: What the phone says of itself, see `identify`.
        adb: Version of the adb server.

    Raises:
        GateFailedError: the golden vectors came out wrong there.
        EdgeSdkError: the app failed, measured another bundle, or wrote no result.
    """
    name = f"{facts['manufacturer']} {facts['model']}"
    _check(report, job, name)
    try:
        found = BenchResult.from_json(report)
    except UsageError as error:
        raise EdgeSdkError(f"the app on the {name} wrote no result: {error}") from None
    measured = (found.device.get("kind"), found.infer.batch)
    if measured != ("android", plan.batch):
        raise EdgeSdkError(
            f"the app on the {name} measured {measured}, asked was {('android', plan.batch)}; "
            "build and install it anew as android_demo/README.md says"
        )
    emulated = bool(facts["emulated"] or found.device.get("emulated", True))
    native = bool(found.runtime.get("native")) and not emulated
    return replace(
        found,
        plan=plan,
        device={**found.device, "name": name + " (emulated)" * emulated, "emulated": emulated},
        runtime={**found.runtime, "native": native, "kind": "native" if native else "emulated"},
        environment=_environment(report, found, facts, adb),
        # Phones run one bundle after the other: results of one visit are no contenders.
        order=(f"{job.bundle.name} android {job.bundle.sha256[:8]}",),
    )


def _check(report: Mapping[str, Any], job: RemoteJob, name: str) -> None:
    check, model = _part(report, "check"), _part(report, "model")
    why = telling([str(report.get("error") or "it says no more")])
    if check.get("passed") is False:
        raise GateFailedError(
            f"the {name} answers the golden vectors of {job.bundle.path} wrongly: {why}"
        )
    if report.get("ok") is not True:
        raise EdgeSdkError(f"the app on the {name} failed: {why}")
    if check.get("passed") is not True:
        raise GateFailedError(
            f"the app on the {name} did not check the golden vectors of {job.bundle.path}; "
            "build and install it anew as android_demo/README.md says"
        )
    if model.get("bundle_sha256") != job.bundle.sha256:
        raise EdgeSdkError(
            f"the app on the {name} measured another bundle than {job.bundle.path}; run again"
        )


def _part(report: Mapping[str, Any], key: str) -> dict[str, Any]:
    part = report.get(key)
    return part if isinstance(part, dict) else {}


def _environment(
    report: Mapping[str, Any], found: BenchResult, facts: Mapping[str, Any], adb: str
) -> dict[str, Any]:
    """Return the facts of the phone; no serial number, which would name a person's device."""
    soc = " ".join(filter(None, [facts["soc_maker"], facts["soc"]])) or None
    system = f"Android {facts['release']} (SDK {facts['sdk']})"
    about = {"cpu": soc, "os": system, "machine": facts["abi"], "page_size": facts["page_size"]}
    told = {key: report.get(key) for key in TOLD}
    host = {"edgesdk": __version__, "adb": adb}
    return {**found.environment, **about, **told, "host": host}
