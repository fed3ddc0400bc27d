"""The seams of edgesdk. Think twice before you change one: every plug-in depends on it.

Nouns: an Exporter makes the files of a bundle, a Runtime opens a bundle and gives a
Session, a Runner drives a remote device, a Student is a network to train, a Recipe is
one training method.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from edgesdk.core.bundle import Bundle, Checkpoint
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.result import BenchPlan, BenchResult
from edgesdk.core.source import NOTHING_TOLD, Source, Told
from edgesdk.core.target import Profile, Target
from edgesdk.core.tensors import Arrays, TensorSpec


class Plugin(Protocol):
    """What every plug-in declares, usually as class attributes."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names."""

    @property
    def extra(self) -> str:
        """The extra of edgesdk that installs what it needs, "" for the base."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Importable modules it needs."""


@dataclass(frozen=True, slots=True)
class ExportJob:
    """All an exporter is told.

    Attributes:
        source: The network; it is had in the forms that the exporter accepts.
        target: Constraints and options of the format.
        precision: One of `target.precisions`.
        folder: Existing empty folder to write into.
        batch: Fixed batch size, None for a free one.
        calibration: Input name -> array [N, ...], real or synthetic, already pre-processed.
        profile: Device to build for, or None.
    """

    source: Source
    target: Target
    precision: str
    folder: Path
    calibration: Arrays
    batch: int | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Artefact:
    """All an exporter answers; the pipeline adds proof, card, licence and hashes.

    Attributes:
        entry: File or folder to open, relative to the job's folder.
        inputs: As the caller of a session sees them.
        outputs: As the caller of a session sees them.
        format: Value of `format` in the bundle.
        tool_versions: Distribution name -> version of all that touched the file.
        decisions: Sentences: what was chosen, and why.
        build: Values needed to build again or to open (options, hardware, profile).
        proxy: File of the same numbers that can run here when `entry` cannot, such as
            the ONNX behind an engine; "" for none.
        not_run: Why the artefact itself cannot run on this machine; "" if it can.
    """

    entry: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    format: str
    tool_versions: Mapping[str, str]
    decisions: tuple[str, ...] = ()
    build: Mapping[str, Any] = field(default_factory=dict)
    proxy: str = ""
    not_run: str = ""


class Exporter(Plugin, Protocol):
    """Writes one format."""

    @property
    def accepts(self) -> tuple[str, ...]:
        """The form of a network that it starts from: ("onnx",) or ("torch",)."""

    def available(self) -> str | None:
        """Return None, or one sentence why this machine cannot export."""

    def supports(self, job: ExportJob) -> str | None:
        """Return None, or the reason why this job cannot be done."""

    def export(self, job: ExportJob) -> Artefact:
        """Write the files of the artefact into `job.folder`."""


class SourceKind(Plugin, Protocol):
    """Opens one kind of source; a plug-in of the group `edgesdk_export.sources`."""

    @property
    def holds(self) -> type:
        """The class that `source` makes sources of, such as Checkpoint."""

    def opens(self, path: Path) -> bool:
        """Tell cheaply whether `path`, which need not exist, is of this kind."""

    def open(self, path: Path, told: Told = NOTHING_TOLD) -> Source:
        """Read it and check its hashes; a UsageError says what is wrong with it, or `told`."""

    def source(self, held: Any) -> Source:
        """Return the source that an object of the class `holds` is."""


class Session(Protocol):
    """An open artefact. A context manager.

    Attributes:
        bundle: What was opened.
        runtime: Name of the runtime.
    """

    bundle: Bundle
    runtime: str

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch; the arrays returned belong to the caller."""

    def placement(self) -> Mapping[str, int] | None:
        """Return the number of operators per unit, None where unknown."""

    def close(self) -> None:
        """Free the session; closing twice is allowed."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...


class Runtime(Plugin, Protocol):
    """Opens bundles."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Values of `bundle.format` it opens."""

    @property
    def kind(self) -> str:
        """ "native", or "interpreter": that may give a verdict, never a speed."""

    def available(self) -> str | None:
        """Return None, or one sentence why it cannot run on this machine."""

    def devices(self) -> Sequence[str]:
        """Return the devices it can use here, such as ("cpu", "cuda:0")."""

    def version(self) -> str:
        """Return the version of the library behind it."""

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open a bundle whose format is in `formats` on a device in `devices()`."""


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """One bundle to measure on a remote device by one plan."""

    bundle: Bundle
    plan: BenchPlan


@dataclass(frozen=True, slots=True)
class Reach:
    """How a remote device is reached.

    Attributes:
        lan: Serve on the local network, not on this machine alone.
        https: Serve through TLS with a certificate made for this run.
        timeout_s: Longest silence of the device before the run is given up.
        progress: Called with (done, total, label); None for silence.
    """

    lan: bool = False
    https: bool = False
    timeout_s: float = 300.0
    progress: Callable[[int, int, str], None] | None = None


class Runner(Plugin, Protocol):
    """Drives bundles on a remote device; the clock is there, never here.

    One method may be left out: `live(bundle, device, reach)`, which shows the bundle at work
    there until it is interrupted.
    """

    @property
    def duration_s(self) -> float:
        """Seconds to measure where the user names none."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Values of `bundle.format` it can send."""

    @property
    def kind(self) -> str:
        """Always "remote"."""

    def available(self) -> str | None:
        """Return None, or one sentence why no device can be reached from this machine."""

    def devices(self) -> Sequence[str]:
        """Return the devices that can be reached, such as ("android:R58M",)."""

    def version(self) -> str:
        """Return the version of the library that drives the device."""

    def resolve(self, device: str) -> str | None:
        """Return the full name of the device that `device` means just now.

        Stored results are kept by it. None where nobody knows the device before it answered.
        """

    def bench(self, jobs: Sequence[RemoteJob], device: str, reach: Reach) -> list[BenchResult]:
        """Measure every job on the device in one visit; golden vectors first.

        Returns:
            One result per job, raw warm-ups included. `artefact` may be left empty: the
            caller fills it in, and adds its own verdict to what the device said of itself.

        Raises:
            UnsupportedError: no such device, or it cannot run a bundle.
            GateFailedError: the device answers the golden vectors wrongly.
        """


class Student(Plugin, Protocol):
    """A network to train."""

    @property
    def task(self) -> str:
        """Such as "face-embedding"."""

    @property
    def config(self) -> type:
        """Frozen dataclass, every field with a default."""

    def build(self, config: Any) -> Any:
        """Return the torch module in training form, randomly initialised."""

    def folded(self, module: Any) -> Any:
        """Return the equal module for export, BatchNorm folded, in eval mode."""

    def load(self, checkpoint: Checkpoint) -> Any:
        """Return the folded module with the checkpoint's weights."""

    def example(self, config: Any) -> Arrays:
        """Return one valid batch of two inputs."""

    def specs(self, config: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors."""

    def preprocess(self, config: Any) -> Mapping[str, Preprocess]:
        """Return the pre-processing by input name."""

    def postprocess(self, config: Any) -> Mapping[str, Any]:
        """Return how the output is read, as in `Bundle.postprocess`."""

    def cost(self, config: Any) -> Mapping[str, int]:
        """Return parameters, macs and activation_floats of one item after folding."""

    def model_name(self, config: Any) -> str:
        """Return the name of the bundles made from this configuration."""


class Dataset(Protocol):
    """Pictures with optional labels and teacher embeddings.

    Attributes:
        name: What provenance speaks of.
        identities: int64 [N], -1 unknown; None when the set has no labels.
        embeddings: float [N, D] of a teacher, None when the set brings none.
    """

    name: str
    identities: Any
    embeddings: Any

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any:
        """Return picture `index`, HxWx3 uint8 RGB."""


class Teacher(Protocol):
    """A frozen network.

    Attributes:
        name: Name and version.
        sha256: Hash of its weights.
        dim: Length of its embedding.
    """

    name: str
    sha256: str
    dim: int

    def __call__(self, pictures: Sequence[Any]) -> Any:
        """Return float32 [N, dim] for HxWx3 uint8 RGB aligned crops."""


class RunContext(Protocol):
    """All a recipe needs from outside, and all a test wants to replace.

    Attributes:
        folder: The run's folder.
        student: Name of the student to train, "" for none.
        recipe_sha256: Hash of all that decides the run.
        seed: Seed of everything random.
        device: Torch device.
        rank: Number of this process.
        world: Number of processes.
    """

    folder: Path
    student: str
    recipe_sha256: str
    seed: int
    device: str
    rank: int
    world: int

    def data(self, role: str) -> Dataset:
        """Return the data set given for `role`."""

    def teacher(self, name: str) -> Teacher:
        """Return the teacher called `name`."""

    def checkpoint(self, name: str) -> Checkpoint:
        """Return the checkpoint in the folder `name`, or the shipped model of that name."""

    def log(self, step: int, phase: str = "", **scalars: float) -> None:
        """Append one line to log.jsonl."""

    def progress(self, done: int, total: int, label: str) -> None:
        """Tell how far a phase is."""

    def save(self, phase: str, state: Mapping[str, Any]) -> None:
        """Store a phase's state atomically."""

    def load(self, phase: str) -> Mapping[str, Any] | None:
        """Return a phase's stored state, None when there is none."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a recipe leaves behind.

    Attributes:
        folder: The run's folder.
        checkpoints: Name -> checkpoint folder; may be empty.
        artefacts: Name -> any other file, such as a saliency map.
        metrics: Name -> value.
        ledger: Privacy accounting; empty where none applies.
    """

    folder: Path
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    artefacts: Mapping[str, Path] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)


class Recipe(Plugin, Protocol):
    """One training method; `run` reads from top to bottom."""

    @property
    def students(self) -> tuple[str, ...]:
        """Which it may train, first = default; () = brings its own model."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Data roles: public, private, clients, pairs, video, images, one-image."""

    @property
    def settings(self) -> type:
        """Frozen flat dataclass, every field with a default."""

    def run(self, settings: Any, context: RunContext) -> RunResult:
        """Train, resuming from `context.load` where a phase was saved."""


Progress = Callable[[int, int, str], None]
Batches = Iterator[tuple[Any, Any]]
