"""Settings of a recipe: words and TOML become a frozen dataclass, or one clear sentence."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import read_small

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def read_settings(kind: type, config: Path | None, words: Mapping[str, Any]) -> Any:
    """Return an instance of `kind`: its defaults, then the TOML file, then `words`.

    Raises:
        UsageError: an unknown name, a value of the wrong type, or an unreadable file.
    """
    given = {**({} if config is None else _toml(config)), **words}
    known = {f.name: f for f in fields(kind)}
    for name in given:
        if name not in known:
            raise UsageError(f"unknown setting {name!r}. {did_you_mean(name, known)}")
    return kind(**{name: _typed(known[name], value) for name, value in given.items()})


# The least value of what must be above zero.
ABOVE_0 = 1e-12
# The largest batch: more items than that are kept in memory for hours before one step fails.
MOST_AT_ONCE = 65536


def check_ranges(settings: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise UsageError where a setting lies outside its range, both ends included."""
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            least = "above 0" if low == ABOVE_0 else f"{low} or more"
            both = f"above 0 and at most {high}" if low == ABOVE_0 else f"from {low} to {high}"
            wanted = least if high == math.inf else both
            raise UsageError(f"{name} must be {wanted}, found {value}")


def _toml(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(read_small(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"settings file {path} cannot be read ({error})") from None
    settings = data.get("settings", data)
    if not isinstance(settings, dict):
        raise UsageError(f"[settings] of {path} must be a table of names, found {settings!r}")
    return settings


def _typed(field: Field[Any], value: Any) -> Any:
    default = field.default if field.default is not MISSING else None
    wanted: type = type(default) if default is not None else str
    try:
        result = _converted(wanted, value)
    except (ValueError, TypeError):
        raise UsageError(
            f"setting {field.name!r} must be {wanted.__name__}, found {value!r} "
            f"(default: {default!r})"
        ) from None
    return result


def _converted(wanted: type, value: Any) -> Any:
    if wanted is bool:
        word = str(value).lower()
        if word not in TRUE + FALSE:
            raise ValueError(word)
        return word in TRUE
    if wanted is float:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(value)
        return number
    part = wanted is int and isinstance(value, float) and not value.is_integer()
    if part or value is None or isinstance(value, bool | list | dict):
        raise ValueError(value)
    return wanted(value)
