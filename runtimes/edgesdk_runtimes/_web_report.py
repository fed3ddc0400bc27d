"""Read what the page sends. It comes from outside: nothing is believed before it is checked."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from edgesdk.core.tensors import Array

SCHEMA_VERSION = 1
STAGES = ("alignment", "pre-processing", "inference", "run")
LONGEST_NS = 600e9
MOST_REPEAT = 10**7
MOST_TEXT = 512
KEYS = ("bundle", "plan", "batch")


class ReportError(ValueError):
    """What came is no report; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the page measured nothing.

    Attributes:
        stage: One of STAGES.
        reason: Sentence of the page.
        bundle: Number of the bundle, None where it concerns none.
    """

    stage: str
    reason: str
    bundle: int | None


@dataclass(frozen=True, slots=True)
class Series:
    """Times of one bundle at one batch size: nanoseconds per run."""

    samples: tuple[float, ...]
    warmups: tuple[float, ...]
    repeat: int


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What the page found of one bundle.

    Attributes:
        load_ns: Opening the session.
        first_ns: The first run.
        outputs: Output name -> flat float32, for the golden input tensors.
        embedding: First output for the golden pictures, by the page's own pre-processing;
            flat float32, empty where there are no pictures.
        pre: Times of pre-processing one picture, None where there is none.
    """

    load_ns: float
    first_ns: float
    outputs: Mapping[str, Array]
    embedding: Array
    pre: Series | None


@dataclass(frozen=True, slots=True)
class Report:
    """A checked report.

    Attributes:
        device: Facts of the browser, texts without control characters.
        runtime: version, threads, isolated, simd.
        timer_step_ms: Smallest step of the page's clock.
        bundles: In the order that was asked.
        series: (bundle, plan, batch) -> times.
    """

    device: Mapping[str, Any]
    runtime: Mapping[str, Any]
    timer_step_ms: float
    bundles: tuple[BundleReport, ...]
    series: Mapping[tuple[int, int, int], Series]


def read_report(body: bytes, bundles: int, wanted: Sequence[tuple[int, int, int]]) -> (
    Report | Failure
):  # fmt: skip
    """Check what the page sent.

    Args:
        body: What came, of any content.
        bundles: Number of bundles asked.
        wanted: (bundle, plan, batch) of each series asked.

    Raises:
        ReportError: it is no report, or not the one that was asked for.
    """
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"it is no JSON ({type(error).__name__})") from None
    if _number(_get(data, "schema_version", "report")) != SCHEMA_VERSION:
        raise ReportError("it has another schema")
    if "failure" in data:
        return _failure(data["failure"], bundles)
    rows = _list(_get(data, "bundles", "report"), "bundles")
    if len(rows) != bundles:
        raise ReportError(f"it speaks of {len(rows)} bundles, {bundles} were asked")
    return Report(
        _device(_get(data, "device", "report")),
        _runtime(_get(data, "runtime", "report")),
        _number(_get(data, "timer_step_ms", "report"), most=1e4),
        tuple(map(_bundle, rows)),
        _series_by_key(_list(_get(data, "series", "report"), "series"), wanted),
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _get(data: Any, key: str, what: str) -> Any:
    if not isinstance(data, dict) or key not in data:
        raise ReportError(f"its {what} lacks {key!r}")
    return data[key]


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ReportError(f"its {what} is no list")
    return value


def _number(value: Any, most: float = LONGEST_NS) -> float:
    """Return a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ReportError("a number is none")
    if isinstance(value, float) and not math.isfinite(value):
        raise ReportError("a number is not finite")
    if not 0 < value <= most:
        raise ReportError("a number is not positive, or far too large")
    return float(value)


def _count(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ReportError("a count is out of range")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ReportError("a text is none")
    return "".join(c for c in value[:MOST_TEXT] if c.isprintable())


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ReportError("a flag is neither true nor false")
    return value


def _failure(data: Any, bundles: int) -> Failure:
    stage = _get(data, "stage", "failure")
    if stage not in STAGES:
        raise ReportError("its failure names no known stage")
    bundle = data.get("bundle")
    number = None if bundle is None else _count(bundle, 0, bundles - 1)
    return Failure(stage, _text(_get(data, "reason", "failure")), number)


def _device(data: Any) -> dict[str, Any]:
    words = {k: _text(_get(data, k, "device")) for k in ("user_agent", "platform", "model")}
    flags = ("isolated", "secure", "wake_lock", "hidden")
    cores = _count(_get(data, "cores", "device"), 0, 4096)
    return {**words, "cores": cores, **{k: _flag(_get(data, k, "device")) for k in flags}}


def _runtime(data: Any) -> dict[str, Any]:
    return {
        "version": _text(_get(data, "version", "runtime")),
        "threads": _count(_get(data, "threads", "runtime"), 1, 4096),
        **{k: _flag(_get(data, k, "runtime")) for k in ("isolated", "simd")},
    }


def _bundle(data: Any) -> BundleReport:
    outputs = _get(data, "outputs", "bundle")
    if not isinstance(outputs, dict):
        raise ReportError("its outputs are no object")
    pre = _get(data, "pre", "bundle")
    return BundleReport(
        _number(_get(data, "load_ns", "bundle")),
        _number(_get(data, "first_ns", "bundle")),
        {_text(name): _floats(value) for name, value in outputs.items()},
        _floats(_get(data, "embedding", "bundle")),
        None if pre is None else _series({"warmups": [], **_object(pre)}),
    )


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ReportError("an object is none")
    return data


def _floats(value: Any) -> Array:
    """Return the float32 values behind a base64 text, finite ones only."""
    try:
        array = np.frombuffer(base64.b64decode(value, validate=True), "<f4")
    except (TypeError, ValueError):
        raise ReportError("its numbers are not encoded as they should be") from None
    if not np.isfinite(array).all():
        raise ReportError("an output is not finite")
    return array.astype(np.float32)


def _series(data: Mapping[str, Any]) -> Series:
    samples = _list(_get(data, "samples", "series"), "samples")
    warmups = _list(_get(data, "warmups", "series"), "warmups")
    if not samples:
        raise ReportError("a series has no samples")
    repeat = _count(_get(data, "repeat", "series"), 1, MOST_REPEAT)
    return Series(tuple(map(_number, samples)), tuple(map(_number, warmups)), repeat)


def _series_by_key(
    rows: Sequence[Any], wanted: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], Series]:
    found: dict[tuple[int, int, int], Series] = {}
    for row in rows:
        bundle, plan, batch = (_count(_get(row, k, "series"), 0, 10**6) for k in KEYS)
        found[bundle, plan, batch] = _series(row)
    if len(rows) != len(wanted) or set(found) != set(wanted):
        raise ReportError("it holds other series than were asked")
    return found
