"""What a task and the rest of edgesdk tell each other about models, inputs and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgesdk.core import plugins
from edgesdk.core.errors import UnknownPluginError, UnsupportedError
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.source import Run as Run
from edgesdk.core.tensors import Array, Arrays, TensorSpec

# What serves models whose task no plug-in knows: their numbers alone are proven.
FALLBACK = "tensor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What a task must know of a model; checkpoints, bundles and foreign files all have it.

    Attributes:
        model: Such as "bridge-face".
        task: Name of the task.
        inputs: As the caller of a session sees them.
        outputs: Likewise.
        preprocess: By name of the input; an input without one is no picture.
        postprocess: How the outputs are read.
        labels: Class names, empty for none.
        thresholds: Decision thresholds by name.
    """

    model: str
    task: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocess: Mapping[str, Preprocess] = field(default_factory=dict)
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def info_of(
    model: Any, inputs: Sequence[TensorSpec] = (), outputs: Sequence[TensorSpec] = ()
) -> ModelInfo:
    """Describe a bundle, or a checkpoint together with its tensors."""
    names = ("model", "task", "preprocess", "postprocess", "labels", "thresholds")
    return ModelInfo(
        inputs=tuple(inputs or model.inputs),
        outputs=tuple(outputs or model.outputs),
        **{name: getattr(model, name) for name in names},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Inputs of a model.

    Attributes:
        arrays: Input name -> [N, ...], pre-processed.
        what: Plural words for them, such as "synthetic faces".
        about: Sentence on where they come from, kept with golden vectors.
        pictures: The N pictures behind the picture inputs, empty where there are none.
        hashes: SHA-256 of the real files they were read from, empty for drawn ones.
        total: Number of items they were chosen from.
        note: What was left out, "" for nothing.
    """

    arrays: Arrays
    what: str
    about: str = ""
    pictures: tuple[Array, ...] = ()
    hashes: frozenset[str] = frozenset()
    total: int = 0
    note: str = ""

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))


class Evaluation(Protocol):
    """A set with the truth about its items."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def sha256(self) -> str:
        """Hash over the truth and the content of all files."""

    @property
    def counted(self) -> str:
        """Plural word for what `len` counts, such as "pairs"."""

    def __len__(self) -> int: ...

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every file, to find those that were calibrated on."""

    def samples(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs made of at most `count` items of the set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a run on a set.

    Attributes:
        key: Its name in results, such as "accuracy".
        value: The figure.
        items: [N] value per item or sequence, in the set's order: the paired interval of a
            drop is drawn from them. Their mean is the figure or follows it closely.
        higher_is_better: Direction.
        facts: What else belongs to it, such as {"far": "far_1e-2"}.
    """

    key: str
    value: float
    items: Array
    higher_is_better: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The figure in words."""
        return " at ".join([self.key, *map(str, self.facts.values())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run on a set.

    Attributes:
        metrics: The headline first. The gate fails where it drops by more than is allowed,
            and where the whole interval of another one's drop lies beyond.
        thresholds: Name -> {"value", "low", "high"} fitted on this run.
        unfitted: Name -> why the set cannot tell this threshold.
        numbers: Further figures, for tables and JSON.
    """

    metrics: tuple[Metric, ...]
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unfitted: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure with all that it needs to be read rightly.

    Attributes:
        metric: Such as "accuracy".
        data: Name of the set.
        value: The figure, a share of 1 where `percent`.
        percent: Shown times 100, with a percent sign.
        data_sha256: Hash of the set, "" where it was not kept.
    """

    metric: str
    data: str
    value: float
    percent: bool = True
    data_sha256: str = ""

    @property
    def label(self) -> str:
        """Name of the set and the metric, such as "LFW folds 1-5 accuracy"."""
        return f"{self.data} {self.metric}".strip()

    @property
    def shown(self) -> float:
        """The figure as it is told: in percent, or as it is."""
        return 100 * self.value if self.percent else self.value

    @property
    def text(self) -> str:
        """The figure for a table."""
        return f"{self.shown:.2f} %" if self.percent else f"{self.shown:.4g}"


def measured(metrics: Mapping[str, Any]) -> Headline | None:
    """Return the figure that a gate stored as {"metric", "value", "data", "data_sha256"}."""
    value = metrics.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    sha256 = str(metrics.get("data_sha256") or "")
    data = str(metrics.get("data") or (f"set {sha256[:8]}" if sha256 else ""))
    percent = bool(metrics.get("percent", True))
    return Headline(str(metrics.get("metric", "")), data, float(value), percent, sha256)


def task_of(name: str) -> Any:
    """Return the task called `name`, or the one for bare tensors where nothing answers to it."""
    try:
        return plugins.load(plugins.TASKS, name)
    except UnknownPluginError:
        return plugins.load(plugins.TASKS, FALLBACK)


def is_known(name: str) -> bool:
    """Tell whether a plug-in answers to the task `name`."""
    return task_of(name) is not plugins.load(plugins.TASKS, FALLBACK) or name == FALLBACK


def plural(item: str) -> str:
    """Return "faces" for "face", "classes" for "class"."""
    return item + ("es" if item.endswith(("s", "x", "ch", "sh")) else "s")


def rate_unit(item: str) -> str:
    """Return the unit of throughput, such as "faces/s"."""
    return f"{plural(item)}/s"


def picture_inputs(info: ModelInfo, pictures: Sequence[Array]) -> dict[str, Array]:
    """Return the input tensors of a batch of pictures, one picture per item for all inputs.

    Raises:
        UnsupportedError: an input is not made from a picture.
    """
    made = {}
    for spec in info.inputs:
        if spec.name not in info.preprocess:
            raise UnsupportedError(
                f"nothing tells how a picture becomes input {spec.name!r} of {info.model}; a "
                "network from outside is told by --preprocess or a model.toml beside it"
            )
        made[spec.name] = info.preprocess[spec.name](list(pictures))
    return made


class FromFiles(Protocol):
    """A model's whole way from files to answers, to be timed.

    Attributes:
        items: Number of items in the files.
    """

    items: int

    def plain(self) -> Mapping[str, float]:
        """Do all files one after the other; return the nanoseconds of each of PARTS."""

    def overlapped(self) -> None:
        """Do all files as the task does them for a user."""
