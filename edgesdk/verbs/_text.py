"""Tables and numbers for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pairs(values: Mapping[str, Any]) -> str:
    """Return a mapping as "name=value, …"."""
    return ", ".join(f"{k}={v}" for k, v in values.items())


def short(value: Any) -> str:
    """Return six digits of a number, nothing for None, else text."""
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
