"""Start or continue a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunResult


def start(
    recipe: str,
    *,
    student: str | None,
    data: Sequence[str],
    settings: Sequence[str] | Mapping[str, Any],
    config: Path | str | None,
    teacher: str | None,
    qat: bool,
    seed: int,
    device: str,
    threads: int,
    fresh: bool,
    output_dir: Path,
    progress: Callable[[int, int, str], None] | None,
) -> RunResult:
    """See `edgesdk.api.train`."""
    plugin = plugins.load(plugins.RECIPES, recipe)
    plugins.require(f"recipe {recipe!r}", plugin)
    from edgesdk_training._train import train

    pairs = settings if isinstance(settings, Mapping) else dict(map(_split, settings))
    return train(
        plugins.resolve(plugins.RECIPES, recipe),
        settings={**pairs, **({"qat": True} if qat else {})},
        config=None if config is None else Path(config),
        student=student,
        data=_roles(data, plugin.needs),
        teacher=teacher,
        seed=seed,
        out=output_dir,
        fresh=fresh,
        device=device,
        threads=threads,
        progress=progress,
    )


def _split(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise UsageError(f"a setting is NAME=VALUE, found {word!r}; such as --set epochs=1")
    return name.strip(), value


def _roles(words: Sequence[str], needs: Sequence[str]) -> dict[str, list[Path]]:
    """Return role -> paths out of ROLE=PATH words; a bare path means the first role."""
    roles: dict[str, list[Path]] = {}
    for word in words:
        role, equals, path = word.partition("=")
        if not equals:
            role, path = needs[0], word
        if role not in needs:
            raise UsageError(f"unknown data role {role!r}. {did_you_mean(role, needs)}")
        roles.setdefault(role, []).append(Path(path))
    return roles
