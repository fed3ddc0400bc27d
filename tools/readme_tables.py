"""Tables of the README, made from shipped manifests and committed results by `make docs`."""

import json
import math
from pathlib import Path

import edgesdk
from edgesdk.core.result import BenchResult, read_result
from edgesdk.core.task import plural, task_of
from edgesdk_benchmarks import _plot

ROOT = Path(__file__).parent.parent
ACCURACY = ROOT / "benchmarks" / "results" / "accuracy" / "lfw-folds1to5.json"
GPU = ROOT / "benchmarks" / "results" / "gpu"
RUNTIMES = ROOT / "benchmarks" / "results" / "runtimes"
AGREEMENT = ROOT / "training" / "results" / "agreement.json"


def table(head: list[str], rows: list[list[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def accuracy_rows() -> list[dict]:
    """Return the rows of the committed accuracy result."""
    return json.loads(ACCURACY.read_text())["rows"]


def own_size_rows() -> list[dict]:
    """Return every model at its own input size, and what enlarges at the sizes of the others."""
    return sorted(
        _plot.own_size_rows(accuracy_rows()),
        key=lambda r: (r["macs"] or math.inf, r["face_px"], r["model"], r["precision"]),
    )


def accuracy() -> str:
    """Return accuracy and cost per model; the result file holds more face sizes."""
    head = ["model", "face px", "LFW accuracy %", "AUC", "TAR@FAR 1e-2 (95 % interval)", "MMACs",
            "ms per face"]  # fmt: skip
    return table(head, [_accuracy_row(row) for row in own_size_rows()])


def _accuracy_row(row: dict) -> list[object]:
    tar = row["tar"]["far_1e-2"]
    return [
        f"{row['model']} {row['precision']}",
        row["face_px"],
        f"{100 * row['accuracy']:.2f} ± {100 * row['accuracy_std']:.2f}",
        f"{row['auc']:.4f}",
        f"{tar['value']:.3f} ({tar['low']:.3f} to {tar['high']:.3f})",
        f"{row['macs'] / 1e6:.2f}" if row["macs"] else "-",
        f"{row['ms_per_face']:.3g}",
    ]


def artefacts() -> str:
    """Return accuracy and threshold of every exported artefact, beside its checkpoint's."""
    rows = json.loads(ACCURACY.read_text()).get("artefacts", [])
    head = ["model", "target", "precision", "LFW accuracy %", "points lost (95 % interval)",
            "threshold at FAR 1e-2 (95 % interval)"]  # fmt: skip
    return table(head, [_artefact_row(row) for row in rows if "reason" not in row])


def _artefact_row(row: dict) -> list[object]:
    low, high = row["drop"]["interval"]
    fitted = row["thresholds"].get("far_1e-2")
    return [
        row["model"],
        "torch" if row["target"] == "checkpoint" else f"{row['target']}{PROXIES[row['kind']]}",
        row["precision"],
        f"{100 * row['accuracy']:.2f} ± {100 * row['accuracy_std']:.2f}",
        f"{row['drop']['points']:.2f} ({low:.2f} to {high:.2f})",
        f"{fitted['value']:.3f} ({fitted['low']:.3f} to {fitted['high']:.3f})" if fitted else "-",
    ]


# What stands behind a target where its own runtime did not run.
PROXIES = {"native": "", "interpreter": " (interpreted)"}


def tasks() -> str:
    """Return the tasks, with what `edgesdk run` does for each."""
    rows = [
        [
            f"`{t['name']}`",
            t["does"],
            " ".join(f"`--{o.replace('_', '-')}`" for o in t["options"]),
            f"{plural(t['item'])}/s",
        ]
        for t in edgesdk.models()["tasks"]
    ]
    return table(["task", "`edgesdk run MODEL FILES`", "own options", "throughput in"], rows)


def models() -> str:
    """Return the shipped models."""
    rows = [
        [
            f"`{m['name']}`",
            m["task"],
            f"{m['input'][0]} px",
            f"{m['parameters']:,}",
            f"{m['macs'] / 1e6:,.1f} M",
            f"{m['bytes'] / 1e6:.2f} MB",
            _measured(m),
            m["licence"]["weights"].split(";")[0],
        ]
        for m in edgesdk.models()["models"]
    ]
    head = ["model", "task", "input", "parameters", "MACs", "weights", "measured", "licence"]
    return table(head, rows)


def _measured(model: dict) -> str:
    found = task_of(model["task"]).headline(model["metrics"])
    return f"{found.label} {found.text}" if found else "-"


# What proves each target, by precision; a row here is backed by tests/contract and tests/export.
PROOF = {
    "onnx": "run in ONNX Runtime",
    "tflite": "run in LiteRT",
    "coreml": "program interpreted off the Mac (proxy); Apple's runtime not run",
    "openvino": "run in OpenVINO",
    "executorch": "run in ExecuTorch (XNNPACK)",
    "tensorrt": "engine built ahead of time, not run; its ONNX run in ONNX Runtime (proxy)",
    "reference": "run by numpy",
}


# What each form of a network can be had from.
STARTS = {
    "onnx": "any network, ONNX files of others too",
    "torch": "checkpoints, `.pt2`, functions; ONNX files of others with `edgesdk[onnx-torch]`",
}


def targets() -> str:
    """Return the support matrix."""
    rows = [
        [
            f"`{t['target']}`",
            ", ".join(f"`{a}`" for a in t["aliases"]),
            ", ".join(t["precisions"]),
            ", ".join(STARTS[form] for form in t["accepts"]),
            f"`edgesdk[{t['extra']}]`" if t["extra"] else "base",
            PROOF[t["target"]],
        ]
        for t in edgesdk.targets()
    ]
    head = ["target", "also", "precisions", "starts from", "installed by", "proof at build time"]
    return table(head, rows)


def gpu(folder: Path = GPU) -> str:
    """Return the times on a GPU and on the processor beside it, from the results in `folder`."""
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    if not results:
        return "Not measured so far: no result of a GPU is committed."
    sizes = sorted({m.batch for r in results for m in r.stage("infer")} - {1})
    by_row: dict[tuple[str, ...], list[BenchResult]] = {}
    for result in results:
        by_row.setdefault(_gpu_row(result), []).append(result)
    head = ["model", "precision", "on", "ms, one face", *(f"faces/s by {n}" for n in sizes)]
    rows = [
        [*key, _cell(found, 1, "latency", "p50", ".3f")]
        + [_cell(found, n, "offline throughput", "items_s", ",.0f") for n in sizes]
        for key, found in sorted(by_row.items())
    ]
    versions = sorted({r.runtime["version"] for r in results})
    samples = "[raw samples](../benchmarks/results/gpu)"
    told = f"{', '.join(versions)}; `~` marks a NOISY result; {samples}."
    return f"{told}\n\n{table(head, rows)}"


def runtimes() -> str:
    """Return the time of one face per runtime and precision, from the committed results."""
    results = [read_result(path) for path in sorted(RUNTIMES.glob("*.json"))]
    rows = [
        (r.artefact["model"], r.artefact["precision"], r.runtime["name"],
         _cell([r], 1, "latency", "p50", ".3f"), r.environment["cpu"])
        for r in results
    ]  # fmt: skip
    return table(["model", "precision", "runtime", "ms, one face", "on"], sorted(rows))


def agreement() -> str:
    """Return how far students agree with the teacher, by kind of faces."""
    told = json.loads(AGREEMENT.read_text())
    rows = [[r["run"], *(f"{v:.3f}" for v in r["agreement"].values())] for r in told["rows"]]
    return table(["run", *(f"{k} ({n})" for k, n in told["faces"].items())], rows)


def _gpu_row(result: BenchResult) -> tuple[str, ...]:
    where = str(result.environment["cpu" if result.device["name"] == "cpu" else "gpu"]).split(",")[
        0
    ]
    if result.device["name"] == "cpu":
        where += f", threads: {result.runtime['threads']}"
    return result.artefact["model"], result.artefact["precision"], where


def _cell(results: list[BenchResult], batch: int, scenarios: str, key: str, how: str) -> str:
    """Return one figure, with "~" where its result is NOISY, "-" where there is none to show."""
    for result in results:
        for m in result.stage("infer"):
            if m.batch == batch and result.plan.scenario in scenarios and result.ranked:
                mark = "~" if result.validity.verdict == "NOISY" else ""
                return f"{mark}{m.statistics[key]:{how}}"
    return "-"
