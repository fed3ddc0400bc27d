"""One bundle, its golden crops, every engine of the project: do all give the same embedding?

    make one-truth       # writes benchmarks/results/one-truth.json and docs/one-truth.md

Each engine starts from the crops and does its own pre-processing. The engines outside Python
leave their answers in build/one_truth, made by the tests of the app and of the page; an answer
to another bundle is not counted. Exit code 4 where an engine differs by more than allowed.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "one-truth.json"
ANSWERS = ROOT / "build" / "one_truth"
MODEL = "bridge-face"
# Largest difference of one value of an embedding of length 1, all engines in float32.
MOST = 1e-5
# Target -> runtime that runs its export here, and how the row is called.
EXPORTS = {
    "tflite": ("litert", "LiteRT"),
    "coreml": ("coreml", "Core ML program, interpreted off the Mac"),
    "reference": ("reference", "reference, numpy alone"),
}
OUTSIDE = {
    "jvm": ("ONNX Runtime, Java on the JVM (the app's core)", "make android"),
    "chromium": ("onnxruntime-web, WebAssembly in Chromium", "make browser one-truth"),
}


@dataclass(frozen=True)
class Answer:
    """What an engine made of the crops: [N, D], or why it did not run."""

    engine: str
    version: str = ""
    embedding: Any = None
    absent: str = ""


def embed(bundle: Any, runtime: str, engine: str) -> Answer:
    """Embed the golden crops of a bundle with a runtime of this machine."""
    from edgesdk.core import plugins
    from edgesdk.core.golden import read_golden
    from edgesdk_runtimes._open import open_session

    ((name, prepare),) = bundle.preprocess.items()
    with open_session(bundle, runtime) as session:
        outputs = session.run({name: prepare(read_golden(bundle).pictures)})
    version = plugins.load(plugins.RUNTIMES, runtime).version()
    return Answer(engine, version, next(iter(outputs.values())))


def stored(bundle: Any) -> Answer:
    """Return the golden embeddings, which PyTorch gave when the bundle was made."""
    from edgesdk.core.golden import read_golden

    version = f"torch {bundle.tool_versions.get('torch', '')}".strip()
    outputs = read_golden(bundle).outputs
    return Answer("PyTorch, stored as golden vectors", version, next(iter(outputs.values())))


def exported(folder: Path) -> Iterator[tuple[Any, Answer]]:
    """Export the model to every target that can run here; yield each bundle and its answer."""
    import edgesdk
    from edgesdk.core.errors import UnsupportedError

    for target, (runtime, engine) in EXPORTS.items():
        try:
            bundle = edgesdk.export(MODEL, target=target, precision="fp32", output_dir=folder)
            yield bundle, embed(bundle, runtime, engine)
        except UnsupportedError as error:
            yield None, Answer(engine, absent=str(error))


def on_arm64(bundles: Sequence[Any]) -> dict[str, tuple[Any, ...] | str]:
    """Return CPU -> embeddings of the bundles and versions, made by the aarch64 wheels under qemu.

    Where they cannot run it is CPU -> why.
    """
    import arm64

    why = arm64.missing()
    return {c: why or arm64.answers([b.path for b in bundles], c) for c in arm64.CPUS}


def arm64_answers(found: dict[str, Any]) -> Iterator[Answer]:
    """Yield the answers of the fp32 files, which come first, on each CPU."""
    for cpu, there in found.items():
        engines = [f"{name}, ARM64 {cpu} under qemu" for name in ("ONNX Runtime", "LiteRT")]
        if isinstance(there, str):
            yield from (Answer(engine, absent=there) for engine in engines)
        else:
            versions = [there[1][name] for name in ("ort", "litert")]
            yield from map(Answer, engines, versions, there[0])


def low_rows(low: Sequence[Any], found: dict[str, Any], truth: Any) -> Iterator[dict[str, Any]]:
    """Yield what fp16 and int8 cost on each processor, beside this machine's fp32."""
    for number, bundle in enumerate(low):
        here = embed(bundle, "ort", "").embedding
        there = {c: f[0][2 + number] for c, f in found.items() if not isinstance(f, str)}
        for processor, rows in {"this machine": here, **there}.items():
            yield low_row(bundle.precision, processor, rows, here, truth)


def low_row(precision: str, processor: str, rows: Any, here: Any, truth: Any) -> dict[str, Any]:
    """Return one line: distance to fp32, and to the same file on this machine."""
    difference, own = float(np.abs(rows - truth).max()), lowest_cosine(rows, here)
    far = lowest_cosine(rows, truth)
    good = own >= 0.99 if precision == "int8" else far >= 0.999 and difference <= 1e-2
    return {
        "precision": precision,
        "processor": processor,
        "max_abs": difference,
        "cosine_min": far,
        "cosine_min_same_file": own,
        "verdict": "pass" if good else "fail",
    }


def lowest_cosine(rows: Any, others: Any) -> float:
    """Return the lowest cosine of the rows of two [N, D] arrays."""
    from edgesdk.core.compare import cosine

    return float(cosine(np.float64(rows), np.float64(others)).min())


def outside(bundle: Any) -> Iterator[Answer]:
    """Read the answers of the engines that Python does not drive."""
    for name, (engine, how) in OUTSIDE.items():
        path = ANSWERS / f"{name}.json"
        data = json.loads(path.read_text()) if path.exists() else None
        if data is None:
            yield Answer(engine, absent=f"no answer in build/one_truth; make it with: {how}")
        elif data.get("bundle_sha256") != bundle.sha256:
            yield Answer(engine, absent=f"its answer is to another bundle; make it with: {how}")
        else:
            yield Answer(engine, data["version"], np.array(data["embedding"], np.float32))


def row(answer: Answer, truth: Any) -> dict[str, Any]:
    """Return one line of the result."""
    line: dict[str, Any] = {"engine": answer.engine, "version": answer.version}
    if answer.embedding is None:
        return line | {"verdict": "not run", "reason": answer.absent}
    if answer.embedding.shape != truth.shape:
        reason = f"shape {answer.embedding.shape}, {truth.shape} wanted"
        return line | {"verdict": "fail", "reason": reason}
    difference = float(np.abs(answer.embedding - truth).max())
    return line | {
        "max_abs": difference,
        "cosine_min": lowest_cosine(answer.embedding, truth),
        "verdict": "pass" if difference <= MOST else "fail",
    }


def collect() -> dict[str, Any]:
    """Ask every engine and return the result."""
    import edgesdk
    from edgesdk.core.bundle import read_bundle
    from edgesdk.core.env import environment
    from edgesdk.core.shipped import shipped_bundle

    bundle = read_bundle(shipped_bundle(MODEL))
    first = embed(bundle, "ort", "ONNX Runtime, Python")
    with TemporaryDirectory() as folder:
        made = list(exported(Path(folder)))
        low = [
            edgesdk.export(MODEL, target="onnx", precision=precision, output_dir=folder)
            for precision in ("fp16", "int8")
        ]
        found = on_arm64([bundle, made[0][0], *low]) if made[0][0] is not None else {}
        lines = list(low_rows(low, found, first.embedding))
    answers = [stored(bundle), *(answer for _, answer in made), *arm64_answers(found)]
    answers += outside(bundle)
    machine = environment()
    return {
        "schema_version": 1,
        "command": "python tools/one_truth.py",
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "crops": len(first.embedding),
        "most": MOST,
        "machine": {key: machine[key] for key in ("cpu", "machine", "os", "python")},
        "truth": {"engine": first.engine, "version": first.version},
        "rows": [row(answer, first.embedding) for answer in answers],
        "low": lines,
    }


def markdown() -> str:
    """Return the committed result as a table and a sentence."""
    data = json.loads(RESULT.read_text())
    lines = [
        "| engine | version | largest difference | lowest cosine | verdict |",
        "| --- " * 5 + "|",
    ]
    truth = data["truth"]
    lines.append(f"| {truth['engine']} | {truth['version']} | what all are compared with | | |")
    for line in data["rows"]:
        numbers = ["", ""]
        if "max_abs" in line:
            numbers = [f"{line['max_abs']:.1e}", f"{line['cosine_min']:.7f}"]
        words = [line["engine"], line["version"], *numbers]
        verdict = line["verdict"] + (f": {line['reason']}" if "reason" in line else "")
        lines.append("| " + " | ".join([*words, verdict]) + " |")
    about = data["bundle"]
    return "\n".join(lines) + (
        f"\n\n{data['crops']} crops through `{about['name']}` (SHA-256 `{about['sha256'][:12]}…`); "
        f"allowed difference {data['most']:g} of a unit vector; host {data['machine']['machine']}."
    )


def low_markdown() -> str:
    """Return what the committed result says about fp16 and int8."""
    head = ["ONNX", "processor", "largest difference to fp32", "cosine to fp32"]
    head += ["cosine to the same file on this machine", "verdict"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for line in json.loads(RESULT.read_text())["low"]:
        numbers = [f"{line[key]:.5f}" for key in ("cosine_min", "cosine_min_same_file")]
        words = [line["precision"], line["processor"], f"{line['max_abs']:.1e}", *numbers]
        lines.append("| " + " | ".join([*words, line["verdict"]]) + " |")
    return "\n".join(lines)


def main() -> int:
    """Write the result, print the table; return 4 where an engine differs."""
    from edgesdk.core.files import write_json

    data = collect()
    write_json(RESULT, data)
    print(f"{markdown()}\n\n{low_markdown()}")
    print(f"\nwrote {RESULT.relative_to(ROOT)}")
    return 4 if any(line["verdict"] == "fail" for line in [*data["rows"], *data["low"]]) else 0


if __name__ == "__main__":
    sys.exit(main())
