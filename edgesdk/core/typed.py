"""Whether what was read from a file holds what its readers count on."""

import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

LARGEST_INT = 2**53  # whole numbers that every reader of JSON knows
DEEPEST = 32
# What goes wrong where values of a file are used whose kind nobody checked.
MALFORMED = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


def check_plain(value: Any, depth: int = 0) -> None:
    """Raise ValueError for values that no file of edgesdk holds, though JSON and TOML may.

    These are NaN and infinity, whole numbers beyond 2**53, text that is no valid Unicode, and
    nesting deeper than 32.
    """
    if isinstance(value, dict | list):
        if depth == DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
        for part in chain(value, value.values()) if isinstance(value, dict) else value:
            check_plain(part, depth + 1)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the number {value}")
    elif isinstance(value, int) and abs(value) > LARGEST_INT:
        raise ValueError("a whole number beyond 2**53")


def check_known(what: str, values: Any, hints: Mapping[str, Any], needed: Iterable[str]) -> None:
    """Raise for a mapping that lacks a needed key, or whose known keys hold another type.

    Args:
        what: Name of the mapping, for the message.
        values: What was read.
        hints: Key -> type annotation; other keys may hold anything.
        needed: Keys that must be there.

    Raises:
        TypeError: it is no mapping, or a value does not fit.
        KeyError: a needed key is absent.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{what} is {values!r:.60}")
    for key in needed:
        if key not in values:
            raise KeyError(f"{what}.{key}")
    for key, hint in hints.items():
        if key in values and not fits(values[key], hint):
            raise TypeError(f"{what}.{key} is {values[key]!r:.60}")


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
    if origin in (list, Sequence):
        return isinstance(value, list | tuple) and all(fits(item, parts[0]) for item in value)
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
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    if isinstance(value, int):
        return hint is int and abs(value) <= LARGEST_INT
    if isinstance(value, str):
        return hint is str and not any(0xD800 <= ord(letter) < 0xE000 for letter in value)
    return isinstance(value, hint)
