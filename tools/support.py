"""Every network of the shelf to every target and precision, as one committed file.

    python tools/support.py        # --targets and --nets choose
    cog -r -I tools docs/support.md

Exports each network of tools/shelf.py, one process per target, and keeps what the export's
own proof said: validated, with a batch of 1 alone, or refused and why. A row that is there
already is made anew; the others stay.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "support.json"
PRECISIONS = {
    "onnx": ("fp32", "fp16", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
    "tflite": ("fp32", "fp16", "int8"),
    "coreml": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "fp16", "int8"),
    "executorch": ("fp32", "fp16", "int8"),
    "reference": ("fp32",),
}
SAMPLES = 64
MOST_SAID = 300  # letters of a reason in the page
KEPT = ("cpu", "machine", "os", "python")
MARKS = {"validated": "yes", "batch 1": "batch 1", "batch 2": "batch 2", "refused": "no"}


def outcome(net: str, target: str, precision: str) -> dict:
    """Export one network and return its row."""
    import edgesdk
    from edgesdk.core.errors import EdgeSdkError

    row = {"net": net, "target": target, "precision": precision}
    with tempfile.TemporaryDirectory() as folder:
        try:
            bundle = edgesdk.export(
                f"tools.shelf:{net.replace('-', '_')}",
                target=target,
                precision=precision,
                name=net,
                calib_samples=SAMPLES,
                output_dir=folder,
            )
        except EdgeSdkError as error:
            return {**row, "outcome": "refused", "exit_code": error.exit_code,
                    "said": _shown(str(error), folder)}  # fmt: skip
        except Exception as error:  # noqa: BLE001 - it is what the table is for
            return {**row, "outcome": "broken", "said": f"{type(error).__name__}: {error}"[:300]}
        decided = [d for d in bundle.decisions if d.startswith(("batch 1:", "int8 leaves"))]
        size = bundle.inputs[0].shape[0]
        return {
            **row,
            "outcome": "validated" if size is None else f"batch {size}",
            "proof": edgesdk.core.verify.proof_words(
                bundle.verify["verdict"], bundle.verify["level"]
            ),
            "said": "; ".join(decided),
        }


def _shown(text: str, folder: str) -> str:
    """Return a message without the folder of this run."""
    return text.replace(f"{folder}/", "").replace(folder, "bundles")


def exported(targets: list[str], nets: list[str]) -> Iterator[dict]:
    """Yield a row per network, target and precision; each target in a process of its own."""
    for target in targets:
        command = [sys.executable, __file__, "--only", target, "--nets", *nets]
        # From the root, where the shelf can be named; nothing lands there.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    row = json.loads(line)
                    print(row["net"], row["target"], row["precision"], row["outcome"], flush=True)
                    yield row
        if process.returncode:
            raise SystemExit(f"the process of target {target} ended with {process.returncode}")


def merged(rows: list[dict]) -> list[dict]:
    """Return the committed rows with `rows` in their places, in the shelf's order."""
    from tools.shelf import NETS

    def key(row: dict) -> tuple:
        return row["net"], row["target"], row["precision"]

    old = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    found = {key(row): row for row in [*old, *rows]}
    order = [(n, t, p) for n in NETS for t, ps in PRECISIONS.items() for p in ps]
    return [found[place] for place in order if place in found]


def markdown() -> str:
    """Return the committed result as a table."""
    rows = json.loads(RESULT.read_text())["rows"]
    measured = {row["target"] for row in rows}
    columns = [(t, p) for t, ps in PRECISIONS.items() if t in measured for p in ps]
    cells = {
        (r["net"], r["target"], r["precision"]): MARKS.get(r["outcome"], r["outcome"]) for r in rows
    }
    lines = [
        "| network | " + " | ".join(f"{t} {p}" for t, p in columns) + " |",
        "| --- " + "| :-: " * len(columns) + "|",
    ]
    for net in dict.fromkeys(row["net"] for row in rows):
        marks = [cells.get((net, *column), "") for column in columns]
        lines.append(f"| {net} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


def reasons() -> str:
    """Return one line per reason: what is not validated with a free batch, and why."""
    grouped: dict[str, list[str]] = {}
    for row in json.loads(RESULT.read_text())["rows"]:
        if row["said"]:
            text = row["said"].replace(row["net"], "NET").replace(row["precision"], "P")
            text = re.sub(r"\d+", "0", text)  # equal but for numbers is equal
            grouped.setdefault(f"{row['target']} {text}", []).append(row)
    return "\n".join(_line(rows) for rows in grouped.values())


def _line(rows: list[dict]) -> str:
    nets = ", ".join(dict.fromkeys(row["net"] for row in rows))
    precisions = ", ".join(dict.fromkeys(row["precision"] for row in rows))
    said = brief(rows[0]["said"]).replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")
    return f"- {rows[0]['target']}, {precisions}: {nets}. {said}"


def brief(said: str) -> str:
    """Return the first reasons of a long sentence; the result file has all of them."""
    if len(said) <= MOST_SAID:
        return said
    return f"{said[:MOST_SAID].rpartition('; ')[0] or said[:MOST_SAID]}; …"


def main() -> int:
    """Run the command line."""
    sys.path.insert(0, str(ROOT))
    from tools.shelf import NETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        for net in asked.nets:
            for precision in PRECISIONS[asked.only]:
                print(json.dumps(outcome(net, asked.only, precision)), flush=True)
        return 0
    from edgesdk.core.env import environment
    from edgesdk.core.files import write_json

    for row in exported(asked.targets, asked.nets):
        machine = {key: environment()[key] for key in KEPT}
        data = {"schema_version": 1, "command": "python tools/support.py", "environment": machine}
        write_json(RESULT, {**data, "rows": merged([row])})
    return 0


if __name__ == "__main__":
    sys.exit(main())
