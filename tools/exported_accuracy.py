"""What each target and precision costs a model in its task's metric, as one committed file.

    python tools/exported_accuracy.py f2c-detector --data judge --calib learn
    python tools/exported_accuracy.py item-detector --data real_vs_ai_dev.tar \
        --calib flickr_captions_dev.tar
    python tools/exported_accuracy.py tracker --data synthetic
    cog -r -I tools docs/generated-images.md

Every export is a process of its own, `edgesdk export --json`, and its proof is kept: verdict,
where it ran, the metric before and after with the interval of the difference. `--python` names
the environment of another target (executorch=PATH). Rows that are there are made anew, the
others stay; the file is written after each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.readme_tables import table

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "exported-accuracy.json"
TARGETS = ("onnx", "openvino", "tflite", "coreml", "tensorrt", "executorch")
PRECISIONS = ("fp32", "fp16", "int8")
KEPT = ("cpu", "machine", "os", "python")
# What a bundle decided that a reader of the table must know.
SAID = ("batch 1:", "int8 leaves", "int8: SpectrumFilter", "int8: VerdictLayers")
Row = dict[str, Any]


def exported(model: str, target: str, precision: str, asked: argparse.Namespace) -> Row:
    """Export a model and return what its proof says, or why there is none."""
    from edgesdk.core.target import read_target

    with tempfile.TemporaryDirectory() as folder:
        command = [
            dict(asked.python).get(target, sys.executable), "-m", "edgesdk", "export", model,
            "--target", target, "--precision", precision, "--data", asked.data, "--json", "-q",
            "-o", folder,
        ]  # fmt: skip
        if asked.calib and precision in read_target(target).options.get("calibrated", ()):
            command += ["--calib", asked.calib]
        places = os.pathsep.join(str(ROOT / p) for p in ("", "export", "runtimes", "training"))
        environment = {**os.environ, "PYTHONPATH": places}
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        answer = json.loads(done.stdout or "{}")
        return row_of(answer, Path(folder)) if answer else {"error": done.stderr[-300:]}


def row_of(answer: Row, folder: Path) -> Row:
    """Return the figures of one export: of its bundle, or of what was rejected."""
    rejected = [path.parent for path in folder.glob("*.rejected/verify.json")]
    if "error" in answer and not rejected:
        return {
            "error": answer["error"].replace(f"{folder}/", ""),
            "exit_code": answer["exit_code"],
        }
    place = rejected[0] if "error" in answer else Path(answer["path"])
    proof = json.loads((place / "verify.json").read_text())
    task, files = proof.get("task") or {}, answer.get("files", {})
    return {
        "verdict": proof["verdict"],
        "level": proof["level"],
        "by": proof["by"],
        "bytes": sum(f["bytes"] for n, f in files.items() if n.startswith("model")),
        **{key: task[key] for key in ("metric", "source", "artefact", "drop", "interval", "data")
           if key in task},
        "decisions": [d for d in answer.get("decisions", ()) if d.startswith(SAID)],
        "reasons": proof["reasons"],
    }  # fmt: skip


def rows(asked: argparse.Namespace) -> Iterator[Row]:
    """Yield a row per model, target and precision."""
    for target in asked.targets:
        for precision in asked.precisions:
            key = {"model": asked.model, "target": target, "precision": precision}
            yield key | exported(asked.model, target, precision, asked)


def merged(row: Row) -> list[Row]:
    """Return the committed rows with `row` in its place."""

    def key(of: Row) -> tuple[str, int, int]:
        return of["model"], TARGETS.index(of["target"]), PRECISIONS.index(of["precision"])

    old = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    found = {key(of): of for of in [*old, row]}
    return [found[place] for place in sorted(found)]


def markdown(model: str) -> str:
    """Return what a model loses of its metric, per target and precision."""
    found = {(row["target"], row["precision"]): cell(row) for row in rows_of(model)}
    proofs = {row["target"]: row for row in rows_of(model) if "verdict" in row}
    body: list[list[object]] = [
        [target, *(found.get((target, p), "") for p in PRECISIONS), proof_of(row)]
        for target, row in proofs.items()
    ]
    return table(["target", *PRECISIONS, "proof"], body)


def rows_of(model: str) -> list[Row]:
    """Return the committed rows of a model."""
    return [row for row in json.loads(RESULT.read_text())["rows"] if row["model"] == model]


def cell(row: Row) -> str:
    """Return the loss with its interval, and what is to be known of it."""
    if "drop" not in row:
        return "not proven" if "verdict" in row else "refused"
    low, high = row["interval"]
    alone = [d.partition(":")[0] for d in row["decisions"] if d.startswith("batch 1")]
    return ", ".join(
        [
            f"{row['drop']:+z.4f} ({low:+z.4f} to {high:+z.4f})",
            *alone,
            *["fails"][: row["verdict"] == "fail"],
        ]
    )


def proof_of(row: Row) -> str:
    """Return where the numbers of a target come from."""
    from edgesdk.core.verify import proof_words

    return proof_words("pass" if row["verdict"] == "fail" else row["verdict"], row["level"])


def placed(text: str) -> str:
    """Return the whole path of a set; the word "synthetic" is one that some tasks know."""
    return text if text == "synthetic" else str(Path(text).resolve())


def place_of(text: str) -> tuple[str, str]:
    """Return target and interpreter of TARGET=PATH."""
    target, _, path = text.partition("=")
    return target, path


def main() -> None:
    """Run the command line."""
    from edgesdk.core.env import environment
    from edgesdk.core.files import write_json

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="shipped name, run or bundle")
    parser.add_argument("--data", required=True, type=placed)
    parser.add_argument("--calib", type=lambda p: str(Path(p).resolve()), help="for int8")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--python", nargs="*", type=place_of, default=[], metavar="TARGET=PATH")
    asked = parser.parse_args()
    machine = {key: environment()[key] for key in KEPT}
    for row in rows(asked):
        print(
            row["model"],
            row["target"],
            row["precision"],
            cell(row),
            row.get("error", ""),
            flush=True,
        )
        about = {"schema_version": 1, "command": "python tools/exported_accuracy.py"}
        write_json(RESULT, {**about, "environment": machine, "rows": merged(row)})


if __name__ == "__main__":
    main()
