"""Any description as lines and tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesdk.core.table import table

FINDINGS = ("level", "rule", "where", "found", "advice")
MOST_ROWS, MOST_CHARACTERS = 20, 96


def described(data: Mapping[str, Any]) -> str:
    """Return single facts first, then a part per list or mapping; empty ones are left out."""
    facts = {key: value for key, value in data.items() if not _has_parts(value)}
    width = max((len(key) for key in facts), default=0)
    lines = [f"{key:<{width}}  {_cell(value)}" for key, value in facts.items() if _filled(value)]
    parts = [_part(key, value) for key, value in data.items() if _has_parts(value) and value]
    return "\n\n".join(["\n".join(lines), *parts])


def _has_parts(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and not all(isinstance(v, int | float) for v in value)
    )


def _part(key: str, value: Any) -> str:
    if key == "findings":
        return f"{key}\n{table(FINDINGS, [[row[k] for k in FINDINGS] for row in value])}"
    rows = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
    shown = rows[:MOST_ROWS]
    more = f"\n  ... {len(rows) - len(shown)} more, see --json" if len(rows) > len(shown) else ""
    values = [item for _, item in shown]
    if all(isinstance(item, Mapping) for item in values):
        return f"{key}\n{_indented(_grid(shown, isinstance(value, Mapping)))}{more}"
    if not isinstance(value, Mapping):
        return "\n".join([key, *(f"  {_cell(item, None)}" for item in values)]) + more
    width = max(len(str(name)) for name, _ in shown)
    return "\n".join([key, *(f"  {name!s:<{width}}  {_cell(item)}" for name, item in shown)]) + more


def _grid(rows: Sequence[tuple[Any, Any]], named: bool) -> str:
    """Return rows that are mappings as one table; columns that nothing fills are left out."""
    columns = list(dict.fromkeys(k for _, row in rows for k, v in row.items() if _filled(v)))
    body = [
        ([name] if named else []) + [_cell(row.get(column)) for column in columns]
        for name, row in rows
    ]
    return table(([""] if named else []) + columns, body)


def _filled(value: Any) -> bool:
    return value not in (None, "", [], {}, ())


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _cell(value: Any, most: int | None = MOST_CHARACTERS) -> str:
    text = _text(value)
    return text if most is None or len(text) <= most else text[: most - 4] + " ..."


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        sizes = all(isinstance(item, int | str) or item is None for item in value)
        sizes = sizes and any(isinstance(item, int) for item in value)
        words = ["N" if item is None else str(item) if sizes else _text(item) for item in value]
        return ("x" if sizes else ", ").join(words)
    return str(value)
