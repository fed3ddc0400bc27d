"""Tables of masked faces in training/README.md, made from committed results by `make docs`."""

from typing import Any

from learning_tables import read, verdict
from readme_tables import table


def models() -> str:
    """Return what models are worth on masked faces: pasted masks, and real ones."""
    lfw, mfr2 = (f"{name}.tar " for name in ("lfw_folds1to5_aligned112", "mfr2_dev"))
    kinds = ["", *(lfw + k for k in ("both bare", "one masked", "both masked")), mfr2 + "all"]
    names = ["parameters", "LFW both bare", "one masked", "both masked", "MFR2"]
    rows = [[*name, *(line.get(k, "-") for k in kinds)] for name, line in _lines().items()]
    return table(["model", "run", "weights", *names], rows)


def runs() -> str:
    """Return what kept runs ended with on the people they held out."""
    rows = []
    for name, run in read("masked-runs.json").items():
        found = run["metrics"]
        right = [f"{100 * found[f'holdout_{k}']:.1f}" for k in ("bare", "mixed", "masked")]
        drawn = f"{found['l1_hidden'] / found['l1_mean_fill']:.2f}"
        steps = run["last_log"].get("step", 0)
        rows.append([name, steps, " / ".join(right), drawn, f"{found['iou']:.2f}"])
    told = "held out: both bare / one masked / both masked"
    return table(["run", "steps", told, "drawn, of the mean colour's error", "IoU"], rows)


def strata() -> str:
    """Return what models are worth by kind of mask and by size, one of both faces masked."""
    lines = {name[:2]: line for name, line in _lines().items()}
    kinds = [
        k for k in dict.fromkeys(k for line in lines.values() for k in line) if "masked, " in k
    ]
    lines = {name: line for name, line in lines.items() if kinds[0] in line}
    head = ["one masked", *(f"{model} {run}".strip() for model, run in lines)]
    return table(head, [
        [kind.rpartition("masked, ")[2], *(line.get(kind, "-") for line in lines.values())]
        for kind in kinds
    ])  # fmt: skip


def _lines() -> dict[tuple[str, str, str], dict[str, str]]:
    """Return accuracy and AUC of each model by data and faces, by name, run and weights."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for r in read("masked-faces.json")["rows"]:
        behind = f"{r['model']} behind {r['completed_by']}" if r["completed_by"] else r["model"]
        line = found.setdefault((behind, r.get("run", ""), r["sha256"][:8]), {})
        line[""] = f"{r['parameters']:,}"
        line[f"{r['data']} {r['faces']}"] = f"{100 * r['accuracy']:.1f} / {r['auc']:.4f}"
    return found


def students() -> str:
    """Return what teacher and students reach behind masks, accuracy in percent over seeds."""
    found: dict[str, dict[str, str]] = {}
    for row in read("masked-claims.json")["rows"]:
        told = " ".join(f"{100 * accuracy:.1f}" for accuracy in row["accuracy"])
        found.setdefault(row["contender"], {})[row["faces"]] = told
    ways = list(dict.fromkeys(way for line in found.values() for way in line))
    return table(["32 px", *ways], [[n, *map(line.get, ways)] for n, line in found.items()])


def claims() -> str:
    """Return the claims of completing and distilling with their verdicts."""
    filled, *rest = read("masked-claims.json")["claims"]
    held = "**holds**" if filled["holds"] else "**missed**"
    lines = [
        f"- {filled['claim']}: {filled['part']:.2f} of it, at most {filled['wanted']:g}: {held}."
    ]
    for claim in rest:
        low, high = claim["interval"]
        told = f"{claim['points']:+.1f} ({low:+.1f} to {high:+.1f}) points"
        lines.append(f"- {claim['claim']}, {claim['way']}: {told}{_judged(claim)}.")
    return "\n".join(lines)


def _judged(claim: dict[str, Any]) -> str:
    if claim["wanted"] is None:
        return ""
    proven = claim["interval"][0] >= claim["wanted"]
    return f", asked {claim['wanted']:+g}: {verdict({**claim, 'proven': proven})}"
