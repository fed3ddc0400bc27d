"""Put a trained checkpoint into the zoo with licence and ONNX bundle, whole or not at all."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, chdir
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import edgesdk
from edgesdk.core.bundle import Bundle, Checkpoint, read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_file, write_atomic
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint
from edgesdk.core.stages import publish, staging


def checkpoint_of(run: Path) -> Checkpoint:
    """Return the checkpoint of a run's folder, or the one that lies at `run` itself."""
    return read_checkpoint(run / "checkpoint" if (run / "checkpoint").is_dir() else run)


def changed(source: Checkpoint, state: Any, folder: Path, **more: Any) -> Checkpoint:
    """Return a checkpoint in `folder` with other weights, and what else differs."""
    from safetensors.torch import save_file

    if folder.exists():
        raise UsageError(f"{folder} is there already; move it away, or choose another place")
    folder.mkdir(parents=True)
    path = folder / source.weights_path.name
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    path.chmod(0o644)
    return replace(source, path=folder, weights_sha256=sha256_file(path), **more)


def put(ready: Checkpoint, licence: str, data: str | None = None) -> Bundle:
    """Write the zoo's checkpoint and bundle of `ready`; what fails its gate leaves it as it is.

    Args:
        ready: What shall be shipped; its weights are read where they lie.
        licence: Text of LICENSE.weights.
        data: What the gate judges the bundle on and fits its thresholds on; None for numbers alone.
    """
    homes = shipped_checkpoint(ready.model), shipped_bundle(ready.model)
    place_of_data = str(Path(data).resolve()) if data and Path(data).exists() else data
    with TemporaryDirectory() as place, ExitStack() as stack:
        home = Path(place) / ready.model
        home.mkdir()
        shutil.copyfile(ready.weights_path, home / ready.weights_path.name)
        write_atomic(home / "LICENSE.weights", licence.encode())
        replace(ready, path=home).write_meta()
        # By its bare name, for the card tells what was asked; beside no other weights of that name.
        with chdir(place):
            bundle = edgesdk.export(
                ready.model, target="onnx", data=place_of_data, output_dir=Path(place) / "bundles"
            )
        replace(ready, path=home, thresholds=bundle.thresholds).write_meta()
        stages = [stack.enter_context(staging(final)) for final in homes]
        for made, stage in zip((home, bundle.path), stages, strict=True):
            shutil.copytree(made, stage, dirs_exist_ok=True)
        for stage, final in zip(stages, homes, strict=True):
            publish(stage, final)
    return bundle
