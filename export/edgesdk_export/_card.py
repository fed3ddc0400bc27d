"""MODEL_CARD.md and LICENSE.weights: every figure comes from the manifest or verify.json."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import Bundle
from edgesdk.core.files import encoded, write_atomic
from edgesdk.core.licence import complete
from edgesdk.core.task import task_of
from edgesdk.core.tensors import TensorSpec
from edgesdk.core.verify import Verification

CARD, LICENCE = "MODEL_CARD.md", "LICENSE.weights"


def write_licence(folder: Path, origin: Path, licence: Mapping[str, str]) -> None:
    """Copy the licence text of the source, or write what is known of it."""
    if (origin / LICENCE).is_file():
        shutil.copyfile(origin / LICENCE, folder / LICENCE)
        return
    told = complete(licence)
    text = f"Weights: {told['weights']}\nTraining data: {told['data']}\n"
    write_atomic(folder / LICENCE, encoded(text))


def write_card(bundle: Bundle, verification: Verification) -> None:
    """Write the model card of a bundle into its folder."""
    parts = [
        f"# {bundle.name}",
        f"{bundle.model} ({bundle.task}) for {bundle.target} at {bundle.precision}.",
        _section("Caution", _caution(bundle)),
        _section("Licence", [f"{k}: {v}" for k, v in complete(bundle.licence).items()]),
        _section("Tensors", [*_tensors("in", bundle.inputs), *_tensors("out", bundle.outputs)]),
        _section("Pre-processing", [_preprocess(*item) for item in bundle.preprocess.items()]),
        _section("Precision read back from the file", _effective(bundle)),
        _section("Operators by the unit that ran them", _placement(bundle)),
        _section("Cost of one item", [f"{k}: {v:,}" for k, v in bundle.cost.items()]),
        _section("Accuracy of the source", [f"{k}: {_text(v)}" for k, v in bundle.metrics.items()]),
        _section("Privacy ledger", [f"{k}: {_text(v)}" for k, v in bundle.ledger.items()]),
        _section("Verification", _verdict(verification)),
        _section("Thresholds", _thresholds(bundle)),
        _section("Decisions", bundle.decisions),
        _section("Made with", [f"{k} {v}" for k, v in bundle.tool_versions.items()]),
        _section("Origin", _origin(bundle)),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    write_atomic(bundle.path / CARD, encoded(text))


def _caution(bundle: Bundle) -> list[str]:
    told = getattr(task_of(bundle.task), "caution", None)
    return [] if told is None else [told(bundle)]


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"- {line}" for line in lines)
    return f"## {title}\n\n{body}" if body else ""


def _tensors(side: str, specs: Iterable[TensorSpec]) -> list[str]:
    return [f"{side}: `{spec.name}` {_shape(spec)} {spec.dtype}{_code(spec)}" for spec in specs]


def _shape(spec: TensorSpec) -> str:
    return "x".join("N" if size is None else str(size) for size in spec.shape)


def _code(spec: TensorSpec) -> str:
    if spec.scale is None:
        return ""
    return f", int8 inside the file: scale {spec.scale:.6g}, zero point {spec.zero_point}"


def _preprocess(name: str, preprocess: Any) -> str:
    values = preprocess.to_json()
    align = values.pop("align")
    kept = ", ".join(f"{key} {_text(value)}" for key, value in values.items())
    return f"`{name}`: {kept}" + (f", aligned by {_text(align)}" if align else "")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "(" + ", ".join(_text(v) for v in value) + ")"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _verdict(found: Verification) -> list[str]:
    lines = [f"{found.proof} (verdict: {found.verdict}, level: {found.level})"]
    if found.proxy:
        lines.append(f"verdict of the proxy, which holds the same numbers: {found.proxy}")
    if found.by:
        lines.append(f"run by: {_text(found.by)}")
    lines += [f"`{name}` on {found.samples} crops: {_text(v)}" for name, v in found.outputs.items()]
    lines += [f"batch invariance, {k}: {_text(v)}" for k, v in found.batch.items()]
    if found.half:
        lines.append(f"in real half precision: {_text(found.half)}")
    if found.task:
        lines.append(f"task: {_text(found.task)}")
    return lines + list(found.reasons)


def _effective(bundle: Bundle) -> list[str]:
    found = bundle.build.get("effective", {})
    return [f"{key}: {_text(value)}" for key, value in found.items()]


def _placement(bundle: Bundle) -> list[str]:
    return [f"{unit}: {count}" for unit, count in bundle.build.get("placement", {}).items()]


def _thresholds(bundle: Bundle) -> list[str]:
    return [f"{name}: {_text(values)}" for name, values in bundle.thresholds.items()]


def _origin(bundle: Bundle) -> list[str]:
    facts = {
        "recipe": bundle.recipe,
        "source_sha256": bundle.source_sha256,
        "recipe_sha256": bundle.recipe_sha256,
        "calib_sha256": bundle.calib_sha256,
        "export_sha256": bundle.build.get("export_sha256"),
        "commit": bundle.commit,
    }
    return [f"{key}: {value}" for key, value in facts.items() if value]
