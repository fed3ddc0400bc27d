"""The run's folder: data, teacher, log and state of one training run."""

from __future__ import annotations

import io
import json
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from edgesdk.core.bundle import Checkpoint
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import clean, os_errors, write_atomic
from edgesdk.core.notes import note
from edgesdk.core.shipped import open_checkpoint
from edgesdk_training import _dist
from edgesdk_training.answers import embed_all
from edgesdk_training.data import TreeDataset, join, parts_of, reports
from edgesdk_training.teachers import open_teacher

# Roles of which a folder is a class or a client, and seldom a person.
CLASSES = ("clients", "private")


class Context:
    """What a recipe may use; implements `edgesdk.core.protocols.RunContext`.

    Attributes:
        folder: The run's folder.
        student: Name of the student, "" for none.
        recipe_sha256: Hash of all that decides the run.
        seed: Seed of everything random.
        device: Torch device.
        rank: Number of this process.
        world: Number of processes.
    """

    def __init__(
        self,
        folder: Path,
        data: Mapping[str, Sequence[Path]],
        *,
        student: str = "",
        recipe_sha256: str = "",
        teacher: str | None = None,
        seed: int = 0,
        device: str = "cpu",
        threads: int = 1,
        strict: bool = False,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> None:
        self.folder, self.student, self.recipe_sha256 = folder, student, recipe_sha256
        self.seed, self.device = seed, device
        self.rank, self.world = _dist.rank(), _dist.world()
        self._data, self._teacher, self._threads = data, teacher, threads
        self._strict, self._progress = strict, progress
        self._sets: dict[str, Any] = {}

    def look_at_data(self) -> None:
        """Read all data sets before any long work, and tell what was read."""
        for role in self._data:
            for report in reports(self.data(role)):
                note(f"{role}: {report['line']}")

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What was read of each folder or archive, and what was left out."""
        return [{"role": role, **r} for role, found in self._sets.items() for r in reports(found)]

    def data(self, role: str) -> Any:
        """Return the data set given for `role`, read once."""
        if not self._data.get(role):
            raise UsageError(
                f"the recipe needs {role} data; give it with --data {role}=PATH (a folder or tar "
                f"with one per person or class, or an .npz), or try it on drawn faces first with: "
                f"--data {role}=synthetic"
            )
        if role not in self._sets:
            self._sets[role] = join(self._data[role], self._strict, self.progress)
            if role in CLASSES:
                for part in parts_of(self._sets[role]):
                    if isinstance(part, TreeDataset):
                        part.folder = "folder"
        return self._sets[role]

    @property
    def named_teacher(self) -> str | None:
        """Name or path of the teacher that the user chose, None for nobody's."""
        return self._teacher

    def paths(self, role: str) -> tuple[Path, ...]:
        """Return the paths given for `role`, none where it was left out."""
        return tuple(self._data.get(role, ()))

    def teacher(self, name: str, exact: bool = False) -> Any:
        """Return the teacher the user chose, else, or with `exact`, the one called `name`."""
        chosen = name if exact else self._teacher or name
        return open_teacher(chosen, self._threads, self.device)

    def checkpoint(self, name: str) -> Checkpoint:
        """Return the checkpoint in the folder `name`, or the shipped model of that name.

        Raises:
            UsageError: there is neither.
        """
        return open_checkpoint(name)

    def beginning(self, name: str) -> Checkpoint | None:
        """Return the weights that setting `init` names to begin with, None for fresh ones.

        Raises:
            UsageError: they do not exist or are another student's.
        """
        if not name:
            return None
        begin = self.checkpoint(name)
        if begin.student != self.student:
            raise UsageError(
                f"init={name} is of {begin.student}, the student is {self.student}; give "
                f"--student {begin.student}, or weights of {self.student}"
            )
        return begin

    def embeddings(self, teacher: Any, pictures: Any) -> Any:
        """Return the teacher's unit embeddings of `pictures`, cached beside the runs."""
        batch = 16 if self.device == "cpu" else 512
        return embed_all(teacher, pictures, self.folder.parent / "cache", self.progress, batch)

    def log(self, step: int, phase: str = "", **scalars: float) -> None:
        """Append one line to log.jsonl; the first process only."""
        if self.rank == 0:
            when = {"time": round(time.time(), 1), **({"phase": phase} if phase else {})}
            line = json.dumps(clean({**when, "step": step, **scalars}))
            with os_errors("write", self.folder), (self.folder / "log.jsonl").open("a") as stream:
                stream.write(line + "\n")

    def progress(self, done: int, total: int, label: str) -> None:
        """Tell how far a phase is."""
        if self._progress is not None and self.rank == 0:
            self._progress(done, total, label)

    def _state(self, phase: str) -> Path:
        return self.folder / "state" / f"{phase}.pt"

    def save(self, phase: str, state: Mapping[str, Any]) -> None:
        """Store a phase's state atomically; the first process only."""
        if self.rank == 0:
            import torch

            buffer = io.BytesIO()
            torch.save(dict(state), buffer)
            write_atomic(self._state(phase), buffer.getvalue())

    def load(self, phase: str) -> Mapping[str, Any] | None:
        """Return a phase's stored state, None when there is none. Tensors only, no pickle."""
        path = self._state(phase)
        if not path.is_file():
            return None
        import torch

        try:
            state: Mapping[str, Any] = torch.load(path, self.device, weights_only=True)
            if not isinstance(state, dict):
                raise ValueError(f"it holds a {type(state).__name__}")
        except (
            RuntimeError,
            EOFError,
            ValueError,
            KeyError,
            UnpicklingError,
            struct.error,
        ) as error:
            # What torch says of it is long, or one number.
            raise EdgeSdkError(
                f"the saved state {path} is damaged; start over with --fresh"
            ) from error
        return state
