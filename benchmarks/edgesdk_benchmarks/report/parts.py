"""Pieces of HTML that every report uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from edgesdk_benchmarks.report.svg import SERIES_COLOURS


def figure(caption: str, content: str) -> str:
    """Return a figure with its caption."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{content}</figure>"


def scroll(table: str) -> str:
    """Return a table that scrolls where the window is narrow."""
    return f'<div class="scroll">{table}</div>'


def legend(names: Sequence[str]) -> str:
    """Return which colour of a chart is whose."""
    items = "".join(
        f'<li><span class="key s{i % SERIES_COLOURS}"></span>{escape(name)}</li>'
        for i, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def facts(values: Mapping[str, Any]) -> str:
    """Return names and values, one a line."""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(k))}</th><td>{escape(told(v))}</td></tr>'
        for k, v in values.items()
    )
    return scroll(f'<table class="facts"><tbody>{rows}</tbody></table>')


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table; its columns are all names that occur."""
    head = list(dict.fromkeys(name for row in rows for name in row))
    names = "".join(f"<th>{escape(str(n))}</th>" for n in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(told(row.get(n, '')))}</td>" for n in head) + "</tr>"
        for row in rows
    )
    return scroll(f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>")


def told(value: Any) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return "unknown"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {told(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(told, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
