"""Judge `dpdf` beside its rivals over seeds, attack what came out, and judge the claims.

    python tools/judge_private.py mnist.npz -o training/results/private-mnist.json \
        --set size=16 --set most=20000 --set queries=10000 --set epochs=10 --set steps=400

Runs lie in `--runs`; finished ones are taken as they are, so the command may be killed and
repeated, and the file is written after every run; rows that are not asked for (`--cells 3` for the
first three, `--only "dp-sgd eps 3"` for one) stay. Intervals are 95 % by Student's t over seeds.
The attacks
(tools/private_attacks.py) come last: `--attacks N` shadow models; with 0 the mechanism alone is
audited, and what attacks there are stay.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_json
from edgesdk_training._train import train
from edgesdk_training.recipes.dpdf import Settings
from edgesdk_training.settings import read_settings
from tools.command import told
from tools.private_attacks import attacks

EPSILONS = (3.0, 1.0, 2.0, 0.5)
# Student's t for a two-sided 95 % interval, by the number of seeds.
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
Cell = dict[str, Any]


def cells(pate_queries: int) -> list[Cell]:
    """Return what differs between the runs of one seed, the most important first."""
    private = [
        {"method": method, "epsilon": epsilon}
        for epsilon in EPSILONS
        for method in ("selective", "response")
    ]
    rivals = [
        row
        for epsilon in EPSILONS
        for row in (
            {"method": "dp-sgd", "epsilon": epsilon},
            {"method": "pate", "epsilon": epsilon, "queries": pate_queries, "epochs": 40},
        )
    ]
    published = [
        {"method": "selective", "epsilon": 3.0, "correct": False},
        {"method": "response", "epsilon": 3.0, "correct": False},
    ]
    free = [{"method": "none"}, {"method": "none", "pictures": "noise"}]
    return [*free[:1], *private[:2], *free[1:], *rivals[:2], *private[2:], *rivals[2:], *published]


def name_of(cell: Cell) -> str:
    """Return what a row is called."""
    words = [cell["method"], cell.get("pictures", "")]
    words += [f"eps {cell['epsilon']:g}"] if "epsilon" in cell else []
    words += ["as published"] if cell.get("correct") is False else []
    return " ".join(filter(None, words))


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, 95 % interval over seeds, and the values themselves."""
    mean, count = float(np.mean(values)), len(values)
    found: dict[str, Any] = {"mean": mean, "values": list(values)}
    if count in T_95:
        half = T_95[count] * float(np.std(values, ddof=1)) / math.sqrt(count)
        found |= {"low": mean - half, "high": mean + half}
    return found


def is_finished(settings: Cell, seed: int, runs: Path) -> bool:
    """Return whether a run of these settings and this seed has ended."""
    wanted = asdict(read_settings(Settings, None, settings))
    for place in sorted(runs.glob("*/settings.json")):
        about = read_json(place, "settings")
        if about["settings"] == wanted and about["seed"] == seed:
            return (place.parent / "result.json").is_file()
    return False


def row(results: Sequence[Any]) -> dict[str, Any]:
    """Return one row of the table: every metric over seeds, and the first seed's ledger."""
    shared = [n for n in results[0].metrics if all(n in r.metrics for r in results)]
    ledger = {k: v for k, v in results[0].ledger.items() if k not in ("spent", "budget")}
    ledger.pop("asked_without_protection", None)
    return {
        "seeds": len(results),
        **{name: interval([r.metrics[name] for r in results]) for name in shared},
        "ledger": ledger,
    }


def paired(rows: dict[str, Any], first: str, second: str, metric: str) -> list[float]:
    """Return first minus second by seed; none where a row is not there yet."""
    if first not in rows or second not in rows:
        return []
    pairs = zip(rows[first][metric]["values"], rows[second][metric]["values"], strict=False)
    return [a - b for a, b in pairs]


def claims(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the claims with numbers, interval and verdict: by the mean, and by the interval."""
    found = []
    gap = paired(rows, "none", "none noise", "holdout_accuracy")
    found.append(_claim("10a data-free against noise queries, points", [100 * g for g in gap], 20))
    for epsilon in sorted(EPSILONS):
        names = f"response eps {epsilon:g}", f"selective eps {epsilon:g}"
        less = paired(rows, *names, "label_error")
        text = f"10b label error of plain less selective at eps {epsilon:g}, points"
        found.append(_claim(text, [100 * g for g in less], 8))
    for method in ("selective", "response"):
        if (name := f"{method} eps 3") in rows and "none" in rows:
            pairs = zip(
                rows[name]["holdout_accuracy"]["values"],
                rows["none"]["holdout_accuracy"]["values"],
                strict=False,
            )
            text = f"10d {method} at eps 3 over no privacy, share"
            found.append(_claim(text, [a / b for a, b in pairs], 0.9))
    return [claim for claim in found if claim]


def _claim(text: str, values: Sequence[float], least: float) -> dict[str, Any]:
    if not values:
        return {}
    found = interval(values)
    proven = "low" in found and found["low"] >= least
    return {
        "claim": text,
        "least": least,
        **found,
        "holds": found["mean"] >= least,
        "proven": proven,
    }


def judge(options: argparse.Namespace) -> None:
    """Run everything that is not there yet, and write the file after every run.

    Rows of the file that this command does not ask for stay, where they are of equal settings.
    """
    given = dict(word.split("=", 1) for word in options.set)
    found = begun(options, given)
    done: dict[str, list[Any]] = {}
    for cell in asked_cells(options):
        settings = {**given, "budget": 1000.0, **cell}
        for seed in range(options.seeds):
            if options.finished and not is_finished(settings, seed, options.runs):
                break
            result = train(
                "dpdf", settings=settings, data={"private": [options.data]}, seed=seed,
                out=options.runs,
            )  # fmt: skip
            done.setdefault(name_of(cell), []).append(result)
            settle(found, name_of(cell), row(done[name_of(cell)]))
            write_json(options.output, found)
            print(name_of(cell), seed, result.metrics["holdout_accuracy"], flush=True)
    if options.attacks or not found["attacks"]:
        found["attacks"] = attacks(options.data, given, options.attacks, options.runs / "attacks")
    write_json(options.output, found)


def asked_cells(options: argparse.Namespace) -> list[Cell]:
    """Return what is to be run: the rows named, or the first ones."""
    every = cells(options.pate_queries)
    if unknown := set(options.only) - {name_of(cell) for cell in every}:
        names = ", ".join(map(name_of, every))
        raise UsageError(f"there is no row {sorted(unknown)[0]!r}. Valid: {names}")
    if options.only:
        return [cell for cell in every if name_of(cell) in options.only]
    return every[: options.cells]


def settle(found: dict[str, Any], name: str, new: dict[str, Any]) -> None:
    """Put a row in the place of one of no more seeds, and judge the claims anew."""
    if new["seeds"] >= found["rows"].get(name, {}).get("seeds", 0):
        rows = {**found["rows"], name: new}
        found["rows"] = {n: rows[n] for n in map(name_of, cells(0)) if n in rows}
        found["claims"] = claims(found["rows"])


def begun(options: argparse.Namespace, given: dict[str, str]) -> dict[str, Any]:
    """Return the file as it stands before anything is run."""
    settings = " ".join(f"--set {word}" for word in options.set)
    settings += " --finished" * options.finished
    kept = read_json(options.output, "result") if options.output.is_file() else {}
    same = kept.get("settings") == given and kept.get("data") == options.data.name
    return {
        "command": f"python tools/judge_private.py {options.data.name} {settings} "
        f"--seeds {options.seeds}",
        "data": options.data.name,
        "settings": given,
        "rows": kept["rows"] if same else {},
        "claims": kept["claims"] if same else [],
        "attacks": kept["attacks"] if same else {},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pate-queries", type=int, default=200)
    parser.add_argument("--cells", type=int, default=99, help="rows, the most important first")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="such as 'none'")
    parser.add_argument("--attacks", type=int, default=8)
    parser.add_argument("--finished", action="store_true", help="train nothing, take what is there")
    parser.add_argument("--runs", type=Path, default=Path("runs/private"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    if not options.data.exists():
        raise UsageError(f"{options.data} does not exist; name a set of labelled pictures")
    judge(options)


if __name__ == "__main__":
    told(main)
