"""What the parts of edgesdk hand each other: plain values, no behaviour."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import Bundle
from edgesdk.core.result import BenchPlan
from edgesdk.core.source import Source
from edgesdk.core.target import Profile, Target
from edgesdk.core.tensors import Arrays, TensorSpec

Progress = Callable[[int, int, str], None]


# What an exporter can leave in float; BOTH is the rest first, then layers as well.
LAYERS, REST, BOTH = "layers", "rest", "rest and layers"


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
        in_float: What int8 leaves in float, for an exporter that `leaves_float`: names of ONNX
            nodes or of what an operator gives, and REST for all but convolutions and products.
        kept: What an exporter may keep from one export of a plan for the next.
    """

    source: Source
    target: Target
    precision: str
    folder: Path
    calibration: Arrays
    batch: int | None = None
    profile: Profile | None = None
    in_float: tuple[str, ...] = ()
    kept: dict[Any, Any] = field(default_factory=dict, compare=False)


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


@dataclass(frozen=True, slots=True)
class RunJob:
    """What `edgesdk run` asks of a task.

    Attributes:
        bundle: The model, read and checked.
        files: Files and folders as the user named them; may be empty.
        runtime: Runtime, None for the first one of the bundle that works here.
        device: "cpu", "cuda:0" or "auto".
        threads: Threads of the CPU.
        output: File or folder to write what a picture says better, None for nothing.
        allow_fallback: Accept another device than the one asked for.
        progress: Called with (done, total, label); None for silence.
    """

    bundle: Bundle
    files: tuple[Path, ...] = ()
    runtime: str | None = None
    device: str = "cpu"
    threads: int = 1
    output: Path | None = None
    allow_fallback: bool = False
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a recipe leaves behind.

    Attributes:
        folder: The run's folder.
        checkpoints: Name -> checkpoint folder; may be empty.
        artefacts: Name -> any other file, such as a saliency map.
        metrics: Name -> value.
        ledger: Privacy accounting; empty where none applies.
        sets: Per data set what was read and what was left out; "line" says it in one line.
        tables: Name -> rows to be shown, every row column -> value.
        curves: Name -> a value per round; None where a round has none.
    """

    folder: Path
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    artefacts: Mapping[str, Path] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    sets: Sequence[Mapping[str, Any]] = ()
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
