"""Collect what training runs left behind into one committed file.

    python tools/collect_runs.py face16=runs/bridge-… -o training/results/runs.json

Of each run: what it was asked, its accuracy on the people held out, and the last line of its
log (losses, images per second of the process, on a CPU the share of the time that data took).
Runs that the file holds already and that are not named stay.
"""

import argparse
import json
from pathlib import Path

from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_json
from tools.command import told


def collected(folder: Path) -> dict:
    """Return what one finished run says; data sets by name, not by place."""
    asked = read_json(folder / "settings.json", "settings")
    try:
        log = folder / "log.jsonl"  # a run of no step has none
        lines = [json.loads(x) for x in log.read_text().splitlines()] if log.is_file() else []
        logged = {"logged_s": round(lines[-1]["time"] - lines[0]["time"], 1)} if lines else {}
        last = {k: v for k, v in lines[-1].items() if k != "time"} if lines else {}
        return {
            **{k: shown(v) for k, v in asked.items()},
            "data": {role: [Path(p).name for p in paths] for role, paths in asked["data"].items()},
            "settings": {k: shown(v) for k, v in asked["settings"].items()},
            "metrics": read_json(folder / "result.json", "result")["metrics"],
            **logged,
            "last_log": last,
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{folder} is no finished run ({error!r}); train it again") from None


def shown(value: object) -> object:
    """Return a setting; of a path (`init`) the run's own name."""
    if not isinstance(value, str) or "/" not in value:
        return value
    return next((p for p in reversed(Path(value).parts) if p != "checkpoint"), value)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    named = dict(word.partition("=")[::2] for word in asked.runs)
    for name, folder in named.items():
        if not name or not folder:
            raise UsageError(f"a run is NAME=FOLDER, found {name}={folder}")
        if not Path(folder, "result.json").is_file():
            raise UsageError(f"run {name} is not finished: {folder}")
    known = read_json(asked.output, "runs") if asked.output.is_file() else {}
    if not isinstance(known, dict):
        raise UsageError(f"{asked.output} holds no runs by name; choose another -o")
    write_json(asked.output, known | {n: collected(Path(f)) for n, f in named.items()})


if __name__ == "__main__":
    told(main)
