"""Measure bundles side by side: golden check first, then interleaved times, then the verdict."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.batches import in_batches, repeated
from edgesdk.core.bundle import VERIFY, Bundle
from edgesdk.core.env import environment, unlike
from edgesdk.core.errors import (
    EdgeSdkError,
    GateFailedError,
    InvalidBenchmarkError,
    UnsupportedError,
    UsageError,
)
from edgesdk.core.files import canonical, check_writable, sha256_bytes
from edgesdk.core.golden import Golden, read_golden
from edgesdk.core.result import (
    BenchPlan,
    BenchResult,
    Measurement,
    Validity,
    read_result,
    told_apart,
    write_result,
)
from edgesdk.core.session import Session
from edgesdk.core.task import task_of
from edgesdk.core.verify import read_verification
from edgesdk_benchmarks._pipeline import pipelines
from edgesdk_benchmarks._timing import Call, Series, interleaved, timed, warm
from edgesdk_benchmarks._worker import cold_start
from edgesdk_benchmarks.validity import flag_pooling, judge
from edgesdk_runtimes._open import choose, device_here, open_session

PRE_SAMPLES = 30

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Contender:
    """A bundle opened by a runtime.

    Attributes:
        bundle: What is measured.
        runtime: Runtime's name.
        session: Open session.
        golden: What it must answer.
        path: Where its result goes, None for nowhere.
    """

    bundle: Bundle
    runtime: str
    session: Session
    golden: Golden
    path: Path | None

    @property
    def name(self) -> str:
        """Unique name inside a run."""
        return contender_name(self.bundle, self.runtime)

    @property
    def fixed(self) -> int | None:
        """Batch size that the file demands, None for a free one."""
        return self.bundle.inputs[0].shape[0]

    def call(self, size: int) -> Call:
        """Return one run on a batch, without the checks of the public session."""
        raw, inputs = self.session.raw, repeated(self.golden.inputs, size)
        return lambda: raw.run(inputs)


def contender_name(bundle: Bundle, runtime: str) -> str:
    """Return the name of a bundle opened by a runtime, unique inside a run."""
    return f"{bundle.name} {runtime} {bundle.sha256[:8]}"


def bench(
    bundles: Sequence[Bundle],
    *,
    plan: BenchPlan | Sequence[BenchPlan],
    runtimes: Sequence[str] | None = None,
    device: str = "cpu",
    allow_fallback: bool = False,
    out: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    skipped: dict[str, str] | None = None,
    files: Sequence[Path] = (),
) -> list[BenchResult]:
    """Measure every bundle with every runtime that opens it, interleaved.

    Args:
        bundles: What to measure.
        plan: One scenario, or several, one after the other.
        runtimes: Names; None for each bundle's own choice.
        device: Device of the runtimes.
        allow_fallback: Take a runtime's first device where `device` is absent.
        out: Folder for one JSON per result; existing ones are read, not measured again.
        force: Measure again.
        progress: Called with (done, total, label).
        skipped: Filled with folder -> why for bundles that cannot be measured here, which are
            errors otherwise; where none can, the first one's error is raised all the same.
        files: What the scenario pipeline begins with; none for what the task draws.

    Raises:
        UsageError: nothing to measure.
        UnsupportedError: a runtime or the device is missing, or a runtime can give a verdict
            but never a speed.
        GateFailedError: no contender gives its golden outputs.
        InvalidBenchmarkError: every result is INVALID.
    """
    plans = [plan] if isinstance(plan, BenchPlan) else list(plan)

    def device_of(name: str) -> str:
        return device_here(name, device, allow_fallback)

    pairs = _pairs(_usable(bundles, runtimes, device_of, skipped), runtimes)
    where = {name: device_of(name) for _, name in pairs}
    if out is not None:
        check_writable(out)
    results: list[BenchResult] = []
    for one in plans:
        done, todo = _known(pairs, one, where, out, force)
        results += done
        if todo:
            results += _measure(todo, one, where, progress or (lambda *_: None), files)
    refuse_invalid(results)
    return told_apart(results)


def _usable(
    bundles: Sequence[Bundle],
    runtimes: Sequence[str] | None,
    device_of: Callable[[str], str],
    skipped: dict[str, str] | None,
) -> Sequence[Bundle]:
    """Return the bundles that open here; why the others do not goes into `skipped`."""
    if skipped is None:
        return bundles
    usable, errors = [], []
    for bundle in bundles:
        try:
            for _, runtime in _pairs([bundle], runtimes):
                open_session(bundle, runtime, device_of(runtime)).close()
            usable.append(bundle)
        except EdgeSdkError as error:
            errors.append(error)
            skipped[str(bundle.path)] = str(error)
    if errors and not usable:
        raise errors[0]
    return usable


def refuse_invalid(results: Sequence[BenchResult]) -> None:
    """Raise InvalidBenchmarkError where no result is worth anything."""
    if results and all(r.validity.verdict == "INVALID" for r in results):
        reasons = "; ".join(sorted({r for x in results for r in x.validity.reasons}))
        raise InvalidBenchmarkError(f"every result is INVALID: {reasons}")


def _pairs(bundles: Sequence[Bundle], runtimes: Sequence[str] | None) -> list[tuple[Bundle, str]]:
    pairs: list[tuple[Bundle, str]] = []
    for bundle in bundles:
        fitting = [r for r in runtimes or [] if bundle.format in _runtime(r).formats]
        if runtimes and not fitting:
            raise UsageError(
                f"none of the runtimes {', '.join(runtimes)} opens {bundle.path} "
                f"({bundle.format}); leave --runtime out or name another"
            )
        for name in fitting or [choose(bundle)[0]]:
            if _runtime(name).kind != "native":
                raise UnsupportedError(
                    f"runtime {name!r} interprets {bundle.path} here: it may give a verdict, "
                    "never a speed; measure it on the device itself"
                )
            twin = next((b for b, n in pairs if (b.sha256, n) == (bundle.sha256, name)), None)
            if twin is not None:
                raise UsageError(
                    f"{bundle.path} and {twin.path} hold the same artefact; name it once"
                )
            pairs.append((bundle, name))
    if not pairs:
        raise UsageError("no bundle was given to measure; name one or more")
    return pairs


def _runtime(name: str) -> Any:
    return plugins.load(plugins.RUNTIMES, name)


def result_path(out: Path, bundle: Bundle, runtime: str, device: str, plan: BenchPlan) -> Path:
    """Return where a result lies: its name holds a hash of artefact, device and plan."""
    about = [bundle.sha256, runtime, device, {f: getattr(plan, f) for f in plan.__slots__}]
    digest = sha256_bytes(canonical(about))[:8]
    return out / f"{bundle.name}-{runtime}-{plan.scenario}-{digest}.json"


def _known(
    pairs: Sequence[tuple[Bundle, str]],
    plan: BenchPlan,
    where: Mapping[str, str],
    out: Path | None,
    force: bool,
) -> tuple[list[BenchResult], list[tuple[Bundle, str, Path | None]]]:
    """Split into results that exist and pairs to measure.

    When one contender of an interleaved run is missing, all are measured again: ratios
    hold inside one run only. So they are where the results were taken on another machine.
    """
    paths = [None if out is None else result_path(out, b, r, where[r], plan) for b, r in pairs]
    todo = [(b, r, path) for (b, r), path in zip(pairs, paths, strict=True)]
    if force or any(path is None or not path.is_file() for path in paths):
        return [], todo
    stored = [read_result(path) for path in paths if path is not None]
    names, here = sorted(contender_name(*pair) for pair in pairs), environment()
    worthless = any(
        r.validity.verdict == "INVALID" or sorted(r.order) != names or unlike(r.environment, here)
        for r in stored
    )
    return ([], todo) if worthless else (stored, [])


def _measure(
    todo: Sequence[tuple[Bundle, str, Path | None]],
    plan: BenchPlan,
    where: Mapping[str, str],
    progress: Progress,
    files: Sequence[Path],
) -> list[BenchResult]:
    with ExitStack() as stack:
        contenders = []
        for bundle, runtime, path in todo:
            session = stack.enter_context(
                open_session(bundle, runtime, where[runtime], plan.threads)
            )
            contenders.append(Contender(bundle, runtime, session, read_golden(bundle), path))
        wrong = {c.name: reasons for c in contenders if (reasons := _golden_reasons(c))}
        right = [c for c in contenders if c.name not in wrong]
        if not right:
            told = "; ".join(f"{name}: {reasons[0]}" for name, reasons in wrong.items())
            raise GateFailedError(f"no contender gives its golden outputs ({told}); export again")
        if plan.scenario == "pipeline":
            times = pipelines(right, plan, files, progress)
        else:
            times = _inference(right, plan, progress)
        results = [_result(c, plan, times[c.name], right, wrong) for c in right]
    results = flag_pooling(results)
    for contender, result in zip(right, results, strict=True):
        if contender.path is not None:
            write_result(contender.path, result)
    return results


def _golden_reasons(contender: Contender) -> list[str]:
    golden = contender.golden
    return golden.reasons(in_batches(contender.session.run, golden.inputs, contender.fixed))


def _inference(
    contenders: Sequence[Contender], plan: BenchPlan, progress: Progress
) -> dict[str, list[Measurement]]:
    """Return contender -> inference times per batch size, and those of its pre-processing."""
    return {
        name: [_infer(size, series) for size, series in sizes.items()]
        for name, sizes in _times(contenders, plan, progress).items()
    }


def _infer(size: int, series: Series) -> Measurement:
    return Measurement(
        stage="infer",
        samples=tuple(series.samples),
        warmups=tuple(series.warmups),
        batch=size,
        repeat=series.repeat,
    )


def _times(
    contenders: Sequence[Contender], plan: BenchPlan, progress: Progress
) -> dict[str, dict[int, Series]]:
    """Return contender -> batch size -> times; the sizes are swept one after the other."""
    times: dict[str, dict[int, Series]] = {c.name: {} for c in contenders}
    sizes = sorted({size for c in contenders for size in plan.sizes(c.fixed)})
    for place, size in enumerate(sizes):
        taking = [c for c in contenders if size in plan.sizes(c.fixed)]
        calls = {c.name: c.call(size) for c in taking}

        def told(done: int, total: int, place: int = place) -> None:
            progress(place * total + done, len(sizes) * total, f"bench {plan.scenario}")

        found = interleaved(
            calls,
            warmup=plan.warmup,
            iterations=plan.iterations,
            duration_s=plan.duration_s / min(len(plan.sizes(c.fixed)) for c in taking),
            progress=told,
        )
        for name, series in found.items():
            times[name][size] = series
    return times


def _result(
    contender: Contender,
    plan: BenchPlan,
    times: Sequence[Measurement],
    all_of_them: Sequence[Contender],
    wrong: Mapping[str, list[str]],
) -> BenchResult:
    cold = cold_start(contender.bundle, contender.runtime, contender.session.device, plan.threads)
    measurements = [*times, *_cold(cold), *_preprocessing(contender)]
    plan = replace(plan, batch=min(m.batch for m in times))
    validity = judge(plan, measurements)
    notes = [f"dropped for wrong outputs: {name} ({r[0]})" for name, r in wrong.items()]
    if "error" in cold:
        notes.append(f"load time and memory are unknown: {cold['error']}")
    plugin = _runtime(contender.runtime)
    return BenchResult(
        artefact=artefact_of(contender.bundle, plan.scenario),
        runtime={
            "name": contender.runtime,
            "version": plugin.version(),
            "kind": plugin.kind,
            "native": plugin.kind == "native",
            "threads": plan.threads,
        },
        device={"kind": "host", "name": contender.session.device},
        environment=environment(),
        plan=plan,
        measurements=tuple(measurements),
        validity=Validity(verdict=validity.verdict, reasons=(*validity.reasons, *notes)),
        placement=contender.session.placement(),
        memory={k: cold.get(k) for k in ("baseline_mb", "peak_mb", "model_mb")},
        order=tuple(c.name for c in all_of_them),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def artefact_of(bundle: Bundle, scenario: str = "") -> dict[str, Any]:
    """Return what a reader must know of the artefact; its accuracy was measured elsewhere."""
    task = task_of(bundle.task)
    return {
        "model": bundle.model,
        "mark": bundle.build.get("mark", ""),
        "profile": bundle.profile or "",
        "task": bundle.task,
        "item": getattr(task, "file_item" if scenario == "pipeline" else "item", task.item),
        "target": bundle.target,
        "precision": bundle.precision,
        "format": bundle.format,
        "sha256": bundle.sha256,
        "source_sha256": bundle.source_sha256,
        "bytes": bundle.bytes,
        "parameters": bundle.cost.get("parameters"),
        "macs": bundle.cost.get("macs"),
        "verify": dict(bundle.verify),
        "effective": bundle.build.get("effective", {}),
        "metrics": _accuracy(bundle),
    }


def _accuracy(bundle: Bundle) -> dict[str, Any]:
    """Return the accuracy that was measured on this artefact, {} where only its source has one."""
    task = read_verification(bundle.path / VERIFY).task if VERIFY in bundle.files else {}
    if "artefact" in task:
        told = {key: task[key] for key in ("metric", "data", "data_sha256") if key in task}
        return {**told, "value": task["artefact"]}
    return dict(bundle.metrics) if bundle.precision == "fp32" else {}


def _cold(cold: Mapping[str, Any]) -> list[Measurement]:
    stages = (("load", "load_ns"), ("first", "first_ns"))
    return [Measurement(stage=s, samples=(cold[key],)) for s, key in stages if cold.get(key)]


def _preprocessing(contender: Contender) -> list[Measurement]:
    """Time the bundle's own pre-processing of one picture."""
    if not contender.golden.pictures:
        return []
    prepare = next(iter(contender.bundle.preprocess.values()))
    picture = contender.golden.pictures[:1]

    def call() -> object:
        return prepare(picture)

    warmups = warm(call, 3)
    samples = tuple(timed(call) for _ in range(PRE_SAMPLES))
    return [Measurement(stage="pre", samples=samples, warmups=tuple(warmups))]
