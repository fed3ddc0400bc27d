"""Start or continue a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import read_json
from edgesdk.verbs._verb import Progress, Verb, listed

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunResult

MOST_LINES = 12  # of checkpoints: a federated run has one per client


def train(
    recipe: str | None = None,
    *,
    student: str | None = None,
    data: Sequence[str] | str = (),
    settings: Sequence[str] | str | Mapping[str, Any] = (),
    config: Path | str | None = None,
    teacher: str | None = None,
    qat: bool = False,
    engine: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    fresh: bool = False,
    strict: bool = False,
    output_dir: Path | str = "runs",
    progress: Progress | None = None,
) -> RunResult:
    """Train a student by a recipe; the same command continues an interrupted run.

    Args:
        recipe: Name of the recipe, see `edgesdk models`; has to be named.
        student: Student to train; default: the recipe's first one.
        data: A data set as ROLE=PATH, such as public=faces.tar; repeat to join several.
        settings: One setting of the recipe as NAME=VALUE; repeat for more.
        config: TOML file of settings; NAME=VALUE wins over it.
        teacher: Teacher by name (sface) or path of an ONNX file; default: the recipe's.
        qat: Quantisation-aware training as the last step, for int8; the same as qat=true.
        engine: Who runs the rounds of a federated recipe, local or flower; the same as engine=NAME.
        seed: Seed of weights, order and augmentation.
        device: cpu, cuda or cuda:N.
        threads: Threads of the CPU.
        allow_fallback: Train on the CPU where `device` is absent.
        fresh: Start over instead of continuing.
        strict: Refuse damaged pictures; default: they are left out and named.
        output_dir: Folder that holds the runs.
        progress: Called with (done, total, label).

    Returns:
        What the run left behind.

    Raises:
        UsageError: an unknown recipe, student, role or setting, or unreadable data.
        MissingDependencyError: torch or the teacher is not installed.
    """
    if recipe is None:
        raise UsageError(f"no recipe was named; such as: {_examples()}")
    plugin = plugins.load(plugins.RECIPES, recipe)
    roles = read_roles(listed(data), plugin.needs)
    plugins.require(f"recipe {recipe!r}", plugin)
    asked = {**({"qat": True} if qat else {}), **({"engine": engine} if engine else {})}
    from edgesdk_training._train import train as start

    return start(
        plugins.resolve(plugins.RECIPES, recipe),
        settings={**read_pairs(settings), **asked},
        config=None if config is None else Path(config),
        student=student,
        data=roles,
        teacher=teacher,
        seed=seed,
        out=Path(output_dir),
        fresh=fresh,
        strict=strict,
        device=device,
        allow_fallback=allow_fallback,
        threads=threads,
        progress=progress,
    )


def _examples() -> str:
    """Return a command per recipe."""
    every = plugins.every(plugins.RECIPES)
    return ", or: ".join(_example(name, plugin.needs) for name, plugin in every)


def _example(recipe: str, needs: Sequence[str]) -> str:
    given = "".join(f" --data {role}=PATH" for role in needs)
    return f"edgesdk train {recipe}{given}"


def read_pairs(settings: Sequence[str] | str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings by name, out of NAME=VALUE words or as they are."""
    return settings if isinstance(settings, Mapping) else dict(map(_split, listed(settings)))


def _split(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise UsageError(f"a setting is NAME=VALUE, found {word!r}; such as --set epochs=1")
    return name.strip(), value


def read_roles(words: Sequence[str], needs: Sequence[str]) -> dict[str, list[Path]]:
    """Return role -> paths out of ROLE=PATH words; a bare path means the first role."""
    roles: dict[str, list[Path]] = {}
    for word in words:
        role, equals, path = word.partition("=")
        if not equals:
            role, path = needs[0], word
        if not path:
            raise UsageError(
                f"--data {word} names no set; give ROLE=PATH, such as {needs[0]}=faces"
            )
        if role not in needs:
            raise UsageError(f"unknown data role {role!r}. {did_you_mean(role, needs)}")
        roles.setdefault(role, []).append(Path(path))
    return roles


def show(result: RunResult) -> str:
    """Return where everything lies, and what to type next."""
    lines = [f"run       {result.folder}"]
    lines += _few([f"{name:<9} {path}" for name, path in result.checkpoints.items()])
    lines += [f"{name:<9} {path}" for name, path in result.artefacts.items()]
    lines += [f"{name:<24} {_told(name, value)}" for name, value in result.metrics.items()]
    if _is_drawn(result.folder):
        lines.append("its faces were drawn, those held out as well: no number tells of real ones")
    lines += [f"read      {read['line']}" for read in result.sets]
    if result.checkpoints:
        first = next(iter(result.checkpoints.values()))
        lines.append(f"next: edgesdk export {first} --target onnx")
    return "\n".join(lines)


def _few(lines: list[str]) -> list[str]:
    """Return lines; of very many the first and the last."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 2], f"... {len(lines) - MOST_LINES + 1:,} more", lines[-1]]


def _told(name: str, value: float) -> str:
    """Return a figure in words: shares to four digits, bytes and large numbers whole."""
    whole = abs(value) >= 1000 or name.startswith("bytes")
    return f"{value:,.0f}" if whole else f"{value:.4f}"


def _is_drawn(folder: Path) -> bool:
    """Tell whether the run learnt from the built-in drawn pictures alone."""
    try:
        roles = read_json(folder / "settings.json", "settings")["data"].values()
        return {path for paths in roles for path in paths} == {"synthetic"}
    except (UsageError, KeyError, TypeError, AttributeError):
        return False


PLUGIN = Verb(train, show, place=3)
