"""Feed every reader files made by chance and by a coverage-guided fuzzer; write how it went.

    pip install 'edgesdk[dev,all,fuzz]'
    python tools/fuzz.py [--cases 100000] [--only a_picture] [-o benchmarks/results/fuzz.json]

Half of the cases are bytes from a seeded generator, half come from atheris, where it is
installed. Exit code 1 where a reader raised anything but an error of edgesdk, or was slow.
"""

import argparse
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgesdk.core.env import environment  # noqa: E402
from edgesdk.core.files import write_json  # noqa: E402
from tests.fuzz.cases import CASES  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "fuzz.json"
COUNTS = ("cases", "read", "refused")


def engines() -> dict[str, str]:
    """Return engine -> version of those that are installed."""
    try:
        return {"chance": "", "atheris": version("atheris")}
    except PackageNotFoundError:
        return {"chance": ""}


def run(name: str, count: int, seed: int, engine: str) -> dict[str, Any]:
    """Run one case in a process of its own, and return its counts and faults."""
    words = [sys.executable, "-m", "tests.fuzz.engine", name, str(count), str(seed), engine]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        why = done.stderr.strip()[-300:]
        return {**dict.fromkeys(COUNTS, 0), "faults": {f"exit {done.returncode}": why}}
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(CASES), action="append")
    asked = parser.parse_args()
    names, using = asked.only or list(CASES), engines()
    each = -(-asked.cases // (len(names) * len(using)))
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        rows[name] = {engine: run(name, each, asked.seed, engine) for engine in using}
        print(name, json.dumps(rows[name]), flush=True)
    found = [one for row in rows.values() for one in row.values()]
    totals = {key: sum(one[key] for one in found) for key in COUNTS}
    faults = sum(len(one["faults"]) for one in found)
    document = {
        "schema_version": 1,
        "kind": "fuzz",
        "command": "python tools/fuzz.py",
        "environment": environment(),
        "engines": using,
        "seed": asked.seed,
        "totals": {**totals, "faults": faults},
        "readers": rows,
    }
    write_json(asked.output, document)
    print(f"{totals['cases']:,} cases, {faults} faults; written {asked.output}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
