"""Whether a dataclass that was read from a file holds what its annotations promise."""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

LARGEST_INT = 2**53  # whole numbers that every reader of JSON knows


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def check_types(instance: Any) -> None:
    """Raise TypeError for the first field of a dataclass whose value does not fit its annotation.

    Floats must be finite and may be written without a point; text must be valid Unicode.
    """
    kind: Any = type(instance)
    hints = _hints(kind)
    for field in fields(instance):
        value = getattr(instance, field.name)
        if not fits(value, hints[field.name]):
            raise TypeError(f"{field.name} is {value!r:.60}")


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a value from JSON fits a type annotation."""
    if hint is Any or hint is Path:
        return True
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and _tuple_fits(value, parts)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items()
        )
    return _scalar_fits(value, hint)


def _tuple_fits(value: tuple[Any, ...], parts: tuple[Any, ...]) -> bool:
    if parts[-1] is Ellipsis:
        return all(fits(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(map(fits, value, parts))


def _scalar_fits(value: Any, hint: type) -> bool:
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    if isinstance(value, int):
        return hint is int and abs(value) <= LARGEST_INT
    if isinstance(value, str):
        return hint is str and not any(0xD800 <= ord(letter) < 0xE000 for letter in value)
    return isinstance(value, hint)
