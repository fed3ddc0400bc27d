"""The seams of edgesdk. Think twice before you change one: every plug-in depends on it.

Nouns: an Exporter makes the files of a bundle, a Runtime opens a bundle and gives a
Session, a Runner drives a remote device, a Student is a network to train, a Recipe is
one training method.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from edgesdk.core.bundle import Bundle, Checkpoint
from edgesdk.core.jobs import Artefact, ExportJob, Progress, Reach, RemoteJob, RunJob, RunResult
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.result import BenchResult
from edgesdk.core.source import NOTHING_TOLD, Source, Told
from edgesdk.core.task import Evaluation, Headline, Judged, ModelInfo, Run, Samples
from edgesdk.core.tensors import Array, Arrays, TensorSpec

__all__ = [
    "Artefact",
    "Batches",
    "Dataset",
    "ExportJob",
    "Exporter",
    "Plugin",
    "Progress",
    "Reach",
    "Recipe",
    "RemoteJob",
    "RunContext",
    "RunJob",
    "RunResult",
    "Runner",
    "Runtime",
    "Session",
    "SourceKind",
    "Student",
    "Task",
    "Teacher",
]


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


class Exporter(Plugin, Protocol):
    """Writes one format.

    Two attributes may be left out: `needs`, a mapping of a precision, "fixed batch" or "from
    torch" to an object with `requires` and `extra`: what that needs beyond the target itself;
    and `leaves_float`, where int8 heeds `ExportJob.in_float`: LAYERS by name, REST alone, or
    BOTH, the rest before any layer.
    """

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


class Task(Plugin, Protocol):
    """What a model is for; nobody else knows anything about it.

    `run` may take keyword-only arguments of its own, documented in its "Args:" section: the
    command line and `edgesdk.run` offer them under the same names.

    Four methods may be left out: `reads(outputs)`, which returns the `postprocess` of a model from
    outside with those outputs, where nobody tells it; `from_files(bundle, runtime, device, threads,
    files)`, a context manager that gives a `FromFiles`, which the scenario `pipeline` measures
    (in `file_item`s where that is another word than `item`);
    `questions(session, files)`, which returns the `edgesdk.core.question.Question`s that an
    open bundle decides about files, so that `edgesdk explain` can explain the answers; and
    `caution(bundle)`, a sentence for the model card of what its answers must not be taken for.
    """

    @property
    def item(self) -> str:
        """What one item is called, such as "face": throughput is told in "faces/s"."""

    @property
    def live(self) -> str:
        """Name of the live page that can show it, "" for none."""

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return `count` drawn pictures [side, side, 3] uint8 RGB of the kind it sees."""

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return drawn inputs for every input of the model; equal seeds give equal ones."""

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return inputs made of real files, chosen by the seed where there are more.

        Raises:
            UsageError: there is nothing that can be read.
        """

    def evaluation(self, place: Path) -> Evaluation:
        """Open a set with the truth about each of its items.

        Raises:
            UsageError: it is none.
            UnsupportedError: models of this task cannot be judged by a set.
        """

    def judge(self, info: ModelInfo, runs: Sequence[Run], data: Any) -> list[Judged]:
        """Judge each of `runs`, which take and give the tensors of `info`, on `data`."""

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return the one figure to show of a manifest's metrics, None where there is none."""

    def run(self, job: RunJob) -> dict[str, Any]:
        """Do what `edgesdk run` is asked; the answer is plain data for --json."""

    def show(self, result: Mapping[str, Any]) -> str:
        """Return the lines of an answer of `run` for a terminal."""


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

    def paths(self, role: str) -> tuple[Path, ...]:
        """Return the paths given for `role`, none where it was left out."""

    def teacher(self, name: str, exact: bool = False) -> Teacher:
        """Return the teacher the user chose, else, or with `exact`, the one called `name`."""

    def embeddings(self, teacher: Teacher, pictures: Any) -> Array:
        """Return the teacher's unit embeddings [N, dim] of a set, kept beside the runs."""

    def checkpoint(self, name: str) -> Checkpoint:
        """Return the checkpoint in the folder `name`, or the shipped model of that name."""

    def beginning(self, name: str) -> Checkpoint | None:
        """Return the weights that setting `init` names to begin with, None for fresh ones."""

    def log(self, step: int, phase: str = "", **scalars: float) -> None:
        """Append one line to log.jsonl."""

    def progress(self, done: int, total: int, label: str) -> None:
        """Tell how far a phase is."""

    def save(self, phase: str, state: Mapping[str, Any]) -> None:
        """Store a phase's state atomically."""

    def load(self, phase: str) -> Mapping[str, Any] | None:
        """Return a phase's stored state, None when there is none."""


class Recipe(Plugin, Protocol):
    """One training method; `run` reads from top to bottom.

    May be left out: `steps(settings)`, what will be run in a sentence; `asks_teacher`, if True.
    """

    @property
    def students(self) -> tuple[str, ...]:
        """Which it may train, first = default; () = brings its own model."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Data roles: public, private, clients, pairs, video, images, one-image, captions."""

    @property
    def settings(self) -> type:
        """Frozen flat dataclass, every field with a default."""

    def run(self, settings: Any, context: RunContext) -> RunResult:
        """Train, resuming from `context.load` where a phase was saved."""


Batches = Iterator[tuple[Any, Any]]
