"""A checkpoint that a recipe left: weights, and the student that rebuilds their network."""

from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, Told
from edgesdk.core.tensors import TensorSpec
from edgesdk_export._source import Needs, need, refuse_told
from edgesdk_export.sources._torch import TorchSource

WEIGHTS = Needs(("torch", "safetensors"), "export")


class CheckpointSource(TorchSource):
    """See the module."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self._checkpoint = checkpoint
        self.sha256 = checkpoint.network_sha256
        known = ("recipe", "recipe_sha256", "commit")
        told = {name: str(checkpoint.provenance.get(name, "")) for name in known}
        beside = checkpoint.provenance.get("companions") or {}
        self.lineage = told | {"companions": tuple(map(str, beside.values()))}

    def check(self) -> None:
        """See Source."""
        self._student()

    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """See Source."""
        student = self._student()
        inputs, outputs = student.specs(self._checkpoint.config(student))
        return tuple(inputs), tuple(outputs)

    def torch_module(self) -> Any:
        """See Source."""
        need("a network rebuilt from its checkpoint", WEIGHTS)
        return self._student().load(self._checkpoint).eval()

    def _student(self) -> Any:
        student = plugins.load(plugins.STUDENTS, self._checkpoint.student)
        plugins.require(f"student {self._checkpoint.student!r}", student)
        return student


class CheckpointKind:
    """See the module."""

    aliases: tuple[str, ...] = ()
    extra = WEIGHTS.extra
    requires = WEIGHTS.requires
    holds = Checkpoint

    def opens(self, path: Path) -> bool:
        """See SourceKind."""
        return any((folder / "meta.json").is_file() for folder in (path, path / "checkpoint"))

    def open(self, path: Path, told: Told = NOTHING_TOLD) -> CheckpointSource:
        """See SourceKind; `path` may be the run that holds the checkpoint."""
        refuse_told(path, told)
        inner = path / "checkpoint"
        folder = path if (path / "meta.json").is_file() else inner
        return CheckpointSource(read_checkpoint(folder))

    def source(self, held: Checkpoint) -> CheckpointSource:
        """See SourceKind."""
        return CheckpointSource(held)


PLUGIN: SourceKind = CheckpointKind()
