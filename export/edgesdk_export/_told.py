"""What is known of a network from outside: flags, a model.toml beside it, and its own tensors."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.arrays import read_npz
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import read_small
from edgesdk.core.licence import complete
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.source import Told
from edgesdk.core.task import FALLBACK, task_of
from edgesdk.core.tensors import TensorSpec
from edgesdk.core.typed import check_known, check_plain
from edgesdk.core.values import check_name

TOML = "model.toml"
KEYS: Mapping[str, Any] = {
    "file": str,
    "name": str,
    "task": str,
    "labels": str | list[str],
    "licence": str | Mapping[str, str],
    "samples": str,
    "inputs": Mapping[str, Mapping[str, Any]],
    "postprocess": Mapping[str, Any],
}
INPUT_KEYS = {"shape": list[int | str], "range": list[float], "preprocess": Mapping[str, Any]}
# Usual ways to scale pixels, on the 0..255 scale.
WAYS: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "imagenet": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
    "unit": {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)},
    "signed": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)},
    "pixels": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """All that a source must know of itself, see `Source`; `inputs` have their sizes."""

    path: Path
    model: str
    task: str
    inputs: tuple[TensorSpec, ...]
    preprocess: Mapping[str, Preprocess]
    postprocess: Mapping[str, Any]
    licence: Mapping[str, str]
    labels: tuple[str, ...]
    cost: Mapping[str, int]
    samples: Path | None
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)


def about(path: Path, told: Told, tensors: Sequence[TensorSpec], cost: Mapping[str, int]) -> About:
    """Join what the flags say, what the model.toml says and what the network itself shows.

    Args:
        path: The network's file.
        told: What the flags say.
        tensors: Its inputs; None is a size that is not written down.
        cost: What is known of its cost.

    Raises:
        UsageError: a key is unknown, a value makes no sense, or a size is known to nobody.
    """
    said = read_toml(path)
    samples = told.samples or _beside(path, said.get("samples"))
    shown = _shapes_of(samples)
    by_input = said.get("inputs", {})
    _known("input", by_input, [spec.name for spec in tensors])
    preprocess = _preprocesses(path, told, by_input, tensors)
    inputs = tuple(
        _sized(path, spec, by_input.get(spec.name, {}), preprocess.get(spec.name), shown)
        for spec in tensors
    )
    return About(
        path=path,
        model=_named(told.name or said.get("name") or path.stem),
        task=plugins.resolve(plugins.TASKS, told.task or said.get("task") or FALLBACK),
        inputs=inputs,
        preprocess=preprocess,
        postprocess=said.get("postprocess", {}),
        licence=_licence(told.licence or said.get("licence")),
        labels=_labels(told.labels or _beside(path, said.get("labels"))),
        cost=cost,
        samples=samples,
    )


def postprocess_of(known: About, outputs: Sequence[TensorSpec]) -> Mapping[str, Any]:
    """Return how the outputs are read: as told, else as models of its task usually are."""
    usual = getattr(task_of(known.task), "reads", None)
    return known.postprocess or (usual(outputs) if usual else {})


def read_toml(path: Path) -> dict[str, Any]:
    """Return what the model.toml beside a network says of it, {} where there is none.

    Raises:
        UsageError: it is no TOML, or has keys that nothing reads.
    """
    file = path.with_name(TOML)
    try:
        said = tomllib.loads(read_small(file))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read ({error}); mend or remove it") from None
    if said.get("file", path.name) != path.name:
        return {}
    _known("key", said, KEYS)
    _check("value", said, KEYS)
    for name, values in said.get("inputs", {}).items():
        _known(f"key of input {name!r}", values, INPUT_KEYS)
        _check(f"input {name!r}", values, INPUT_KEYS)
    return said


def _known(what: str, values: Mapping[str, Any], known: Iterable[str]) -> None:
    for name in values:
        if name not in known:
            raise UsageError(f"unknown {what} {name!r} in {TOML}. {did_you_mean(name, known)}")


def _check(what: str, values: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    try:
        check_plain(values)
        check_known(what, values, kinds, ())
    except (TypeError, ValueError) as error:
        raise UsageError(f"{TOML} says what makes no sense ({error}); mend it") from None


def _beside(path: Path, value: Any) -> Any:
    try:
        return path.with_name(value) if isinstance(value, str) else value
    except ValueError:
        raise UsageError(
            f"{TOML} names {value!r}, which is no file beside it; name one without its folder"
        ) from None


def _named(name: str) -> str:
    word = "".join(c if c.isalnum() or c in "_.+-" else "-" for c in name).lstrip("-.+")
    try:
        check_name(word)
    except ValueError:
        raise UsageError(f"{name!r} is no name for a model; give one with --name") from None
    return word


def _licence(said: Any) -> Mapping[str, str]:
    return complete(said if isinstance(said, Mapping) else {"weights": said} if said else {})


def _labels(said: Any) -> tuple[str, ...]:
    if said is None or isinstance(said, list):
        return tuple(map(str, said or ()))
    try:
        return tuple(line.strip() for line in read_small(Path(said)).splitlines() if line)
    except (OSError, ValueError) as error:
        raise UsageError(f"labels {said} cannot be read ({error}); one name per line") from None


def _shapes_of(samples: Path | None) -> Mapping[str, tuple[tuple[int, ...], float, float]]:
    """Return input -> shape of one item and the range of its values, out of an .npz file."""
    if samples is None:
        return {}
    try:
        arrays = read_npz(samples)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"samples {samples} are no .npz file of plain arrays ({error}); write one with "
            "numpy.savez(path, NAME=array)"
        ) from None
    kept = {name: a for name, a in arrays.items() if a.size and a.dtype.kind in "biuf"}
    endless = next((name for name, a in kept.items() if not np.isfinite(a).all()), None)
    if endless is not None:
        raise UsageError(
            f"{endless!r} of samples {samples} holds NaN or infinity; give numbers that the "
            "network will see"
        )
    return {name: (a.shape[1:], float(a.min()), float(a.max())) for name, a in kept.items()}


def _sized(
    path: Path,
    spec: TensorSpec,
    said: Mapping[str, Any],
    preprocess: Preprocess | None,
    shown: Mapping[str, Any],
) -> TensorSpec:
    """Return the spec with every size but the batch filled in."""
    told = tuple(s if isinstance(s, int) and s > 0 else None for s in said.get("shape", ()))
    seen = (None, *shown[spec.name][0]) if spec.name in shown else ()
    made = _picture_shape(preprocess) if preprocess else ()
    shape = spec.shape
    for more in (told, made, seen):
        if more and len(more) != len(shape):
            raise UsageError(
                f"input {spec.name!r} of {path} has {len(shape)} axes, {len(more)} are told"
            )
        shape = tuple(a or b for a, b in zip(shape, more or shape, strict=True))
    if None in shape[1:]:
        wanted = " x ".join("N" if size is None else str(size) for size in shape)
        raise UsageError(
            f"input {spec.name!r} of {path} has sizes that are not written down ({wanted}); tell "
            f"them with --samples inputs.npz, or as `shape` in {TOML}, which "
            f"`edgesdk inspect {path} --write-toml` begins"
        )
    kind = "image" if preprocess else "tokens" if np.dtype(spec.dtype).kind in "iu" else "raw"
    layout = preprocess.layout if preprocess else ""
    span = tuple(map(float, said["range"])) if "range" in said else None
    if span is None and spec.name in shown and not preprocess:
        span = shown[spec.name][1:]
    filled = replace(spec, shape=shape, kind=kind, layout=layout)
    try:
        return TensorSpec.from_json({**filled.to_json(), "range": span})
    except (TypeError, ValueError) as error:
        raise UsageError(f"what {TOML} says of {spec.name!r} makes no sense ({error})") from None


def _picture_shape(preprocess: Preprocess) -> tuple[int | None, ...]:
    height, width = preprocess.size
    return (None, 3, height, width) if preprocess.layout == "NCHW" else (None, height, width, 3)


def _preprocesses(
    path: Path, told: Told, by_input: Mapping[str, Any], tensors: Sequence[TensorSpec]
) -> dict[str, Preprocess]:
    said = {n: dict(v["preprocess"]) for n, v in by_input.items() if "preprocess" in v}
    if told.preprocess:
        pictures = [spec for spec in tensors if len(spec.shape) == 4]
        if len(pictures) != 1:
            raise UsageError(
                f"--preprocess suits one picture; {path} has {len(pictures)} inputs of four axes: "
                f"tell them in {TOML}"
            )
        said[pictures[0].name] = said.get(pictures[0].name, {}) | _values(told.preprocess)
    specs = {spec.name: spec for spec in tensors}
    return {name: _preprocess(path, specs[name], values) for name, values in said.items()}


def _values(words: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and name not in WAYS:
            hint = did_you_mean(name, WAYS)
            raise UsageError(f"--preprocess {word} is neither NAME=VALUE nor a usual way. {hint}")
        values |= {name: _value(value)} if equals else WAYS[name]
    return values


def _value(text: str) -> Any:
    parts = text.replace("x", ",").split(",") if text[:1].isdigit() or text[:1] == "-" else []
    try:
        numbers = [int(part) if part.isdigit() else float(part) for part in parts]
    except ValueError:
        return text
    return numbers or text


def _preprocess(path: Path, spec: TensorSpec, values: dict[str, Any]) -> Preprocess:
    """Return the pre-processing of an input; layout and size are those it shows."""
    last = len(spec.shape) == 4 and spec.shape[-1] == 3 and spec.shape[1] != 3
    values = {"layout": "NHWC" if last else "NCHW", "dtype": spec.dtype, **values}
    sides = spec.shape[1:3] if values["layout"] == "NHWC" else spec.shape[2:4]
    if "size" not in values and None not in sides and len(sides) == 2:
        values["size"] = list(sides)
    try:
        for name in {"mean", "std"} & set(values):
            values[name] = _per_channel(values[name])
        return Preprocess.from_json(values)
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(
            f"the pre-processing of input {spec.name!r} of {path} makes no sense ({error}); see "
            "--preprocess in: edgesdk export --help"
        ) from None


def _per_channel(value: Any) -> list[float]:
    """Return one number per channel; a single one serves all three."""
    numbers = [float(number) for number in np.atleast_1d(value)]
    return numbers * 3 if len(numbers) == 1 else numbers
