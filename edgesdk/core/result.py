"""One benchmark schema for host, phone and browser. Statistics are properties of raw samples.

The JSON prints statistics for readers; loading ignores them and computes them again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import clean, encoded, read_json, tupled, write_atomic
from edgesdk.core.task import task_of
from edgesdk.core.tensors import Array
from edgesdk.core.typed import MALFORMED, check_known, check_plain, check_types, fits

# History of the schema: 1, the first one.
SCHEMA_VERSION = 1
# One entry per old schema: version -> function that lifts its dictionary by one.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

SCENARIOS = ("latency", "throughput", "offline", "pipeline")
# Of a pipeline `infer` is a part; `plain` is the whole one picture after the other, `overlapped`
# with its stages at work at once.
STAGES = (
    "load", "first", "warmup", "decode", "detect", "align", "prepare", "pre", "filter", "infer",
    "post", "match", "plain", "overlapped",
)  # fmt: skip
PARTS = ("decode", "detect", "align", "prepare", "filter", "infer")  # of a pipeline
VERDICTS = ("VALID", "NOISY", "INVALID")
PERCENTILES = (50, 90, 95, 99)
# Batch sizes of the offline sweep, and of throughput where none is asked.
BATCHES = (1, 8, 32, 64, 256)
THROUGHPUT_BATCH = 64
# What readers of a result count on where it is there; others may stand beside.
ARTEFACT: Mapping[str, Any] = {
    "model": str,
    "target": str,
    "precision": str,
    "format": str,
    "sha256": str,
    "bytes": int,
    "parameters": int | None,
    "macs": int | None,
    "verify": Mapping[str, str],
    "metrics": Mapping[str, Any],
}
RUNTIME: Mapping[str, Any] = {"name": str, "version": str, "kind": str, "native": bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What to measure.

    Attributes:
        scenario: latency (one item after the other), throughput (batches of one size),
            offline (a sweep of batch sizes) or pipeline (from files to answers).
        warmup: Least number of warm-up runs; warm-up also lasts 200 ms at least.
        iterations: Least number of samples.
        duration_s: Least time measured.
        threads: Threads of the CPU.
        batch: Items per run.
        faces_per_frame: Faces in a frame of the pipeline, 1 where there is no pipeline.
    """

    scenario: str = "latency"
    warmup: int = 10
    iterations: int = 100
    duration_s: float = 3.0
    threads: int = 1
    batch: int = 1
    faces_per_frame: int = 1

    def sizes(self, fixed: int | None) -> tuple[int, ...]:
        """Return the batch sizes to measure; `fixed` is the one that the file demands."""
        if fixed is not None:
            return (fixed,)
        if self.scenario in ("latency", "pipeline"):
            return (1,)
        if self.scenario == "throughput":
            return (self.batch,)
        return BATCHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Raw times of one stage.

    Attributes:
        stage: One of STAGES.
        samples: Nanoseconds per run, in the order they were taken; none is ever dropped.
        warmups: Nanoseconds of the runs before, kept but not counted.
        batch: Items per run.
        repeat: Runs that one sample averages, above 1 for runs of a few microseconds only.
    """

    stage: str
    samples: tuple[float, ...]
    warmups: tuple[float, ...] = ()
    batch: int = 1
    repeat: int = 1

    @property
    def ms(self) -> Array:
        """Samples in milliseconds per run."""
        return np.asarray(self.samples, np.float64) / 1e6

    @property
    def statistics(self) -> dict[str, Any]:
        """Mean, spread and percentiles in ms per run, and items per second.

        A percentile with fewer than ten samples above it is named in "thin".
        """
        ms = self.ms
        if not ms.size:
            return {}
        ranked = {f"p{p}": float(np.percentile(ms, p)) for p in PERCENTILES}
        return {
            "count": int(ms.size),
            "mean": float(ms.mean()),
            "std": float(ms.std()),
            "cv": float(ms.std() / ms.mean()),
            "min": float(ms.min()),
            "max": float(ms.max()),
            **ranked,
            "thin": [f"p{p}" for p in PERCENTILES if ms.size * (100 - p) / 100 < 10],
            "items_s": float(self.batch / np.median(ms) * 1e3),
        }

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary, statistics in ms included."""
        return {**asdict(self), "unit": "ns", "statistics_ms": self.statistics}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Whether a measurement may be believed.

    Attributes:
        verdict: VALID, NOISY or INVALID.
        reasons: Sentences.
    """

    verdict: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """What was measured, of which artefact, by what, where.

    Attributes:
        artefact: model, target, precision, format, sha256, bytes, parameters, macs, verify,
            metrics: facts of the bundle, measured elsewhere.
        runtime: name, version, kind, native, threads.
        device: kind (host, android, browser) and name.
        environment: Facts of the machine, see `edgesdk.core.env`.
        plan: What was asked.
        measurements: Raw times.
        validity: May it be believed.
        placement: Operators per unit, None unknown.
        memory: baseline_mb, peak_mb, model_mb; None unknown.
        order: Names of all contenders of the interleaved run.
        date: ISO date and time, UTC.
    """

    artefact: Mapping[str, Any]
    runtime: Mapping[str, Any]
    device: Mapping[str, Any]
    environment: Mapping[str, Any]
    plan: BenchPlan
    measurements: tuple[Measurement, ...]
    validity: Validity
    placement: Mapping[str, int] | None = None
    memory: Mapping[str, float | None] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    date: str = ""

    @property
    def name(self) -> str:
        """Contender's name: model, target, precision, profile, runtime, and what tells it apart."""
        about = self.artefact
        words = [about["model"], about.get("mark"), about["target"], about["precision"]]
        words += [about.get("profile"), self.runtime["name"], about.get("apart")]
        return " ".join(str(word) for word in words if word)

    @property
    def task(self) -> str:
        """Task of the model; results from before there were tasks are all of faces."""
        return str(self.artefact.get("task") or "face-embedding")

    @property
    def item(self) -> str:
        """What one item is called, such as "face"."""
        return str(self.artefact.get("item") or task_of(self.task).item)

    @property
    def ranked(self) -> bool:
        """Whether it may stand in a ranking: native, and not INVALID."""
        return bool(self.runtime.get("native")) and self.validity.verdict != "INVALID"

    def stage(self, name: str) -> list[Measurement]:
        """Return the measurements of one stage."""
        return [m for m in self.measurements if m.stage == name]

    @property
    def infer(self) -> Measurement:
        """Inference at the plan's batch size, or at the sweep's first one."""
        return self.stage("infer")[0]

    @property
    def main(self) -> Measurement:
        """What stands for the result where one number does."""
        if self.plan.scenario == "pipeline":
            return self.stage("overlapped")[0]
        return self.best if self.plan.scenario == "offline" else self.infer

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part of a pipeline in the plain loop's time, {} for other scenarios."""
        if self.plan.scenario != "pipeline":
            return {}
        spent = {part: sum(self.stage(part)[0].samples) for part in PARTS if self.stage(part)}
        return {part: ns / sum(spent.values()) for part, ns in spent.items()}

    @property
    def best(self) -> Measurement:
        """Inference at the batch size with most items per second."""
        return max(self.stage("infer"), key=lambda m: float(m.statistics["items_s"]))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        data |= {"plan": asdict(self.plan), "validity": asdict(self.validity)}
        data["measurements"] = [m.to_json() for m in self.measurements]
        cleaned: dict[str, Any] = clean(
            {"schema_version": SCHEMA_VERSION, "name": self.name, **data}
        )
        return cleaned

    @classmethod
    def from_json(cls, data: Any) -> "BenchResult":
        """Rebuild from `to_json`'s dictionary, of this or any older schema.

        Raises:
            UsageError: it is no result, or of a newer schema.
        """
        if not isinstance(data, dict) or not isinstance(data.get("schema_version"), int):
            raise UsageError("this is no benchmark result; measure again with: edgesdk bench")
        version = data["schema_version"]
        if not 1 <= version <= SCHEMA_VERSION:
            raise UsageError(
                f"the result has schema {version}, this edgesdk reads up to {SCHEMA_VERSION}; "
                "upgrade with: pip install -U edgesdk"
            )
        while version < SCHEMA_VERSION:
            data, version = MIGRATIONS[version](data), version + 1
        try:
            check_plain(data)
            return _rebuilt(data)
        except MALFORMED as error:
            raise UsageError(f"this is no benchmark result ({error}); measure again") from None


def _rebuilt(data: Mapping[str, Any]) -> BenchResult:
    values = {f.name: data[f.name] for f in fields(BenchResult) if f.name in data}
    values["plan"] = BenchPlan(**data["plan"])
    values["validity"] = Validity(**tupled(data["validity"]))
    values["measurements"] = tuple(map(_measurement, data["measurements"]))
    result = BenchResult(**tupled(values))
    for part in (result, result.plan, result.validity):
        check_types(part)
    check_known("artefact", result.artefact, ARTEFACT, ("model", "target", "precision"))
    check_known("runtime", result.runtime, RUNTIME, ("name",))
    if result.validity.verdict not in VERDICTS or result.plan.scenario not in SCENARIOS:
        raise ValueError("unknown verdict or scenario")
    needed = ("infer", "plain", "overlapped") if result.plan.scenario == "pipeline" else ("infer",)
    if not all(map(result.stage, needed)):
        raise ValueError("it holds no inference times")
    return result


def _measurement(data: Mapping[str, Any]) -> Measurement:
    samples, warmups = (_numbers(data[key]) for key in ("samples", "warmups"))
    batch, repeat = data["batch"], data.get("repeat", 1)
    if data["stage"] not in STAGES or not all(fits(n, int) and n > 0 for n in (batch, repeat)):
        raise ValueError("unknown stage, batch or repeat")
    if not samples:
        raise ValueError("a measurement without samples")
    return Measurement(
        stage=data["stage"], samples=samples, warmups=warmups, batch=batch, repeat=repeat
    )


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    numbers = tuple(float(v) for v in values)
    if not all(np.isfinite(n) and n > 0 for n in numbers):
        raise ValueError("a time that is not a positive number")
    return numbers


def told_apart(results: Sequence[BenchResult]) -> list[BenchResult]:
    """Return the results; different artefacts of one name have their hash's beginning added."""
    hashes: dict[str, set[str]] = {}
    for result in results:
        hashes.setdefault(result.name, set()).add(str(result.artefact["sha256"]))
    return [
        replace(r, artefact={**r.artefact, "apart": str(r.artefact["sha256"])[:8]})
        if len(hashes[r.name]) > 1
        else r
        for r in results
    ]


def item_of(results: Sequence[BenchResult]) -> str:
    """Return what one item of all these results is called, "item" where they differ."""
    items = {result.item for result in results}
    return items.pop() if len(items) == 1 else "item"


def write_result(path: Path, result: BenchResult) -> None:
    """Write a result as JSON on one line, atomically: it holds many thousand samples."""
    write_atomic(path, encoded(json.dumps(result.to_json(), ensure_ascii=False) + "\n"))


def read_result(path: Path) -> BenchResult:
    """Read a result file.

    Raises:
        UsageError: the file is missing or no result.
    """
    data = read_json(path, "result")
    try:
        return BenchResult.from_json(data)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
