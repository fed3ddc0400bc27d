"""Folded weights as safetensors with their meta.json; never a pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import Checkpoint, read_checkpoint
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import sha256_file
from edgesdk.core.stages import publish, staging


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
    reading: Mapping[str, Any] | None = None,
    labels: Sequence[str] = (),
    ledger: Mapping[str, Any] | None = None,
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
        reading: What was learnt of how inputs and outputs are read, such as a vocabulary.
        labels: Class names.
        ledger: What protects private data, and how well.
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
            postprocess={**student.postprocess(config), **(reading or {})},
            licence=licence,
            weights_sha256=sha256_file(stage / "model.safetensors"),
            thresholds=thresholds or {},
            labels=tuple(labels),
            ledger=ledger or {},
            metrics=metrics or {},
            cost=student.cost(config),
            provenance=provenance,
        ).write_meta()
        publish(stage, folder)
    return read_checkpoint(folder)


def load_weights(
    module: Any,
    checkpoint: Checkpoint,
    may_miss: frozenset[str] = frozenset(),
    resize: bool = False,
    prefix: str = "",
) -> Any:
    """Load the checkpoint's tensors into a folded module and return it.

    Args:
        module: The network.
        checkpoint: The stored weights.
        may_miss: Tensors of the network that the checkpoint need not hold.
        resize: Whether kernels of another size are interpolated.
        prefix: Of the tensors' names: `module` is this part of the stored network.

    Raises:
        EdgeSdkError: the tensors do not fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(checkpoint.weights_path)
        tensors = {k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)}
        whole = module.state_dict()
        own = {k: v for k, v in whole.items() if k in may_miss}
        if resize:
            tensors = {k: _resized(v, whole.get(k, v)) for k, v in tensors.items()}
        module.load_state_dict(own | tensors)
    except (RuntimeError, SafetensorError) as error:
        # Torch names the first tensor that does not fit below a headline.
        what = str(error).splitlines()[:2][-1].strip(" \t.")
        raise EdgeSdkError(
            f"the weights of {checkpoint.path} do not fit {checkpoint.student} ({what}); "
            "train again"
        ) from None
    return module


def warm_start(module: Any, checkpoint: Checkpoint, sample: Any, prefix: str = "") -> Any:
    """Give a network in training form a folded checkpoint's weights and return it.

    Every BatchNorm is set so that it leaves `sample` unchanged, which undoes the folding.

    Args:
        module: A fresh network with the layers of the checkpoint.
        checkpoint: Of the same student, at any size; kernels that grow with the size of the
            face are interpolated.
        sample: Inputs [N, 3, S, S] whose statistics the BatchNorms take.
        prefix: As in `load_weights`.

    Raises:
        EdgeSdkError: the tensors do not fit the network.
    """
    import torch
    from torch import nn

    norms = {n: m for n, m in module.named_modules() if isinstance(m, nn.BatchNorm2d)}
    missing = {f"{n}.{key}" for n, norm in norms.items() for key in norm.state_dict()}
    load_weights(module, checkpoint, frozenset(missing), resize=True, prefix=prefix)
    hooks = [norm.register_forward_pre_hook(_leave_unchanged) for norm in norms.values()]
    module.train()
    with torch.no_grad():
        module(sample)
    for hook in hooks:
        hook.remove()
    return module


def draw_back(module: Any, checkpoint: Checkpoint, keep: float, prefix: str = "") -> None:
    """Draw a folded module's weights towards those that its training began with.

    The mean of both often bears faces of another kind better than either (Wortsman et al.
    2022, "Robust fine-tuning of zero-shot models").

    Args:
        module: The network; changed in place.
        checkpoint: Of the same student, at any size.
        keep: Part of the way, 0..1.
        prefix: As in `load_weights`.

    Raises:
        EdgeSdkError: the tensors do not fit the network.
    """
    first = load_weights(deepcopy(module), checkpoint, resize=True, prefix=prefix).state_dict()
    module.load_state_dict({k: v.lerp(first[k], keep) for k, v in module.state_dict().items()})


def _resized(kernel: Any, like: Any) -> Any:
    """Return [O, I, h, w] as high and wide as `like`; what it says of a flat map stays."""
    from torch.nn.functional import interpolate

    if kernel.ndim != 4 or kernel.shape[:2] != like.shape[:2] or kernel.shape == like.shape:
        return kernel
    resized = interpolate(kernel, like.shape[2:], mode="bilinear", align_corners=False)
    return resized * (kernel.shape[2:].numel() / like.shape[2:].numel())


def _leave_unchanged(norm: Any, inputs: tuple[Any, ...]) -> None:
    mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean)
