"""Folded weights as safetensors with their meta.json; never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import publish, sha256_file, staging


def save_checkpoint(
    folder: Path,
    student_name: str,
    student: Any,
    config: Any,
    module: Any,
    *,
    licence: Mapping[str, str],
    provenance: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
) -> Checkpoint:
    """Fold `module` and write the checkpoint folder atomically.

    Args:
        folder: Where it shall lie.
        student_name: Plug-in name.
        student: The plug-in.
        config: Its configuration.
        module: The trained module, BatchNorm still inside or not.
        licence: {"weights": …, "data": …}.
        provenance: recipe, recipe_sha256, teacher, data, seed, commit.
        metrics: Measured values.
        thresholds: Fitted thresholds.
    """
    from safetensors.torch import save_file

    folded = student.folded(module)
    with staging(folder) as stage:
        tensors = {k: v.contiguous() for k, v in folded.state_dict().items()}
        save_file(tensors, stage / "model.safetensors")
        (stage / "model.safetensors").chmod(0o644)
        Checkpoint(
            path=stage,
            model=student.model_name(config),
            student=student_name,
            student_config=asdict(config),
            task=student.task,
            preprocess=student.preprocess(config),
            postprocess=student.postprocess(config),
            licence=licence,
            weights_sha256=sha256_file(stage / "model.safetensors"),
            thresholds=thresholds or {},
            metrics=metrics or {},
            cost=student.cost(config),
            provenance=provenance,
        ).write_meta()
        publish(stage, folder)
    return read_checkpoint(folder)


def load_weights(module: Any, checkpoint: Checkpoint) -> Any:
    """Load the checkpoint's tensors into a folded module and return it.

    Raises:
        EdgeSdkError: the tensors do not fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(checkpoint.weights_path))
    except (RuntimeError, SafetensorError) as error:
        first = str(error).splitlines()[0]
        raise EdgeSdkError(
            f"the weights of {checkpoint.path} do not fit {checkpoint.student} ({first}); "
            "train again"
        ) from None
    return module
