"""What was asked of f2c-detector beside its rivals, judged from the committed results.

Three ways of being unseen: other photos and other generators of the families that were taught;
families of which no relative was taught; all families but the one that was taught, by three seeds.
A difference is taken family by family. Its 95 % interval is Student's t over seeds where there are
several, else that of a bootstrap over families. A claim holds where all of its interval does, is
missed where none of it does, and is not proven between.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.readme_tables import table

RESULTS = Path(__file__).parent.parent / "training" / "results"
RULE = "one-number rule"
T_95 = {3: 4.303}  # Student's t for a two-sided 95 % interval, by the number of seeds
DRAWS = 2000
RESAMPLED = ("resized", "halved", "enlarged", "median")
Array = NDArray[Any]
Row = dict[str, Any]


def read(name: str) -> Row:
    """Return a committed result."""
    found: Row = json.loads((RESULTS / name).read_text())
    return found


def by_seed(rows: Mapping[str, Row], against: str) -> Array:
    """Return the AUC of each seed and family [S, F]."""
    cells = [rows[family][against] for family in sorted(rows)]
    return np.array([cell.get("values", [cell["auc"]]) for cell in cells], np.float64).T


def interval(found: Array) -> tuple[float, float, float]:
    """Return the mean of [S, F] and its 95 % interval: over seeds, or over families of one seed."""
    means = found.mean(1)
    if len(means) in T_95:
        half = T_95[len(means)] * means.std(ddof=1) / len(means) ** 0.5
        return float(means.mean()), float(means.mean() - half), float(means.mean() + half)
    drawn = np.random.default_rng(0).choice(found[0], (DRAWS, found.shape[1])).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(means.mean()), float(low), float(high)


def verdict(low: float, high: float, least: float) -> str:
    """Return whether an interval lies above what was asked."""
    if low >= least:
        return "holds"
    return "missed" if high < least else "not proven"


def claims() -> str:
    """Return the table of claims."""
    known, apart, before, one = (
        read(f"f2c{name}.json") for name in ("", "-apart", "-earlier", "-one")
    )
    # What began with weights taught before goes by its clue; earlier weights are left aside.
    mine = {name.removesuffix(" begun"): row for name, row in known["unseen"].items()}
    ways = {
        "families known": (known, mine),
        "last stage unseen": (apart, apart["left out"]),
        "last stage unseen, one draw, one seed": (before, before["left out"]),
        "one family taught": (one, one["left out"]),
    }
    rows = [
        row
        for way, (of, found) in ways.items()
        for row in _of(
            way, {n: r["families"] for n, r in found.items()}, of["unseen"][RULE]["families"]
        )
    ]
    return table(
        ["unseen by", "asked", "found", "verdict"],
        [*rows, *_against_resampled(mine["f2c"])],
    )


def _of(way: str, found: Mapping[str, Any], rule: Mapping[str, Row]) -> list[list[object]]:
    mine = by_seed(found["f2c"], "against photos")
    soft = by_seed(found["f2c"], "against soft")
    number = by_seed({name: rule[name] for name in found["f2c"]}, "against photos")
    rivals = {"raw": ("raw + .05", 0.05), "npr": ("NPR", 0.0), "high-pass": ("high-pass", 0.0)}
    asked: list[tuple[str, Array, float]] = [
        (f"F2C ≥ {text}", mine - by_seed(found[name], "against photos"), least)
        for name, (text, least) in rivals.items()
        if name in found
    ]
    asked += [
        ("F2C above the one-number rule", mine - number, 0.0),
        ("mean AUC of F2C ≥ .98", mine, 0.98),
        ("against all soft photos ≥ .80", soft, 0.8),
    ]
    return [_row(way, text, interval(values), least) for text, values, least in asked]


def _against_resampled(found: Row) -> list[list[object]]:
    kinds = found["all against each soft kind"]
    rows = [(f"all fakes against photos {kind} ≥ .80", kinds[kind]) for kind in RESAMPLED]
    way = "families known"
    return [_row(way, text, (row["auc"], row["low"], row["high"]), 0.8) for text, row in rows]


def _row(way: str, text: str, found: tuple[float, float, float], least: float) -> list[object]:
    mean, low, high = found
    sign = "+" if least in (0.0, 0.05) else ""
    told = f"{mean:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"
    return [way, text, told, verdict(low, high, least)]
