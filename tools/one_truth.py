"""One bundle, its golden crops, every engine of the project: do all give the same embedding?

    python tools/one_truth.py       # writes benchmarks/results/one-truth.json; then: make docs

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
    "chromium": ("onnxruntime-web, WebAssembly in Chromium", "make test-all"),
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


def on_arm64(bundles: Sequence[Any]) -> Iterator[Answer]:
    """Embed with the aarch64 wheels under qemu, on each CPU model."""
    import arm64

    for cpu in arm64.CPUS:
        engines = [f"{name}, ARM64 {cpu} under qemu" for name in ("ONNX Runtime", "LiteRT")]
        why = arm64.missing()
        if why is not None:
            yield from (Answer(engine, absent=why) for engine in engines)
            continue
        found, versions = arm64.answers([b.path for b in bundles], cpu)
        versions = [versions[name] for name in ("ort", "litert")]
        yield from map(Answer, engines, versions, found)


def outside(bundle: Any) -> Iterator[Answer]:
    """Read the answers of the engines that Python does not drive."""
    for name, (engine, how) in OUTSIDE.items():
        path = ANSWERS / f"{name}.json"
        data = json.loads(path.read_text()) if path.exists() else None
        if data is None:
            yield Answer(engine, absent=f"no answer in build/one_truth; make it with: {how}")
        elif data.get("bundle_sha256", bundle.sha256) != bundle.sha256:
            yield Answer(engine, absent=f"its answer is to another bundle; make it with: {how}")
        else:
            yield Answer(engine, data["version"], np.array(data["embedding"], np.float32))


def row(answer: Answer, truth: Any) -> dict[str, Any]:
    """Return one line of the result."""
    from edgesdk.core.compare import cosine

    line: dict[str, Any] = {"engine": answer.engine, "version": answer.version}
    if answer.embedding is None:
        return line | {"verdict": "not run", "reason": answer.absent}
    if answer.embedding.shape != truth.shape:
        reason = f"shape {answer.embedding.shape}, {truth.shape} wanted"
        return line | {"verdict": "fail", "reason": reason}
    difference = float(np.abs(answer.embedding - truth).max())
    return line | {
        "max_abs": difference,
        "cosine_min": float(cosine(np.float64(answer.embedding), np.float64(truth)).min()),
        "verdict": "pass" if difference <= MOST else "fail",
    }


def collect() -> dict[str, Any]:
    """Ask every engine and return the result."""
    from edgesdk.core.bundle import read_bundle
    from edgesdk.core.env import environment
    from edgesdk.core.shipped import shipped_bundle

    bundle = read_bundle(shipped_bundle(MODEL))
    first = embed(bundle, "ort", "ONNX Runtime, Python")
    with TemporaryDirectory() as folder:
        made = list(exported(Path(folder)))
        answers = [stored(bundle), *(answer for _, answer in made)]
        if made[0][0] is not None:
            answers += on_arm64([bundle, made[0][0]])
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


def main() -> int:
    """Write the result, print the table; return 4 where an engine differs."""
    from edgesdk.core.files import write_json

    data = collect()
    write_json(RESULT, data)
    print(markdown())
    print(f"\nwrote {RESULT.relative_to(ROOT)}; next: make docs")
    return 4 if any(line["verdict"] == "fail" for line in data["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
