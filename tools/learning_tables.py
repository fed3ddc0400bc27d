"""Tables of docs/federated.md, docs/private.md and docs/explain.md, made from committed results."""

import json
from pathlib import Path
from typing import Any

from readme_tables import table

RESULTS = Path(__file__).parent.parent / "training" / "results"
NOT_MEASURED = "*Not measured yet.*"
FIGURES = {"global_accuracy": "global", "personal_accuracy": "personal", "generality": "generality"}


def read(name: str) -> Any:
    """Return a committed result."""
    return json.loads((RESULTS / name).read_text())


def federated_result(name: str) -> Any:
    """Return the result of a campaign, None where it has not run to its end."""
    path = RESULTS / f"federated-{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def between(found: dict[str, Any] | None, digits: int, factor: float = 1) -> str:
    """Return a mean with its 95 % interval, where there is one."""
    if found is None:
        return ""
    mean, *ends = (found.get(key) for key in ("mean", "low", "high"))
    told = f"{factor * mean:.{digits}f}"
    if None in ends:
        return told
    return f"{told} ({' to '.join(f'{factor * end:.{digits}f}' for end in ends)})"


def verdict(claim: dict[str, Any]) -> str:
    """Return what became of a claim: its interval proves it, the mean holds, or neither."""
    if claim["proven"]:
        return "**holds**, proven by its interval" if "bytes" not in claim else "**holds**, exactly"
    return "holds on the mean, not proven" if claim["holds"] else "**missed**"


def federated(name: str) -> str:
    """Return what each method of a campaign reached, in percent."""
    found = federated_result(name)
    if found is None:
        return NOT_MEASURED
    methods = found["methods"]
    figures = [f for f in FIGURES if any(f in row for row in methods.values())]
    taught = any(row["teacher_pictures"] for row in methods.values())
    few = {1: "\n\n*One seed so far, so no intervals.*", 2: "\n\n*Two seeds so far.*"}
    head = ["method", *(FIGURES[f] for f in figures), *["pictures a teacher saw"] * taught]
    return table(head, [
        [label, *(between(in_range(row.get(f)), 1, 100) for f in figures),
         *[f"{row['teacher_pictures']:,.0f}"] * taught]
        for label, row in methods.items()
    ]) + few.get(found["seeds"], "")  # fmt: skip


def federated_claims(name: str) -> str:
    """Return the claims of a campaign with their verdicts."""
    lines = []
    for claim in (federated_result(name) or {"claims": []})["claims"]:
        found = (
            "{sent_by_a_client:,.0f} of {of_its_backbone:,.0f} bytes".format(**claim["bytes"])
            if "bytes" in claim
            else f"{between(claim['points'], 1)} points"
        )
        words = claim["claim"].replace("_", " ")
        lines.append(f"- {claim['id']}, {words}: {found}: {verdict(claim)}.")
    return "\n".join(lines)


def private_result(name: str) -> dict[str, Any]:
    """Return what was measured on a set, without rows where nothing was."""
    path = RESULTS / f"private-{name}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return {"rows": {}, "claims": [], **found}


def private(name: str) -> str:
    """Return what each way to a private student reached."""
    found = private_result(name)["rows"]
    if not found:
        return NOT_MEASURED
    teacher = next(iter(found.values()))["teacher_accuracy"]
    rows = [["teacher, on the private pictures", "none", "0", between(teacher, 3), ""]]
    kinds = [how.split(" eps ")[0] for how in found]
    for *_, how in sorted(
        (kinds.index(how.split(" eps ")[0]), -(row["ledger"].get("epsilon") or 0), how)
        for how, row in found.items()
    ):
        row, epsilon = found[how], found[how]["ledger"].get("epsilon")
        rows.append([
            how, "none" if epsilon is None or how.startswith("none") else f"{epsilon:g}",
            between(row.get("label_error"), 3), between(in_range(row["holdout_accuracy"]), 3),
            str(row["seeds"]),
        ])  # fmt: skip
    return table(["how", "epsilon", "label error", "student", "seeds"], rows)


def in_range(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a share whose interval ends where shares do."""
    if found is None:
        return None
    ends = {name: found.get(name) for name in ("mean", "low", "high")}
    return {k: None if end is None else min(max(end, 0.0), 1.0) for k, end in ends.items()}


def private_claims(name: str) -> str:
    """Return the claims of private distillation with their verdicts."""
    return "\n".join(
        f"- {claim['claim']}: {between(claim, 3 if claim['least'] < 1 else 1)}, asked "
        f"{claim['least']:g}: {verdict(claim)}."
        for claim in private_result(name)["claims"]
    )


def attacks() -> str:
    """Return what attackers reach against each network."""
    head = ["attacked", "true positives at 1 % false", "AUC", "epsilon at least", "at most",
            "drawn against its class", "against others"]  # fmt: skip
    found = read("private-mnist.json")["attacks"]["membership"]
    if not found:
        return NOT_MEASURED
    return table(head, [
        [name, f"{100 * row['tpr']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})",
         f"{row['auc']:.3f}", f"{row['epsilon_at_least']:.2f}",
         f"{row['epsilon_at_most'] or 'not bounded'}",
         *(f"{row['reconstruction'][of]:.2f}" for of in ("correlation", "other"))]
        for name, row in found.items()
    ])  # fmt: skip


def audited() -> str:
    """Return the epsilon that is proven at most beside the one an attack proves at least."""
    rows = read("private-mnist.json")["attacks"]["mechanism"]
    return table(["proven at most", "attack proves at least", "guesses"], [
        [f"{r['epsilon_at_most']:g}", f"{r['epsilon_at_least']:.3f}", f"{r['guesses']:,}"]
        for r in rows
    ])  # fmt: skip


def explained() -> str:
    """Return what each way to explain reaches, on each set."""
    rows = []
    for kind, found in read("explain.json")["sets"].items():
        for name, row in found["methods"].items():
            figures = [between(row.get(f), 3) for f in ("fidelity", "above_commonest")]
            shifted = f"{row['shifted_share']['mean']:.2f}" if "shifted_share" in row else ""
            figures += [shifted, *(between(row[f], 3) for f in ("deletion", "insertion"))]
            seconds = f"{row['cpu_s']['mean']:.2f}" if "cpu_s" in row else ""
            rows.append([f"{kind}: {name}", *figures, seconds])
    head = ["", "fidelity, own neighbours", "above the commoner answer", "of them shifted",
            "deletion", "insertion", "CPU s"]  # fmt: skip
    return table(head, rows)


def explained_claims() -> str:
    """Return the claims of explanations with their verdicts."""
    return "\n".join(
        f"- {kind}, {claim['claim']}: {between(claim['left'], 3)} left above it: {verdict(claim)}."
        for kind, found in read("explain.json")["sets"].items()
        for claim in found["claims"]
    )
