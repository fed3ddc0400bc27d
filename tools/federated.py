"""What the federated methods are worth against their rivals, over several seeds, as one file.

    python tools/digits.py -o digits25.npz --noise 0.25
    python tools/federated.py digits-shards --data digits25.npz \
        -o training/results/federated-digits-shards.json

Every run is one of `edgesdk train`, with the settings below and nothing else; a finished run is
not done again, an interrupted one goes on. Methods are compared seed by seed: one seed is one
division of the pictures, one first network and one choice of clients, for all of them.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, sha256_file, write_json
from edgesdk.core.protocols import RunResult
from tools.command import told

# Student's t, two-sided 95 %, by the number of seeds.
T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
FIGURES = ("global_accuracy", "personal_accuracy", "generality")

GLOBAL = {
    "fedavg": ("fedlmd", {"method": "fedavg"}),
    "fedprox": ("fedlmd", {"method": "fedprox"}),
    "fedntd": ("fedlmd", {"method": "fedntd"}),
    "fedlmd": ("fedlmd", {}),
    "fedlmd, no teacher": ("fedlmd", {"teacher_free": True}),
}
CIFAR_GLOBAL = {**GLOBAL, "fedlmd, beta 2": ("fedlmd", {"distil": 2.0})}
PERSONAL = {
    "local only": ("fedckd", {"method": "local"}),
    "fedavg": ("fedckd", {"method": "fedavg"}),
    "fedper": ("fedbsd", {"method": "fedper"}),
    "pfedsd": ("fedckd", {"method": "pfedsd"}),
    "global teacher only": ("fedckd", {"own": 0.0}),
    "fedckd": ("fedckd", {}),
    "pfedsd, lambda 1": ("fedckd", {"method": "pfedsd", "distil": 1.0}),
    "global teacher only, lambda 1": ("fedckd", {"own": 0.0, "distil": 1.0}),
    "fedckd, lambda 1": ("fedckd", {"distil": 1.0}),
    "fedbsd": ("fedbsd", {}),
    "fedbsd, lambda 10, T 1": ("fedbsd", {"distil": 10.0, "temperature": 1.0}),
    "fedbsd, uniform mean": ("fedbsd", {"mean": "uniform"}),
}
# The literal mean, which is no better where it was measured, is left out: time.
CIFAR_PERSONAL = {name: told for name, told in PERSONAL.items() if "uniform" not in name}
DIGITS = {"width": 16, "hidden": 64, "judged": 0}
DIGITS_PERSONAL = {
    **DIGITS, "participation": 1.0, "rounds": 25, "batch": 12, "holdout": 0.65, "lr_decay": 1.0,
}  # fmt: skip
# Clients are groups of people; heads are private, for nobody else has these people.
FACES = {
    "local only": ("fedbsd", {"method": "local"}),
    "fedper": ("fedbsd", {"method": "fedper"}),
    "fedbsd": ("fedbsd", {}),
}
FACES_COMMON = {
    "size": 16, "judged": 0, "skew": "people", "participation": 0.6, "rounds": 12,
    "local_epochs": 2, "batch": 32,
}  # fmt: skip
CIFAR = {"size": 16, "width": 16, "hidden": 64, "pictures": 5000, "judged": 1000}
CAMPAIGNS: dict[str, tuple[Mapping[str, tuple[str, Mapping[str, Any]]], Mapping[str, Any]]] = {
    "digits-shards": (GLOBAL, {**DIGITS, "skew": "shards:2"}),
    "digits-dirichlet": (PERSONAL, {**DIGITS_PERSONAL, "skew": "dirichlet:0.3"}),
    "cifar10-shards": (CIFAR_GLOBAL, {**CIFAR, "skew": "shards:2"}),
    "cifar10-shards-long": (CIFAR_GLOBAL, {**CIFAR, "skew": "shards:2", "rounds": 80}),
    # As far as FedVLS's clients walk in a round: docs/federated.md says why.
    "cifar10-shards-all": (
        GLOBAL,
        {**CIFAR, "skew": "shards:2", "pictures": 20_000, "participation": 1.0, "rounds": 20},
    ),
    "cifar10-dirichlet": (
        CIFAR_PERSONAL,
        {**CIFAR, "skew": "dirichlet:0.1", "participation": 0.6, "rounds": 20},
    ),
    "faces-people": (FACES, FACES_COMMON),
}
STUDENTS = {"faces-people": "bridge-face"}
# Id, figure, the method, its rival, points that it shall be better at least.
CLAIMS = (
    ("6a", "personal_accuracy", "fedckd", "pfedsd", 0.5),
    ("6b", "generality", "fedckd", "pfedsd", 5.0),
    ("6a, lambda 1", "personal_accuracy", "fedckd, lambda 1", "pfedsd, lambda 1", 0.5),
    ("6b, lambda 1", "generality", "fedckd, lambda 1", "pfedsd, lambda 1", 5.0),
    ("7a", "personal_accuracy", "fedbsd", "fedper", 0.8),
    ("7a, lambda 10, T 1", "personal_accuracy", "fedbsd, lambda 10, T 1", "fedper", 0.8),
    ("8a", "global_accuracy", "fedlmd", "fedavg", 8.0),
    ("8a, beta 2", "global_accuracy", "fedlmd, beta 2", "fedavg", 8.0),
    ("8b", "global_accuracy", "fedlmd, no teacher", "fedlmd", -3.0),
)


def interval(values: list[float]) -> dict[str, Any]:
    """Return mean and 95 % interval, by Student's t over the seeds."""
    mean = fmean(values)
    if len(values) not in T:
        return {"mean": mean, "low": None, "high": None}
    half = T[len(values)] * stdev(values) / len(values) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half}


def row(runs: Mapping[int, RunResult]) -> dict[str, Any]:
    """Return one method's figures over its seeds."""
    found: dict[str, Any] = {}
    for name in FIGURES:
        values = {str(seed): run.metrics[name] for seed, run in runs.items() if name in run.metrics}
        if values:
            found[name] = {**interval(list(values.values())), "by_seed": values}
    first = next(iter(runs.values()))
    for name in ("bytes_up", "bytes_down", "teacher_pictures"):
        found[f"{name}_first_round"] = first.curves[name][0]
    found["teacher_pictures"] = sum(n or 0 for n in first.curves["teacher_pictures"])
    return found


def claim(rows: Mapping[str, Any], told: tuple[str, str, str, str, float]) -> dict[str, Any] | None:
    """Return a claim's verdict: "holds" judges the mean, "proven" the interval's lower end."""
    key, figure, mine, rival, least = told
    if figure not in rows.get(mine, {}) or figure not in rows.get(rival, {}):
        return None
    ours, theirs = (rows[name][figure]["by_seed"] for name in (mine, rival))
    points = [100 * (ours[seed] - theirs[seed]) for seed in ours if seed in theirs]
    found = interval(points)
    return {
        "id": key, "claim": f"{mine}: {figure} at least {least:+g} points against {rival}",
        "points": found, "holds": found["mean"] >= least,
        "proven": found["low"] is not None and found["low"] >= least,
    }  # fmt: skip


def silence(rows: Mapping[str, Any], found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return claim 8b with its second half: without a teacher, none looked at a picture."""
    if found is None or found["id"] != "8b":
        return found
    asked = rows["fedlmd, no teacher"]["teacher_pictures"]
    told = {"teacher_pictures": asked, "claim": f"{found['claim']}, and no picture to a teacher"}
    return {**found, **told, **{k: found[k] and asked == 0 for k in ("holds", "proven")}}


def bytes_claim(runs: Mapping[str, Mapping[int, RunResult]]) -> dict[str, Any] | None:
    """Return claim 7b: what fedbsd's clients send is their backbone, to the byte."""
    if "fedbsd" not in runs:
        return None
    run = next(iter(runs["fedbsd"].values()))
    senders = run.curves["clients"][0] or 0
    sent = {"sent_by_a_client": (run.curves["bytes_up"][0] or 0) / senders}
    sent["of_its_backbone"] = backbone_bytes(run.checkpoints["client-0"])
    holds = sent["sent_by_a_client"] == sent["of_its_backbone"]
    return {
        "id": "7b", "claim": "fedbsd: a client sends its backbone and nothing else", "bytes": sent,
        "holds": holds, "proven": holds,
    }  # fmt: skip


def backbone_bytes(folder: Path) -> int:
    """Return the bytes of a personal network's numbers as it learns, its head left out."""
    checkpoint = read_checkpoint(folder)
    student = plugins.load(plugins.STUDENTS, checkpoint.student)
    network = student.build(student.config(**checkpoint.student_config))
    return sum(
        4 * tensor.numel() for name, tensor in network.state_dict().items()
        if tensor.is_floating_point() and not name.startswith("head.")
    )  # fmt: skip


def command(asked: argparse.Namespace) -> str:
    """Return what wrote the file."""
    only = "".join(f' --only "{name}"' for name in asked.only)
    first = f" --first {asked.first}" if asked.first else ""
    beside = f" --beside {asked.beside}" if asked.beside else ""
    told = f"--data {asked.data.name}{only}{first} --seeds {asked.seeds}{beside}"
    return f"python tools/federated.py {asked.campaign} {told}"


def standing(path: Path | None, common: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    """Return the methods of a stored result, none where no path is given.

    Raises:
        UsageError: it was measured on other data, or otherwise.
    """
    if path is None:
        return {}
    found = read_json(path, "result")
    if found["settings"] != common or found["data"]["sha256"] != sha256:
        raise UsageError(f"{path} is of other data or settings, and nothing to stand beside")
    methods: dict[str, Any] = found["methods"]
    return methods


def chosen(methods: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the methods of these names, of none all.

    Raises:
        UsageError: there is no such method.
    """
    if unknown := set(names) - set(methods):
        raise UsageError(f"there is no method {min(unknown)!r}. Valid: {', '.join(methods)}")
    return {name: told for name, told in methods.items() if name in names or not names}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("campaign", choices=CAMPAIGNS)
    options.add_argument("--data", required=True, type=Path)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--only", action="append", default=[], help="a method; default: all")
    options.add_argument("--beside", type=Path, help="a result, whose methods are rivals here too")
    options.add_argument("--runs", type=Path, default=Path("runs/federated"))
    options.add_argument("-o", "--output", required=True, type=Path)
    return options


def main() -> None:
    asked = parser().parse_args()
    every, common = CAMPAIGNS[asked.campaign]
    methods = chosen(every, asked.only)
    sha256 = sha256_file(asked.data)
    rivals = standing(asked.beside, common, sha256)
    runs: dict[str, dict[int, RunResult]] = {}
    for seed in range(asked.first, asked.first + asked.seeds):
        for name, (recipe, settings) in methods.items():
            run = edgesdk.train(
                recipe, data=[f"clients={asked.data}"], settings={**common, **settings},
                seed=seed, output_dir=asked.runs, student=STUDENTS.get(asked.campaign),
            )  # fmt: skip
            runs.setdefault(name, {})[seed] = run
            print(asked.campaign, seed, name, {k: round(v, 4) for k, v in run.metrics.items()})
            rows = {**rivals, **{label: row(found) for label, found in runs.items()}}
            judged = [silence(rows, claim(rows, told)) for told in CLAIMS]
            claims = [found for found in (*judged, bytes_claim(runs)) if found]
            write_json(asked.output, {
                "command": command(asked),
                "data": {"name": asked.data.name, "sha256": sha256},
                "seeds": seed + 1 - asked.first, "settings": common,
                "methods": {
                    label: {"recipe": every[label][0], "settings": every[label][1], **found}
                    for label, found in rows.items()
                },
                "claims": claims,
            })  # fmt: skip


if __name__ == "__main__":
    told(main)
