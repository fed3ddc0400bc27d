"""Models of which nothing is known but their inputs and outputs: their numbers are proven."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from edgesdk.core.batches import in_batches
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.files import write_atomic
from edgesdk.core.jobs import RunJob
from edgesdk.core.protocols import Task
from edgesdk.core.table import table
from edgesdk.core.task import Headline, Judged, ModelInfo, Run, Samples, info_of, measured
from edgesdk.core.tensors import Array, check_inputs
from edgesdk.tasks._inputs import draw_inputs, load_arrays, read_arrays, read_pictures, textures
from edgesdk.tasks._output import check_suffix

DRAWN = 1


class Tensor:
    """Arrays in, arrays out."""

    aliases = ("raw", "generic")
    extra = ""
    requires: tuple[str, ...] = ()
    item = "item"
    live = ""

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return coloured clutter."""
        return textures(count, seed, side)

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return inputs drawn from their declared ranges, else by kind and type."""
        return draw_inputs(info, count, seed, textures, "drawn inputs")

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return inputs out of an .npz file, or pictures where all inputs are made from them."""
        if place.suffix.lower() == ".npz" or not info.preprocess:
            return read_arrays(info, place, count, seed, self.item)
        return read_pictures(info, place, count, seed, "pictures like those it will see")

    def evaluation(self, place: Path) -> NoReturn:
        """Refuse: nobody knows what would be right."""
        raise UnsupportedError(
            f"{place} cannot judge a model of task 'tensor', of which only inputs and outputs are "
            "known; leave --data out, or give the model a task (see: edgesdk models)"
        )

    def judge(self, info: ModelInfo, runs: Sequence[Run], data: Any) -> list[Judged]:
        """Never reached, for there is no evaluation set."""
        raise UnsupportedError(f"{info.model} cannot be judged by a set")

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return what a gate stored."""
        return measured(metrics)

    def run(self, job: RunJob, *, seed: int = 0) -> dict[str, Any]:
        """Run the arrays of .npz files, or one drawn item where none is given.

        Args:
            seed: Draws the inputs where no file is given.

        Returns:
            "runs": per file its outputs, each with shape, dtype, min, max, mean and values.
        """
        from edgesdk_runtimes._open import open_session

        check_suffix(job.output, (".npz",))
        if job.output is not None and len(job.files) > 1:
            raise UsageError("-o holds the outputs of one file of inputs; give them one by one")
        info = info_of(job.bundle)
        given = [(str(f), check_inputs(info.inputs, load_arrays(f))) for f in job.files]
        given = given or [(f"drawn by seed {seed}", dict(self.draw(info, DRAWN, seed).arrays))]
        with open_session(
            job.bundle, job.runtime, job.device, job.threads, job.allow_fallback
        ) as session:
            size = info.inputs[0].shape[0]
            found = [(name, in_batches(session.run, arrays, size)) for name, arrays in given]
        if job.output is not None:
            _write(job.output, found[0][1])
        return {
            "bundle": job.bundle.name,
            "runtime": session.runtime,
            "runs": [{"inputs": name, "outputs": _told(arrays)} for name, arrays in found],
        }

    def show(self, result: Mapping[str, Any]) -> str:
        """Return one line per output."""
        keys = ("shape", "dtype", "min", "mean", "max")
        rows = [
            [run["inputs"], name, *(_short(about[key]) for key in keys)]
            for run in result["runs"]
            for name, about in run["outputs"].items()
        ]
        return table(["inputs", "output", *keys], rows)


def _write(path: Path, arrays: Mapping[str, Array]) -> None:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    write_atomic(path, stream.getvalue())


def _told(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {
        name: {
            "shape": list(a.shape),
            "dtype": a.dtype.name,
            "min": float(a.min()),
            "mean": float(a.mean(dtype=np.float64)),
            "max": float(a.max()),
            "values": a.tolist(),
        }
        for name, a in arrays.items()
    }


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


PLUGIN: Task = Tensor()
