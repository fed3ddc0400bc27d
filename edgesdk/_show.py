"""Results as text for a terminal; every function takes what the verb returned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as aligned columns; numbers stand right."""
    cells = [[str(h) for h in head], *[["" if c is None else str(c) for c in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if flag else cell.ljust(width)
            for cell, width, flag in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _is_number(cell: Any) -> bool:
    text = str(cell or "0").rstrip("%").replace(",", "").split(" ")[0]
    return text.replace(".", "", 1).replace("-", "", 1).isdigit()


def exit_code(result: Any) -> int:
    """Return the exit code that a finished verb's result asks for."""
    if getattr(result, "failed", False):  # the artefact's own verdict, or that of its proxy
        return 4
    if isinstance(result, Mapping) and result.get("status") == "conflict":
        return 3
    if isinstance(result, Mapping) and any(_is_error(row) for row in result.get("findings", ())):
        return 4
    if isinstance(result, list):
        codes = (r["exit_code"] for r in result if isinstance(r, dict) and r.get("exit_code"))
        return next(codes, 0)
    return 0


def models(data: Mapping[str, Any]) -> str:
    """Show `edgesdk models`."""
    rows = [_model_row(m) for m in data["models"]]
    head = ["model", "input", "parameters", "MMACs", "MB", "LFW % at input size", "weights"]
    parts = ["Shipped models", table(head, rows)] if rows else ["No model is shipped."]
    students = [[s["name"], s["task"], _pairs(s["config"])] for s in data["students"]]
    recipes = [
        [r["name"], ", ".join(r["students"]), ", ".join(r["needs"]), "yes" if not r["missing"] else
         f"needs {', '.join(r['missing'])}"]
        for r in data["recipes"]
    ]  # fmt: skip
    runtimes = [
        [r["name"], ", ".join(r["formats"]), r["kind"], "yes" if r["available"] else r["why_not"]]
        for r in data["runtimes"]
    ]
    parts += ["\nStudents", table(["student", "task", "config"], students)]
    parts += ["\nRecipes", table(["recipe", "students", "data roles", "ready"], recipes)]
    parts += ["\nRuntimes", table(["runtime", "opens", "kind", "ready"], runtimes)]
    return "\n".join(parts)


def _model_row(model: Mapping[str, Any]) -> list[Any]:
    accuracy = model["metrics"].get("lfw_accuracy")
    height, width = model["input"]
    return [
        model["name"],
        f"{height}x{width}",
        f"{model['parameters']:,}",
        f"{model['macs'] / 1e6:.2f}",
        f"{model['bytes'] / 1e6:.2f}",
        "not measured" if accuracy is None else f"{100 * accuracy:.2f}",
        model["licence"]["weights"].split(";")[0],
    ]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in values.items())


def targets(rows: Sequence[Mapping[str, Any]]) -> str:
    """Show `edgesdk targets`."""
    head = ["target", "also", "precisions", "starts from", "runtimes", "here"]
    body = [
        [r["target"], ", ".join(r["aliases"]), ", ".join(r["precisions"]), ", ".join(r["accepts"]),
         ", ".join(r["runtimes"]), r["why_not"] or "ready"]
        for r in rows
    ]  # fmt: skip
    return table(head, body)


def trained(result: Any) -> str:
    """Show a finished run."""
    lines = [f"run       {result.folder}"]
    lines += [f"{name:<9} {path}" for name, path in result.checkpoints.items()]
    lines += [f"{name:<9} {path}" for name, path in result.artefacts.items()]
    lines += [f"{name:<24} {value:.4f}" for name, value in result.metrics.items()]
    if result.checkpoints:
        first = next(iter(result.checkpoints.values()))
        lines.append(f"next: edgesdk export {first} --target onnx")
    return "\n".join(lines)


def exported(bundle: Any) -> str:
    """Show a finished bundle."""
    lines = [
        f"bundle   {bundle.path}",
        f"file     {bundle.entry}, {bundle.bytes:,} bytes, {bundle.precision}",
        f"proof    {bundle.verify['verdict']} (level {bundle.verify['level']})",
        *[f"decision {sentence}" for sentence in bundle.decisions],
        f"next: {_after(bundle)}",
    ]
    return "\n".join(lines)


def _after(bundle: Any) -> str:
    """Return what to type next: a speed is measured where the artefact itself runs."""
    if bundle.verify["level"] == "proxy":
        return f"on the device it is for: edgesdk bench {bundle.path}"
    return f"edgesdk bench {bundle.path}"


def exported_several(rows: Sequence[Mapping[str, Any]]) -> str:
    """Show one line per target."""
    body = []
    for row in rows:
        bundle = row.get("bundle")
        what = row["error"] if bundle is None else bundle["path"]
        verdict = f"exit {row['exit_code']}" if bundle is None else bundle["verify"]["verdict"]
        body.append([row["target"], verdict, what])
    return table(["target", "proof", "bundle"], body)


def verified(result: Any) -> str:
    """Show a verdict with its numbers."""
    lines = [f"verdict {result.verdict} (level {result.level}, by {_pairs(result.by)})"]
    head = ["output", "max abs", "cosine p1", "cosine p50", "SNR dB"]
    keys = ("max_abs", "cosine_p1", "cosine_p50", "snr_db")
    body = [[name, *[_short(v.get(k)) for k in keys]] for name, v in result.outputs.items()]
    if body:
        lines.append(table(head, body))
    if result.task:
        lines.append("task    " + ", ".join(f"{k} {_short(v)}" for k, v in result.task.items()))
    return "\n".join([*lines, *[f"reason  {r}" for r in result.reasons]])


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)


def ran(data: Mapping[str, Any]) -> str:
    """Show similarities and decisions, or what was served."""
    if "served" in data:
        return f"served {data['bundle']} at {data['served']}; no picture came here"
    rows = [
        [Path(c["a"]).name, Path(c["b"]).name, f"{c['similarity']:.4f}", c["decision"]]
        for c in data["comparisons"]
    ]
    if not rows:
        face = data["faces"][0]
        values = ", ".join(f"{v:.4f}" for v in face["embedding"][:6])
        return f"{face['picture']}: embedding of {len(face['embedding'])}: [{values}, ...]"
    rule = data.get("rule")
    return table(["picture", "compared with", "similarity", "decision"], rows) + (
        f"\n{rule}" if rule else ""
    )


def benched(results: Sequence[Any]) -> str:
    """Show one line per result."""
    from edgesdk_benchmarks.report import result_table

    return result_table(results)


def reported(path: Path) -> str:
    """Show where the report is."""
    return (
        f"report   {path}\nmarkdown {path.with_suffix('.md')}\njson     {path.with_suffix('.json')}"
    )


def inspected(data: Mapping[str, Any]) -> str:
    """Show any description as indented JSON, findings as a table; raw samples are for --json."""
    facts = {k: v for k, v in data.items() if k != "findings"}
    brief = {k: f"{len(v)} entries" if _is_long(v) else v for k, v in facts.items()}
    text = json.dumps(brief, indent=1, ensure_ascii=False, default=str)
    if not data.get("findings"):
        return text
    keys = ("level", "rule", "where", "found", "advice")
    return f"{text}\n{table(keys, [[row[k] for k in keys] for row in data['findings']])}"


def _is_error(row: Mapping[str, Any]) -> bool:
    return bool(row["level"] == "error")


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 40


def diagnosed(data: Mapping[str, Any]) -> str:
    """Show `edgesdk doctor`."""
    keys = ("kind", "name", "status", "found", "command")
    return table(keys, [[row[k] for k in keys] for row in data["rows"]])
