"""Android phones behind adb: the demo app there runs the bundle and holds the clock."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk.core.protocols import Reach, RemoteJob, Runner
from edgesdk.core.result import BenchPlan, BenchResult
from edgesdk_runtimes._adb_app import GRACE_S, identify, pushed, require_app, start, wait
from edgesdk_runtimes._adb_link import COMMAND_S, Phone, find_phone, listed, server_runs
from edgesdk_runtimes._adb_result import result_of
from edgesdk_runtimes._session import distribution_version

# What BenchActivity takes at most; it would measure less than the result says.
LIMITS = {
    "duration_s": 3600,
    "threads": 64,
    "warmup": 10_000,
    "iterations": 1_000_000,
    "batch": 1024,
}


class Adb:
    """The plug-in."""

    aliases = ("android",)
    extra = "adb"
    requires = ("adbutils",)
    formats = ("onnx",)
    kind = "remote"
    # A phone needs longer than a host to leave its boost clock.
    duration_s = 30.0

    def available(self) -> str | None:
        """Return None where adbutils is installed; no phone is asked for."""
        if plugins.installed("adbutils"):
            return None
        return "no adbutils; install it with: pip install 'edgesdk[adb]'"

    def devices(self) -> Sequence[str]:
        """Return the phones that a running adb server may use; no server is started."""
        from adbutils import AdbClient

        client = AdbClient()
        known = listed(client) if server_runs(client) else {}
        return tuple(f"android:{s}" for s, (state, _) in known.items() if state == "device")

    def version(self) -> str:
        """Return the distribution and its version."""
        return distribution_version("adbutils")

    def resolve(self, device: str) -> str:
        """Return "android:SERIAL" for "android": the one phone that is connected now.

        Raises:
            UsageError: several are connected.
            UnsupportedError: there is none, or adb may not use it.
        """
        named = device.partition(":")[2]
        return device if named else f"android:{find_phone(device, COMMAND_S).serial}"

    def bench(self, jobs: Sequence[RemoteJob], device: str, reach: Reach) -> list[BenchResult]:
        """Measure the bundles one after the other with the app on the phone.

        Raises:
            UsageError: several phones are connected, or the app does not measure such a plan.
            UnsupportedError: no phone, one that adb may not use, a wrong ABI, or no app.
            GateFailedError: the phone answers the golden vectors wrongly.
            EdgeSdkError: the connection was lost, or the app gave no result.
        """
        plans = [_plan_of(job) for job in jobs]
        phone = find_phone(device, reach.timeout_s)
        facts = identify(phone)
        require_app(phone)
        results = []
        for i, (job, plan) in enumerate(zip(jobs, plans, strict=True)):
            told = _teller(reach, job, i, len(jobs))
            report = _measure(phone, job, plan, reach.timeout_s, told)
            results.append(result_of(report, job, plan, facts, phone.adb))
        return results


def _plan_of(job: RemoteJob) -> BenchPlan:
    sizes = job.plan.sizes(job.bundle.inputs[0].shape[0])
    if len(sizes) > 1:
        raise UsageError(
            f"the app measures one batch size in a run, {job.plan.scenario} asks for {len(sizes)}; "
            "use --scenario latency or --scenario throughput"
        )
    plan = replace(job.plan, batch=sizes[0])
    for name, most in LIMITS.items():
        if getattr(plan, name) > most:
            word = "duration" if name == "duration_s" else name
            raise UsageError(f"the app takes --{word} {most} at most; ask for less")
    return plan


def _measure(
    phone: Phone, job: RemoteJob, plan: BenchPlan, timeout_s: float, told: Callable[[float], None]
) -> Any:
    nonce = secrets.token_hex(16)
    with pushed(phone, job.bundle) as folder:
        start(phone, folder, nonce, plan)
        longest_s = plan.duration_s + min(timeout_s, plan.duration_s + GRACE_S)
        report = wait(phone, nonce, longest_s, told)
        told(plan.duration_s)
        return report


def _teller(reach: Reach, job: RemoteJob, number: int, jobs: int) -> Callable[[float], None]:
    """Return a function that reports the seconds that a job has run."""
    total = math.ceil(job.plan.duration_s)

    def tell(passed: float) -> None:
        if reach.progress is not None:
            done = number * total + min(int(passed), total)
            reach.progress(done, jobs * total, f"bench {job.bundle.name} on the phone")

    return tell


PLUGIN: Runner = Adb()
