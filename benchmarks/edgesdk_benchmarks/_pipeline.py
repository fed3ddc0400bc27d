"""The scenario `pipeline`: from files to answers, its stages at work at once and one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.result import PARTS, BenchPlan, Measurement
from edgesdk.core.task import FromFiles, task_of
from edgesdk_benchmarks._timing import interleaved


class Opened(Protocol):
    """What is asked of a contender."""

    @property
    def bundle(self) -> Bundle: ...

    @property
    def runtime(self) -> str: ...

    @property
    def session(self) -> Any: ...

    @property
    def name(self) -> str: ...


def pipelines(
    contenders: Sequence[Opened],
    plan: BenchPlan,
    files: Sequence[Path],
    progress: Callable[[int, int, str], None],
) -> dict[str, list[Measurement]]:
    """Return contender -> times of passes over all files, plain and overlapped in turns.

    Raises:
        UsageError: a contender's task has no way from files to answers.
    """
    with ExitStack() as stack:
        opened = {c.name: stack.enter_context(_opened(c, plan, files)) for c in contenders}
        parts: dict[str, list[Mapping[str, float]]] = {name: [] for name in opened}
        calls: dict[str, Callable[[], object]] = {}
        for name, one in opened.items():
            calls[f"{name} plain"] = partial(_plain, one, parts[name])
            calls[f"{name} overlapped"] = one.overlapped

        def told(done: int, total: int) -> None:
            progress(done, total, "bench pipeline")

        times = interleaved(
            calls,
            warmup=plan.warmup,
            iterations=plan.iterations,
            duration_s=plan.duration_s,
            progress=told,
        )
        return {
            name: [
                *(_whole(kind, times[f"{name} {kind}"], one.items) for kind in KINDS),
                *_parts(parts[name][len(times[f"{name} plain"].warmups) :], one.items),
            ]
            for name, one in opened.items()
        }


KINDS = ("overlapped", "plain")


def _plain(one: FromFiles, parts: list[Mapping[str, float]]) -> None:
    parts.append(one.plain())


def _opened(contender: Opened, plan: BenchPlan, files: Sequence[Path]) -> Any:
    task = task_of(contender.bundle.task)
    opener = getattr(task, "from_files", None)
    if opener is None:
        raise UsageError(
            f"scenario pipeline measures the way from files to answers, which the task "
            f"{contender.bundle.task} does not have; leave it out"
        )
    device = contender.session.device
    return opener(contender.bundle, contender.runtime, device, plan.threads, files)


def _whole(kind: str, series: Any, items: int) -> Measurement:
    return Measurement(
        stage=kind,
        samples=tuple(series.samples),
        warmups=tuple(series.warmups),
        batch=items,
        repeat=series.repeat,
    )


def _parts(passes: Sequence[Mapping[str, float]], items: int) -> list[Measurement]:
    """Return the stages' times of the plain passes; what a pass does not have took no time."""
    return [
        Measurement(stage=part, samples=tuple(float(p[part]) for p in passes), batch=items)
        for part in PARTS
        if all(p.get(part) for p in passes)
    ]
