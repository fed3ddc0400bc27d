"""Run a bundle: on files here, or live in the browser of a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk._options import own_options
from edgesdk.core import plugins
from edgesdk.core.errors import UnsupportedError, UsageError, did_you_mean
from edgesdk.core.jobs import Progress, RunJob
from edgesdk.core.licence import require_commercial as refuse_research_only
from edgesdk.core.shipped import open_bundle
from edgesdk.core.task import task_of
from edgesdk.verbs._verb import Verb, listed

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle


def run(
    bundle: Path | str | Bundle,
    files: Sequence[Path | str] | Path | str = (),
    *,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    output: Path | str | None = None,
    require_commercial: bool = False,
    force: bool = False,
    lan: bool = False,
    https: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Do with files what the model's task does: compare faces, name pictures, run arrays.

    Args:
        bundle: Bundle folder, shipped name, or a run that has a bundle.
        files: Pictures, folders or whatever the task reads.
        runtime: Runtime; default: the first one of the bundle that works here.
        device: cpu, cuda:0 or auto; browser serves a live page for a camera until Ctrl-C.
        threads: Threads of the CPU.
        allow_fallback: Accept another device than the one asked for.
        output: File to write where a picture or table says more than a line.
        require_commercial: Refuse weights that may not be used commercially.
        force: Open a rejected bundle.
        lan: Serve the page of `--device browser` on the local network.
        https: Serve it through TLS, with a certificate made for this run.
        progress: Called with (done, total, label).
        options: Further options of the bundle's task.

    Returns:
        Plain data: the task's answer and "task", its name; live: "served".

    Raises:
        UsageError: a file cannot be read, or an option belongs to another task.
        MissingDependencyError: something that the task needs is not installed.
    """
    opened = open_bundle(bundle, force=force)
    if require_commercial:
        refuse_research_only(opened.licence, opened.name)
    from edgesdk_runtimes._open import choose, device_here, runner_of

    if output == "":
        raise UsageError("-o is empty; name a file or folder to write")
    files = listed(files)
    for file in files:
        if not isinstance(file, str | Path) or file == "":
            raise UsageError(f"{file!r} is no file's name; give pictures, folders or other files")
    runner = runner_of(device)
    if runner is not None:
        if files or runtime:
            raise UsageError(
                f"--device {device} takes its pictures from a camera and brings its own runtime; "
                "leave files and --runtime out"
            )
        return _live(runner, opened, device, lan, https)
    if lan or https:
        raise UsageError("--lan and --https serve a page; they need --device browser")
    task = task_of(opened.task)
    _check_options(opened, task.run, options)
    runtime = choose(opened, runtime)[0]
    job = RunJob(
        bundle=opened,
        files=tuple(map(Path, files)),
        runtime=runtime,
        device=device_here(runtime, device, allow_fallback),
        threads=threads,
        output=None if output is None else Path(output),
        allow_fallback=allow_fallback,
        progress=progress,
    )
    chosen = {"runtime": job.runtime, "device": job.device}
    return {"task": opened.task, **task.run(job, **options), **chosen}


def _check_options(bundle: Bundle, run: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that the bundle's task does not know."""
    known = own_options(run)
    for name in given:
        if name in known:
            continue
        owners = [task for task, other in _task_runs().items() if name in own_options(other)]
        where = f"is for {', '.join(owners)}" if owners else did_you_mean(name, known)
        raise UsageError(
            f"option --{name.replace('_', '-')} {where}; {bundle.name} is for {bundle.task}"
        )


def _task_runs() -> dict[str, Callable[..., Any]]:
    return {name: task.run for name, task in plugins.every(plugins.TASKS)}


def _live(runner: str, bundle: Bundle, device: str, lan: bool, https: bool) -> dict[str, Any]:
    """Serve the live page until Ctrl-C."""
    from edgesdk.core.protocols import Reach

    plugin = plugins.load(plugins.RUNTIMES, runner)
    if not hasattr(plugin, "live"):
        raise UsageError(f"{device!r} measures only; use: edgesdk bench --device {device}")
    why = plugin.available()
    if why is not None:
        raise UnsupportedError(why)
    served: dict[str, Any] = plugin.live(bundle, device, Reach(lan=lan, https=https))
    return served


def show(data: Mapping[str, Any]) -> str:
    """Return the task's own lines, or what was served."""
    if "served" in data:
        return f"served {data['bundle']} at {data['served']}; no picture came here"
    lines: str = task_of(data["task"]).show(data)
    return lines


PLUGIN = Verb(run, show, place=6, more=_task_runs)
