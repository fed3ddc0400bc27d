"""What an export starts from, whatever it lies in: a checkpoint, a bundle, a file of others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import Array, Arrays, TensorSpec

Run = Callable[[Arrays], Mapping[str, Array]]
# The forms of a network that an exporter may ask for.
ONNX, TORCH = "onnx", "torch"
FORMS = (ONNX, TORCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a caller tells of a network from outside; it wins over a model.toml beside it.

    Attributes:
        name: Name of the model.
        task: What it is for.
        labels: File with one class name per line.
        licence: Licence of its weights.
        samples: An .npz file of real inputs, one array [N, ...] per input.
        preprocess: How pictures become its input: NAME=VALUE, or the name of a usual way.
    """

    name: str | None = None
    task: str | None = None
    labels: Path | None = None
    licence: str | None = None
    samples: Path | None = None
    preprocess: tuple[str, ...] = ()

    @property
    def flags(self) -> list[str]:
        """Return the flags that were given."""
        return [f"--{name}" for name in self.__slots__ if getattr(self, name)]


NOTHING_TOLD = Told()


class Source(Protocol):
    """A network, what is known of it, and the forms it can be had in.

    Attributes:
        path: File or folder it lies in; a text of its licence may lie there too.
        name: What a message calls it.
        model: Such as "bridge-face"; begins the name of its bundles.
        task: Such as "face-embedding".
        preprocess: By input name.
        postprocess: As in `Bundle`.
        thresholds: As in `Bundle`.
        licence: As in `Bundle`.
        labels: Class names.
        metrics: Measured accuracy: name -> value.
        cost: parameters, macs and activation_floats of one item.
        ledger: As in `Bundle`.
        sha256: Hash of the trained weights and the network they belong to. All bundles made
            of them keep it.
        own: What else an export takes from it, such as the hash of its own file; JSON-ready.
        lineage: recipe, recipe_sha256, commit and companions, where they are known.
        target: Target that it is a bundle of, "" for what is no bundle.
        precision: Of its arithmetic.
        proxy: The ONNX file that it brings along beside its entry, "" for none.
        samples: Real inputs that came with it, an .npz file; None for none.
        notes: Sentences on what was changed when it was read.
    """

    path: Path
    name: str
    model: str
    task: str
    preprocess: Mapping[str, Preprocess]
    postprocess: Mapping[str, Any]
    thresholds: Mapping[str, Mapping[str, float]]
    licence: Mapping[str, str]
    labels: tuple[str, ...]
    metrics: Mapping[str, Any]
    ledger: Mapping[str, Any]
    cost: Mapping[str, int]
    sha256: str
    own: Any
    lineage: Mapping[str, Any]
    target: str
    precision: str
    proxy: str
    samples: Path | None
    notes: Sequence[str]

    def check(self) -> None:
        """Raise MissingDependencyError where this machine lacks what the source needs."""

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the input and output tensors; a free batch is None."""

    def lacks(self, form: str) -> str | None:
        """Return why it cannot be had in `form`, one of FORMS; None where it can."""

    def write_onnx(self, path: Path, batch: int | None) -> list[str]:
        """Write it as an ONNX file with a fixed batch, None for its own.

        Returns:
            Distributions that touched the file.
        """

    def torch_module(self) -> Any:
        """Return the torch module for export, in eval mode."""

    def runner(self) -> tuple[Run, dict[str, str]]:
        """Return a function that runs it as it is, and what it runs on."""
