"""Attacks on teacher, student and DP-SGD student: membership, reconstruction, audited epsilon.

Half of a pool of pictures is learnt from, the other half not; shadow pipelines (teacher,
generator, released labels, student) learn from halves of their own. Few shadows and a small
pool: a bound from below of what an attacker can do, no proof that nobody can do more.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.files import read_json, write_json
from edgesdk.core.tensors import Array
from edgesdk_training._train import train
from edgesdk_training.class_sets import read_class_set
from edgesdk_training.classes import predict
from edgesdk_training.privacy import audit, response
from edgesdk_training.privacy.chance import chance

POOL, DRAWS, SEED = 2000, 40_000, 2026
LABELS = (0, 1)


def attacks(data: Path, given: dict[str, str], shadows: int, folder: Path) -> dict[str, Any]:
    """Return the table of attacks; runs that are finished are taken as they are."""
    if not shadows:
        return {"membership": {}, "mechanism": _audited()}
    pool, labels = _pool(data, int(given.get("size", 28)))
    random = np.random.default_rng(SEED)
    inside = np.stack(
        [random.permutation(len(labels)) < len(labels) // 2 for _ in range(shadows + 1)]
    )
    found: dict[str, Any] = {}
    for name, settings in _victims(given).items():
        rows, attacked = [], {}
        for number, half in enumerate(inside):
            run, models = _victim(settings, name, pool, labels, half, folder / f"{name}-{number}")
            rows.append(
                {who: audit.confidence(predict(m, pool), labels) for who, m in models.items()}
            )
            attacked = attacked or {"run": run, "models": models}
        proven = {} if name != "dp-sgd" else {k: settings[k] for k in ("epsilon", "delta")}
        mine = {}
        for who, model in attacked["models"].items():
            scores = np.stack([r[who] for r in rows])
            told = audit.rates(audit.lira(scores[0], scores[1:], inside[1:]), inside[0])
            told |= _bounds(told, proven) | {"shadows": shadows}
            told |= {"reconstruction": _inverted(model, pool[inside[0]], labels[inside[0]])}
            mine[f"{name}: {who}"] = told
        tell(attacked["run"], mine)
        found |= mine
    return {"pool": len(labels), "membership": found, "mechanism": _audited()}


def tell(run: Path, found: dict[str, Any]) -> None:
    """Write the attacks into the result of the attacked run, where `edgesdk report` finds them."""
    result = read_json(run / "result.json", "result")
    rows = [
        {
            "attacked": who, "true positives at 1 % false": told["tpr"], "low": told["low"],
            "high": told["high"], "AUC": told["auc"], "epsilon at least": told["epsilon_at_least"],
            "epsilon at most": told["epsilon_at_most"] or "not bounded",
            "drawn against own class": told["reconstruction"]["correlation"],
            "drawn against other classes": told["reconstruction"]["other"],
        }
        for who, told in found.items()
    ]  # fmt: skip
    tables = {**result.get("tables", {}), "Attacks": rows}
    write_json(run / "result.json", {**result, "tables": tables})


def _victims(given: dict[str, str]) -> dict[str, dict[str, Any]]:
    base = {**given, "most": 0, "epsilon": 3.0, "budget": 1000.0, "queries": 4000, "steps": 200,
            "teacher_epochs": 20}  # fmt: skip
    return {
        "dpdf": {**base, "method": "selective"},
        "dp-sgd": {**base, "method": "dp-sgd", "epochs": 4, "delta": 1e-5},
    }


def _pool(data: Path, size: int) -> tuple[Array, Array]:
    from edgesdk.core.preprocess import resize

    whole = read_class_set(data)
    chosen = np.random.default_rng(SEED).permutation(np.flatnonzero(whole.split == 0))[:POOL]
    pictures = [resize(whole[i], (size, size)).round().astype(np.uint8) for i in chosen]
    return np.stack(pictures), whole.labels[chosen]


def _victim(
    settings: dict[str, Any], name: str, pool: Array, labels: Array, half: Array, folder: Path
) -> tuple[Path, dict[str, Any]]:
    """Train one pipeline on a half of the pool and return its folder and its networks by name."""
    folder.mkdir(parents=True, exist_ok=True)
    half_set = folder / "half.npz"
    if not half_set.is_file():
        np.savez(half_set, x_train=pool[half], y_train=labels[half],
                 x_test=pool[~half], y_test=labels[~half])  # fmt: skip
    result = train("dpdf", settings=settings, data={"private": [half_set]}, out=folder)
    checkpoint = read_checkpoint(result.checkpoints["student"])
    student = plugins.load(plugins.STUDENTS, checkpoint.student)
    models = {"student": student.load(checkpoint)}
    if name == "dpdf":
        models["teacher"] = _stored_teacher(folder, checkpoint.provenance["settings"], labels)
    return result.folder, models


def _stored_teacher(folder: Path, settings: dict[str, Any], labels: Array) -> Any:
    from safetensors.torch import load_file

    from edgesdk_training.nets.open_teacher import OpenTeacher

    teacher = OpenTeacher(settings["size"], int(labels.max()) + 1, settings["teacher_width"])
    (stored,) = (folder / "cache").glob("teacher-*.safetensors")
    teacher.load_state_dict(load_file(stored))
    return teacher.eval()


def _bounds(told: dict[str, float], proven: dict[str, float]) -> dict[str, float | None]:
    """Return the epsilon that the attack proves to be spent on a record, and the one proven.

    (epsilon, delta) allows true positives of at most e^epsilon x false ones + delta.
    """
    _, most = audit.wilson(round(told["fpr"] * told["others"]), int(told["others"]))
    above = told["low"] - proven.get("delta", 0.0)
    least = max(0.0, math.log(above / most)) if above > 0 else 0.0
    return {"epsilon_at_least": least, "epsilon_at_most": proven.get("epsilon")}


def _inverted(model: Any, pictures: Array, labels: Array) -> dict[str, float]:
    """Return how like the mean picture of its class is what the network likes best.

    Gradient ascent on the input, drawn towards smoothness: "correlation" is the mean over
    classes with the own class's mean picture, "other" that with the means of the other classes.
    """
    import torch

    classes = int(labels.max()) + 1
    image = torch.zeros(classes, 3, *pictures.shape[1:3], requires_grad=True)
    optimiser = torch.optim.Adam([image], lr=0.1)
    model.requires_grad_(False)
    for _ in range(150):
        shown = torch.tanh(image.mean(1, keepdim=True)).expand(-1, 3, -1, -1)
        own = torch.log_softmax(model(shown), 1).diagonal().sum()
        rough = shown.diff(dim=2).square().mean() + shown.diff(dim=3).square().mean()
        optimiser.zero_grad()
        (5 * rough * classes - own).backward()
        optimiser.step()
    drawn = shown.detach().numpy().mean(1).reshape(classes, -1)
    means = np.stack([pictures[labels == c].mean((0, 3)).ravel() for c in range(classes)])
    with np.errstate(invalid="ignore", divide="ignore"):  # a flat picture is like nothing
        alike = np.nan_to_num(np.corrcoef(drawn, means)[:classes, classes:])
    off = alike[~np.eye(classes, dtype=bool)]
    return {"correlation": float(np.diag(alike).mean()), "other": float(off.mean())}


def _audited() -> list[dict[str, Any]]:
    """Return, of the mechanism as it runs, the proven epsilon and the one an attack proves spent.

    The adversary knows that the label is one of two and guesses only where one was released.
    """
    random, rows = np.random.default_rng(SEED), []
    for epsilon in (0.5, 1.0, 2.0, 3.0):
        truth = random.integers(*LABELS, DRAWS, endpoint=True)
        every = response.everything(DRAWS, 10)
        released = response.respond(truth, every, epsilon, chance(None))
        sure = np.isin(released, LABELS)
        low = audit.lower_bound((released == truth)[sure])
        rows.append(
            {"epsilon_at_most": epsilon, "epsilon_at_least": low, "guesses": int(sure.sum())}
        )
    return json.loads(json.dumps(rows))
