"""A report as one HTML page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from edgesdk.core.result import BenchResult, item_of
from edgesdk.core.task import Headline, plural, task_of
from edgesdk.core.verify import proof_words
from edgesdk_benchmarks.report import charts
from edgesdk_benchmarks.report.groups import Group, head, row, split
from edgesdk_benchmarks.report.maps import Maps, maps_section
from edgesdk_benchmarks.report.markdown import LIMITS, machine
from edgesdk_benchmarks.report.parts import facts, figure, legend, scroll
from edgesdk_benchmarks.report.run_page import run_section
from edgesdk_benchmarks.report.runs import Run
from edgesdk_benchmarks.report.tracks import Tracks, tracks_section

INTRO = {
    "latency": "One item after the other: how long a single answer takes.",
    "throughput": "Batches of one size: how many items a second.",
    "offline": "A sweep of batch sizes: the table shows each contender's best one.",
    "pipeline": "From files to answers: one run is a pass over all files, with the stages at work "
    "at once on the cores.",
}


def page(
    title: str,
    groups: Sequence[Group],
    runs: Sequence[Run] = (),
    maps: Sequence[Maps] = (),
    tracks: Sequence[Tracks] = (),
) -> str:
    """Return the whole page."""
    style = files("edgesdk_benchmarks.report").joinpath("style.css").read_text("utf-8")
    measured = [*map(_section, groups), _accuracy(groups)] if groups else []
    ends = [_footer(groups)] if groups else []
    body = "".join(
        [
            _header(title, groups, runs),
            *measured,
            *map(run_section, runs),
            *map(maps_section, maps),
            *map(tracks_section, tracks),
            *ends,
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _header(title: str, groups: Sequence[Group], runs: Sequence[Run]) -> str:
    told = []
    if groups:
        first, count = groups[0].results[0], len({r.name for g in groups for r in g.results})
        who = f"{count} contender{'s' * (count != 1)}"
        told.append(f"{who}, measured {first.date}, {machine(first)}.")
    if runs:
        told.append(f"{len(runs)} training run{'s' * (len(runs) != 1)}.")
    return f"<header><h1>{escape(title)}</h1><p>{escape(' '.join(told))}</p></header>"


def _section(group: Group) -> str:
    first = group.results[0]
    threads = f"{first.plan.threads} thread{'s' * (first.plan.threads != 1)}"
    parts = [f"<section><h2>{escape(group.scenario.capitalize())}, {threads}</h2>"]
    parts.append(f"<p>{INTRO[group.scenario]}</p>{_table(group)}")
    parts += [f"<p>{escape(line)}.</p>" for line in filter(None, map(split, group.results))]
    parts.append(_reasons(group))
    ranked = group.ranked
    if ranked:
        parts.append(legend([r.name for r in ranked]))
    if ranked and group.scenario == "latency":
        parts.append(figure("Latency distribution", charts.latency(ranked)))
    if ranked and group.scenario == "offline":
        caption = f"{plural(item_of(ranked)).capitalize()} per second per batch size"
        parts.append(figure(caption, charts.throughput(ranked)))
    if len(ranked) > 1 and group.scenario != "offline":
        caption = f"Speed relative to {ranked[0].name}: above 1 is faster; line = 95 % interval"
        parts.append(figure(caption, charts.ratios(ranked)))
    return "".join(parts) + "</section>"


def _table(group: Group) -> str:
    names = "".join(f"<th>{escape(h)}</th>" for h in head(group.results))
    body = "".join(f"<tr>{_cells(row(r))}</tr>" for r in group.results)
    return scroll(f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>")


def _cells(values: Sequence[Any]) -> str:
    *cells, verdict = (escape(str(v)) for v in values)
    badge = f'<span class="badge {verdict.split()[0].lower()}">{verdict}</span>'
    first = f'<th scope="row">{cells[0]}</th>'
    return first + "".join(f"<td>{c}</td>" for c in cells[1:]) + f"<td>{badge}</td>"


def _reasons(group: Group) -> str:
    items = [
        f"<li><b>{escape(r.name)}</b>: {escape(why)}</li>"
        for r in group.results
        for why in r.validity.reasons
    ]
    if not items:
        return ""
    summary = f"Why a verdict is not VALID ({len(items)})"
    return f"<details><summary>{summary}</summary><ul>{''.join(items)}</ul></details>"


def accuracy_points(groups: Sequence[Group]) -> list[tuple[BenchResult, Headline]]:
    """Return results whose accuracy was measured, with the figure that their task shows.

    Only the first latency run counts, and of each artefact its own measured accuracy.
    """
    latency = [g for g in groups if g.scenario == "latency"]
    found = [
        (result, task_of(result.task).headline(result.artefact.get("metrics", {})))
        for result in (latency[0].ranked if latency else [])
    ]
    return [(result, headline) for result, headline in found if headline is not None]


def _accuracy(groups: Sequence[Group]) -> str:
    """Return a figure and table per metric and set: only equal ones may be compared."""
    points = accuracy_points(groups)
    if not points:
        return ""
    labels = dict.fromkeys(headline.label for _, headline in points)
    parts = [_measured(label, [p for p in points if p[1].label == label]) for label in labels]
    return (
        "<section><h2>Accuracy against cost</h2><p>Each figure as its manifest records it, with "
        "the set it was measured on; time is the median latency above.</p>"
        + "".join(parts)
        + "</section>"
    )


def _measured(label: str, points: Sequence[tuple[BenchResult, Headline]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(result.name)}</th><td>{escape(headline.text)}</td>'
        f"<td>{result.infer.statistics['p50']:.4g}</td></tr>"
        for result, headline in points
    )
    dots = [
        (result.name, float(result.infer.statistics["p50"]), headline.shown)
        for result, headline in points
    ]
    item = item_of([result for result, _ in points])
    unit = ", %" if points[0][1].percent else ""
    chart = charts.accuracy_cost(dots, f"ms per {item}, batch 1", f"{label}{unit}")
    return figure(f"{label}: up and left is better", chart) + scroll(
        f"<table><thead><tr><th>contender</th><th>{escape(label)}</th><th>p50 ms</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _proof(verify: Mapping[str, Any]) -> str:
    return proof_words(str(verify.get("verdict")), str(verify.get("level")))


def _footer(groups: Sequence[Group]) -> str:
    environment = groups[0].results[0].environment
    artefacts = {r.artefact["sha256"]: r for g in groups for r in g.results}
    files_ = "".join(
        f'<tr><th scope="row">{escape(r.name)}</th><td>{int(r.artefact["bytes"]):,}</td>'
        f"<td>{escape(_proof(r.artefact.get('verify', {})))}</td>"
        f"<td><code>{escape(str(sha)[:16])}</code></td></tr>"
        for sha, r in artefacts.items()
    )
    proofs = (
        "<table><thead><tr><th>contender</th><th>bytes</th><th>proof</th><th>hash</th></tr></thead>"
        f"<tbody>{files_}</tbody></table>"
    )
    return (
        f"<section><h2>Artefacts</h2>{scroll(proofs)}<h2>Machine</h2>"
        + facts(environment)
        + f"<h2>What this does not show</h2><p>{escape(LIMITS)}</p></section>"
    )
