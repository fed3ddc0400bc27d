"""Start, continue or return a run. The run's folder is named after a hash of all it depends on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.errors import UnsupportedError, UsageError, did_you_mean
from edgesdk.core.files import canonical, locked, os_errors, read_json, sha256_bytes, write_json
from edgesdk.core.notes import note
from edgesdk.core.protocols import RunResult
from edgesdk.core.shipped import open_checkpoint
from edgesdk.core.typed import MALFORMED, check_types
from edgesdk_runtimes._open import MOST_THREADS
from edgesdk_training import _dist
from edgesdk_training.context import Context
from edgesdk_training.data import content_hash
from edgesdk_training.settings import read_settings

RESULT = "result.json"
# Its keys; any other is a curve.
KNOWN = ("checkpoints", "artefacts", "metrics", "ledger", "sets", "tables")


def train(
    recipe: str,
    *,
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    student: str | None = None,
    data: Mapping[str, Sequence[Path]] | None = None,
    teacher: str | None = None,
    seed: int = 0,
    out: Path = Path("runs"),
    fresh: bool = False,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    strict: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> RunResult:
    """Run a recipe; see `edgesdk.train`."""
    plugin = plugins.load(plugins.RECIPES, recipe)
    check_numbers(threads, seed)
    device = device_here(device, allow_fallback)
    chosen = read_settings(plugin.settings, config, settings or {})
    student = _student(plugin, student)
    _may_be_taught(plugin, recipe, teacher)
    paths = {role: [str(p) for p in given] for role, given in (data or {}).items()}
    about = {
        "recipe": recipe, "student": student, "settings": asdict(chosen), "data": paths,
        "teacher": teacher, "seed": seed, "contents": _contents(paths, chosen),
    }  # fmt: skip
    digest = sha256_bytes(canonical(about))
    folder = out / "-".join(filter(None, [recipe, student, digest[:8]]))
    finished = not fresh and (folder / RESULT).is_file()
    context = Context(
        folder, data or {}, student=student, recipe_sha256=digest, teacher=teacher, seed=seed,
        device=device, threads=threads, strict=strict, progress=progress,
    )  # fmt: skip
    if finished and not strict:
        return _read_result(folder)
    if not finished:
        _announce(plugin, recipe, student, chosen, folder, device)
    context.look_at_data()
    if finished:  # with nothing damaged
        return _read_result(folder)
    with _alone(folder), _nothing_left_of_a_refusal(folder):
        if fresh and _dist.rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
        _begin(folder, about, threads)
        return _run(plugin, chosen, context)


def _announce(
    plugin: Any, recipe: str, student: str, chosen: Any, folder: Path, device: str
) -> None:
    """Tell what will be run before it runs; the first process only."""
    if _dist.rank() == 0:
        trained = f" of student {student}" if student else ""
        note(f"run {folder}: recipe {recipe}{trained} on {device}")
        if hasattr(plugin, "steps"):
            note(f"steps: {plugin.steps(chosen)}")


def _contents(paths: Mapping[str, Sequence[str]], settings: Any) -> dict[str, Any]:
    """Return hashes of the data sets and of the weights to begin with: names may come to mean
    something else."""
    hashes: dict[str, Any] = {
        role: [content_hash(Path(p)) for p in given] for role, given in paths.items()
    }
    init = getattr(settings, "init", "")
    return hashes | ({"init": open_checkpoint(init).weights_sha256} if init else {})


def _run(plugin: Any, chosen: Any, context: Context) -> RunResult:
    try:
        result: RunResult = plugin.run(chosen, context)
        if context.rank == 0:
            _write_result(replace(result, sets=context.reports))
        _dist.wait()
    finally:
        _dist.stop()
    # Every process tells what the first one's weights are worth.
    return _read_result(context.folder)


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Keep a second command with the same settings from writing into the same run."""
    if _dist.rank():
        return nullcontext()
    return locked(
        folder.with_name(f".{folder.name}.lock"),
        f"the run {folder} is being trained by another process; wait for it, or choose another "
        "folder with -o",
    )


@contextmanager
def _nothing_left_of_a_refusal(folder: Path) -> Iterator[None]:
    """Remove a folder that was made for a run that is refused before it has learnt."""
    before = folder.exists()
    try:
        yield
    except UsageError:
        if not before and _dist.rank() == 0 and not (folder / "log.jsonl").exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _student(recipe: Any, name: str | None) -> str:
    if not recipe.students:
        if name is not None:
            raise UsageError("this recipe brings its own model; leave --student out")
        return ""
    if name is None:
        return str(recipe.students[0])
    found = plugins.resolve(plugins.STUDENTS, name)
    if found not in recipe.students:
        hint = did_you_mean(found, recipe.students)
        raise UsageError(f"this recipe does not train {found!r}. {hint}")
    return found


def _may_be_taught(plugin: Any, recipe: str, teacher: str | None) -> None:
    """Refuse a teacher that nobody would ask."""
    if teacher is not None and not getattr(plugin, "asks_teacher", True):
        raise UsageError(f"the recipe {recipe} asks no teacher of faces; leave --teacher out")


def check_numbers(threads: int, seed: int) -> None:
    """Refuse a number of threads or a seed that makes no sense."""
    if not 0 <= seed < 2**63:
        raise UsageError(f"--seed must be from 0 to {2**63 - 1}, found {seed}")
    if not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"--threads must be 1 to {MOST_THREADS}, found {threads}")


def _begin(folder: Path, about: Mapping[str, Any], threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    # Batches are all of one shape, so it pays to try out how a GPU convolves them.
    torch.backends.cudnn.benchmark = True
    _dist.start()
    with os_errors("write", folder):
        (folder / "state").mkdir(parents=True, exist_ok=True)
        if _dist.rank() == 0:
            write_json(folder / "settings.json", about)
    _dist.wait()


def device_here(device: str, allow_fallback: bool = False) -> str:
    """Return the torch device that `device` means here: itself, or the CPU where that may be.

    Raises:
        UsageError: it is no device.
        UnsupportedError: it is not here, or cannot be shared by several processes.
    """
    import torch

    try:
        kind, index = torch.device(device).type, torch.device(device).index or 0
    except RuntimeError:
        kind, index = "", 0
    if kind not in ("cpu", "cuda"):
        raise UsageError(f"--device must be cpu, cuda or cuda:N, found {device}")
    if kind == "cpu":
        return device
    count, processes = torch.cuda.device_count(), _dist.world()
    why = f"torch {torch.__version__} finds {count or 'no'} CUDA GPU here" if index >= count else ""
    if processes > 1:
        why = f"{processes} processes share a run on the CPU alone"
    if not why or allow_fallback:
        return "cpu" if why else device
    raise UnsupportedError(
        f"device {device!r} was asked, but {why}; leave --device out to train on the CPU, or add "
        "--allow-fallback"
    )


def _write_result(result: RunResult) -> None:
    folder = result.folder
    relative = {
        key: {name: str(path.relative_to(folder)) for name, path in getattr(result, key).items()}
        for key in ("checkpoints", "artefacts")
    }
    write_json(
        folder / RESULT,
        {
            **relative,
            "metrics": result.metrics,
            "ledger": result.ledger,
            "sets": result.sets,
            "tables": result.tables,
            **result.curves,
        },
    )


def _read_result(folder: Path) -> RunResult:
    data = read_json(folder / RESULT, "result")
    try:
        found = RunResult(
            folder=folder,
            checkpoints={k: folder / v for k, v in data["checkpoints"].items()},
            artefacts={k: folder / v for k, v in data["artefacts"].items()},
            metrics=data["metrics"],
            ledger=data["ledger"],
            sets=tuple(data.get("sets", ())),
            tables=data.get("tables", {}),
            curves={k: v for k, v in data.items() if k not in KNOWN},
        )
        check_types(found)
        return found
    except MALFORMED as error:
        raise UsageError(
            f"{folder / RESULT} is no result of a run ({error!r}); start over with --fresh"
        ) from None
