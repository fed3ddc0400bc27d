"""The browser of any device: a page served here measures there, with onnxruntime-web."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.protocols import Reach, RemoteJob, Runner
from edgesdk.core.result import BenchResult
from edgesdk.core.shipped import open_bundle
from edgesdk.core.task import task_of
from edgesdk_runtimes import _web_vendor
from edgesdk_runtimes._web_result import refuse_wrong_outputs, result_of

# Live page -> part of its plan -> shipped bundle that works beside the one shown.
COMPANIONS = {"live": {"detector": "face-detector"}, "track": {}}


class Browser:
    """The plug-in."""

    aliases = ("web",)
    extra = "browser"
    # A page on this machine needs nothing more; TLS and codes to scan say what they lack.
    requires = ()
    formats = ("onnx",)
    kind = "remote"
    duration_s = 3.0

    def available(self) -> str | None:
        """Return None, or the command that fetches onnxruntime-web."""
        return _web_vendor.problem()

    def devices(self) -> Sequence[str]:
        """Return "browser": whichever opens the link."""
        return ("browser",)

    def version(self) -> str:
        """Return the version of the runtime in the page."""
        return f"onnxruntime-web {_web_vendor.VERSION}"

    def resolve(self, device: str) -> str | None:
        """Return None: whose browser will come is not known before it came."""
        return None

    def bench(self, jobs: Sequence[RemoteJob], device: str, reach: Reach) -> list[BenchResult]:
        """Serve the page, wait for its one report, and read it.

        Raises:
            UsageError: more samples are asked than a page may send.
            UnsupportedError: nobody opened the page, or the browser cannot run the model.
            GateFailedError: the device answers the golden vectors wrongly.
            EdgeSdkError: what came back is no report.
        """
        from edgesdk_runtimes._web_visit import Visit

        visit = Visit(jobs)
        report = visit.receive(device, reach)
        refuse_wrong_outputs(visit.bundles, report)
        return [
            result_of(job, report, visit.keys_of(place), visit.order(place[1]))
            for job, place in zip(jobs, visit.jobs, strict=True)
        ]

    def live(self, bundle: Bundle, device: str, reach: Reach) -> dict[str, Any]:
        """Serve the camera page of one bundle until Ctrl-C.

        Raises:
            UsageError: no page shows models of its task, or the page would get no camera.
        """
        from edgesdk_runtimes._web_visit import open_page

        live = task_of(bundle.task).live
        if not live or bundle.format not in self.formats:
            shown = [name for name, task in plugins.every(plugins.TASKS) if task.live]
            raise UsageError(
                f"bundle {bundle.path} is {bundle.task} in {bundle.format}; the live page runs "
                f"{', '.join(shown)} in {', '.join(self.formats)}"
            )
        if reach.lan and not reach.https:
            raise UsageError("a browser gives its camera to secure pages only; add --https")
        more = {part: open_bundle(name) for part, name in COMPANIONS[live].items()}
        bundles = {"bundle": bundle, **more}
        told = {
            part: {"name": one.name, "path": f"bundle/{number}"}
            for number, (part, one) in enumerate(bundles.items())
        }
        plan = {"threads": 1, **told}
        with (
            open_page(plan, [*bundles.values()], device, reach, page=live) as (link, _),
            suppress(KeyboardInterrupt),
        ):
            threading.Event().wait()
        return {"bundle": bundle.name, "served": link.partition("#")[0]}


PLUGIN: Runner = Browser()
