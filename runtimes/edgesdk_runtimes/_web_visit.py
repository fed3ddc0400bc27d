"""One visit of a page: what it is served, what it is asked, and what it is made of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgesdk.core.bundle import MANIFEST, Bundle
from edgesdk.core.errors import EdgeSdkError, GateFailedError, UnsupportedError, UsageError
from edgesdk.core.protocols import Reach, RemoteJob
from edgesdk.core.result import BenchPlan
from edgesdk.core.task import rate_unit, task_of
from edgesdk_runtimes import _web_reach, _web_vendor
from edgesdk_runtimes._web_report import Failure, Report, ReportError, read_report
from edgesdk_runtimes._web_server import Site, serving, wait

PAGES = ("style.css", "icon.svg")
# Numbers of at most ten characters: all of them stay well below a report's limit of 1 MiB.
MOST_SAMPLES = 60_000
WARMUPS = 200  # of a series, at least: 200 ms in samples of a millisecond

Invite = Callable[[str, int, str, Reach], str]


class Visit:
    """One page visit that measures all jobs.

    Attributes:
        bundles: Each bundle once.
        plans: Each plan once.
        jobs: (bundle, plan) of each job, as numbers into these.
    """

    def __init__(self, jobs: Sequence[RemoteJob]) -> None:
        self.bundles: list[Bundle] = []
        self.plans: list[BenchPlan] = []
        self.jobs = [(_place(self.bundles, j.bundle), _place(self.plans, j.plan)) for j in jobs]

    def keys_of(self, job: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Return (bundle, plan, batch) of each series of a job."""
        bundle, plan = job
        fixed = self.bundles[bundle].inputs[0].shape[0]
        return [(bundle, plan, size) for size in self.plans[plan].sizes(fixed)]

    def order(self, plan: int) -> tuple[str, ...]:
        """Return the names of those measured in turns by one plan."""
        return tuple(
            f"{self.bundles[b].name} onnxruntime-web {self.bundles[b].sha256[:8]}"
            for b, p in dict.fromkeys(self.jobs)
            if p == plan
        )

    def receive(self, device: str, reach: Reach, invite: Invite = _web_reach.invite) -> Report:
        """Serve the page until its report came; return it checked.

        Args:
            device: "browser" or "browser:ADDRESS".
            reach: How the page is reached.
            invite: Told host, port, token and reach; returns the link.
        """
        wanted = [key for job in dict.fromkeys(self.jobs) for key in self.keys_of(job)]
        plan = self._plan(len(wanted))
        with open_page(plan, self.bundles, device, reach, invite) as (_, site):
            body = wait(site, reach.timeout_s, reach.progress)
        if body is None:
            raise UnsupportedError(_silence(site, reach.timeout_s))
        try:
            report = read_report(body, len(self.bundles), wanted)
        except ReportError as error:
            raise EdgeSdkError(
                f"the page sent a report that cannot be used: {error}; run the command again"
            ) from None
        if isinstance(report, Failure):
            raise self._refusal(report)
        return report

    def _refusal(self, failure: Failure) -> EdgeSdkError:
        names = [b.name for b in self.bundles]
        where = "the page" if failure.bundle is None else names[failure.bundle]
        if failure.stage == "run":
            return UnsupportedError(f"{where} does not run in that browser: {failure.reason}")
        return GateFailedError(
            f"{where} gives wrong numbers in that browser, stage {failure.stage}: "
            f"{failure.reason}; export it again"
        )

    def _plan(self, series: int) -> dict[str, Any]:
        most = MOST_SAMPLES // series - max(WARMUPS, *(plan.warmup for plan in self.plans))
        if max(plan.iterations for plan in self.plans) > most:
            raise UsageError(
                f"one visit brings home up to {MOST_SAMPLES} samples and warm-up runs, {series} "
                "series were asked; ask for fewer --iterations, bundles or scenarios"
            )
        if len({plan.threads for plan in self.plans}) > 1:
            raise UsageError("one visit measures with one number of threads")
        return {
            "threads": self.plans[0].threads,
            "samples_per_series": most,
            "bundles": [
                {"name": b.name, "path": f"bundle/{i}", "bytes": b.bytes, **_words(b)}
                for i, b in enumerate(self.bundles)
            ],
            "plans": [{**asdict(p), "sizes": self._sizes(i)} for i, p in enumerate(self.plans)],
        }

    def _sizes(self, plan: int) -> list[list[int]]:
        """Return per bundle the batch sizes to measure by one plan, none where it was not asked."""
        asked = set(self.jobs)
        return [
            [size for *_, size in self.keys_of((b, plan))] if (b, plan) in asked else []
            for b in range(len(self.bundles))
        ]


def _words(bundle: Bundle) -> dict[str, str]:
    """Return what the page calls one item of the bundle, and its throughput."""
    item = task_of(bundle.task).item
    return {"item": item, "unit": rate_unit(item)}


def _place(items: list[Any], item: Any) -> int:
    """Return the place of `item` in `items`, where it is put at need."""
    if item not in items:
        items.append(item)
    return items.index(item)


def _silence(site: Site, timeout_s: float) -> str:
    if not site.visited:
        return (
            f"nobody opened the page within {timeout_s:g} s; open the link, or give more --timeout"
        )
    return (
        f"the page fell silent for {timeout_s:g} s; keep it in front until it is done, or give "
        "more --timeout"
    )


@contextmanager
def open_page(
    plan: Mapping[str, Any],
    bundles: Sequence[Bundle],
    device: str,
    reach: Reach,
    invite: Invite = _web_reach.invite,
    page: str = "bench",
) -> Iterator[tuple[str, Site]]:
    """Serve the page of a plan and tell how to open it; yield its link."""
    host = _web_reach.address(device, reach)
    tls = _web_reach.certificate(host) if reach.https else None
    site = Site(_page(page), _guarded(plan, bundles), wants_report=page == "bench")
    with serving(site, host, tls) as port:
        yield invite(host, port, site.token, reach), site


def _page(name: str) -> dict[str, Path]:
    """Return URL path -> file of what the page itself is made of."""
    web = _web_vendor.WEB
    files = [web / file for file in PAGES] + sorted(web.glob("*.mjs"))
    return {
        "/": web / f"{name}.html",
        **{f"/{file.name}": file for file in files},
        **{f"/vendor/{file}": path for file, path in _web_vendor.checked().items()},
    }


def _guarded(plan: Mapping[str, Any], bundles: Sequence[Bundle]) -> dict[str, Path | bytes]:
    """Return URL path -> content that only the holder of the token gets."""
    files: dict[str, Path | bytes] = {"/plan.json": json.dumps(plan).encode()}
    for i, bundle in enumerate(bundles):
        for name in (MANIFEST, *bundle.files):
            files[f"/bundle/{i}/{quote(name)}"] = bundle.path / name
    return files
