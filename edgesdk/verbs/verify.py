"""Check a bundle on this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk.core.shipped import open_bundle
from edgesdk.core.table import table
from edgesdk.verbs._text import pairs, short
from edgesdk.verbs._verb import Progress, Verb

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.verify import Verification


def verify(
    bundle: Path | str | Bundle,
    *,
    source: Path | str | None = None,
    data: Path | str | None = None,
    max_drop: float = 0.01,
    update: bool = False,
    require_proof: bool = False,
    bisect: bool = False,
    audit: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Check a bundle on this machine: hashes, golden vectors, and its source where it is known.

    Args:
        bundle: Bundle folder, shipped name, or a run that has a bundle.
        source: What it was made of; default: looked for by its hash among shipped models, runs,
            and the files beside the bundle and in this folder.
        data: Folder or tar with pairs.txt for the accuracy.
        max_drop: Largest loss of accuracy on `data`, absolute.
        update: Write the new verdict into the bundle.
        require_proof: Fail where the artefact itself did not run here, be it in an interpreter.
        bisect: Name the first layer whose values leave the source.
        audit: Count denormal numbers and dead channels among the weights.
        progress: Called with (done, total, label).

    Returns:
        The verdict with its numbers.

    Raises:
        UsageError: it is no bundle, or `source` is not what it was made of.
        EdgeSdkError: a file was altered.
        GateFailedError: see `require_proof`.
    """
    from edgesdk_export._find import named_source
    from edgesdk_export._pipeline import refuse_unproven, verify_bundle

    opened = open_bundle(bundle, force=True)
    origin = None if source is None else named_source(opened, str(source))
    found = verify_bundle(
        opened,
        origin,
        data=None if data is None else Path(data),
        max_drop=max_drop,
        update=update,
        progress=progress,
    )
    if bisect:
        from edgesdk_export._bisect import bisect_bundle

        found = replace(found, reasons=(*found.reasons, bisect_bundle(opened, origin)))
    if audit:
        from edgesdk_export._audit import audit_bundle

        found = replace(found, reasons=(*found.reasons, *audit_bundle(opened, origin)))
    if require_proof and not found.failed:
        refuse_unproven(opened.name, found, itself=True)
    return found


def show(result: Verification) -> str:
    """Return the verdict with its numbers."""
    by = f", by {pairs(result.by)}" if result.by else ""
    lines = [f"verdict {result.proof} ({result.verdict}, level {result.level}{by})"]
    head = ["output", "max abs", "cosine p1", "cosine p50", "SNR dB"]
    keys = ("max_abs", "cosine_p1", "cosine_p50", "snr_db")
    body = [[name, *[short(v.get(k)) for k in keys]] for name, v in result.outputs.items()]
    if body:
        lines.append(table(head, body))
    if result.task:
        lines.append("task    " + ", ".join(f"{k} {short(v)}" for k, v in result.task.items()))
    return "\n".join([*lines, *[f"reason  {r}" for r in result.reasons]])


def exit_code(result: Verification) -> int:
    """Return 4 where the artefact, or the proxy in its place, failed."""
    return 4 if result.failed else 0


PLUGIN = Verb(verify, show, place=5, exit_code=exit_code)
