"""The precision that an artefact really has, read back from it, beside the one asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, GateFailedError
from edgesdk.core.protocols import Artefact
from edgesdk_export._contents import contents_of

MOST = 0.5  # part of the values, or of the products, that a precision must have to be that of all


def effective_of(folder: Path, artefact: Artefact) -> dict[str, Any]:
    """Return "weights" and "arithmetic", each precision -> count, and the file they stand in.

    An engine cannot be looked into off its GPU: the ONNX file it was built from is, which it
    follows type by type.
    """
    for name in filter(None, (artefact.entry, artefact.proxy)):
        try:
            found = contents_of(folder / name)
        except EdgeSdkError:
            continue
        if found is not None and found.effective:
            return {**found.effective, "file": name}
    return {}


def refuse_lost(name: str, precision: str, effective: Mapping[str, Any], strict: bool) -> list[str]:
    """Return sentences on what the artefact lacks of `precision`.

    Args:
        name: Of the bundle.
        precision: What was asked.
        effective: As `effective_of` returns it.
        strict: Most weights and most products must have it.

    Raises:
        GateFailedError: fp16 was asked and nothing is, or `strict` is broken.
    """
    shares = {side: _share(effective.get(side, {}), precision) for side in SIDES}
    if strict and not effective:
        raise GateFailedError(
            f"{name} cannot be looked into here, so --require-precision cannot be kept; leave it "
            "out, or export where the file can be read"
        )
    lost = [side for side, share in shares.items() if share is not None and share <= MOST]
    if strict and lost:
        raise GateFailedError(
            f"{name} was asked at {precision}, and {_told(effective, lost)}; take another target "
            "or precision, or leave out --require-precision"
        )
    if shares["weights"] == 0 and precision == "fp16":
        raise GateFailedError(f"{name} was asked at fp16, and {_told(effective, ['weights'])}")
    return [f"{precision}: {_told(effective, lost)}"] if lost and precision != "fp32" else []


SIDES = {"weights": "of its weights", "arithmetic": "of its products"}


def _share(counts: Mapping[str, int], precision: str) -> float | None:
    return counts.get(precision, 0) / sum(counts.values()) if counts else None


def _told(effective: Mapping[str, Any], sides: list[str]) -> str:
    """Return what a reader must know, such as "12 of its products compute in fp32"."""
    return ", ".join(
        f"{count:,} {SIDES[side]} are {name}" for side in sides
        for name, count in effective[side].items()
    )  # fmt: skip
