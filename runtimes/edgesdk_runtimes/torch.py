"""PyTorch, eager: opens checkpoints; the baseline every artefact is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle, Checkpoint, read_checkpoint
from edgesdk.core.protocols import Runtime, Session
from edgesdk.core.tensors import Arrays
from edgesdk_runtimes._session import BaseSession, distribution_version, use_threads


class TorchSession(BaseSession):
    """A student rebuilt from its checkpoint."""

    runtime = "torch"

    def __init__(self, bundle: Bundle, checkpoint: Checkpoint, device: str, threads: int) -> None:
        import torch

        super().__init__(bundle)
        self._threads = threads
        # By default a GPU rounds the products of fp32 convolutions to 10 bits.
        torch.backends.cudnn.allow_tf32 = False
        student = plugins.load(plugins.STUDENTS, checkpoint.student)
        self._module = student.load(checkpoint).to(device)
        self._device = device

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Run one batch."""
        import torch

        use_threads(self._threads)
        tensors = [torch.tensor(inputs[spec.name]) for spec in self.bundle.inputs]
        with torch.inference_mode():
            answer = self._module(*(t.to(self._device) for t in tensors))
        parts = answer if isinstance(answer, tuple) else (answer,)
        names = [spec.name for spec in self.bundle.outputs]
        return {n: part.cpu().numpy() for n, part in zip(names, parts, strict=True)}


def as_bundle(checkpoint: Checkpoint) -> Bundle:
    """Return a checkpoint in the form of a bundle, so that runtimes can open it."""
    student = plugins.load(plugins.STUDENTS, checkpoint.student)
    inputs, outputs = student.specs(checkpoint.config(student))
    return Bundle(
        path=checkpoint.path,
        model=checkpoint.model,
        task=checkpoint.task,
        target="checkpoint",
        precision="fp32",
        format="checkpoint",
        entry=checkpoint.weights_path.name,
        inputs=inputs,
        outputs=outputs,
        preprocess=checkpoint.preprocess,
        postprocess=checkpoint.postprocess,
        licence=checkpoint.licence,
        source_sha256=checkpoint.weights_sha256,
        verify={"file": "", "level": "host", "verdict": "skipped"},
        files={
            checkpoint.weights_path.name: {
                "sha256": checkpoint.weights_sha256,
                "bytes": checkpoint.weights_path.stat().st_size,
            }
        },
        thresholds=checkpoint.thresholds,
        runtimes=("torch",),
        cost=checkpoint.cost,
        metrics=checkpoint.metrics,
    )


def open_checkpoint(checkpoint: Checkpoint, device: str = "cpu", threads: int = 1) -> Session:
    """Open a checkpoint eagerly."""
    return TorchSession(as_bundle(checkpoint), checkpoint, device, threads)


class Torch:
    """The plug-in."""

    aliases = ("pytorch", "eager")
    extra = "train"
    requires = ("torch", "safetensors")
    formats = ("checkpoint",)
    kind = "native"

    def available(self) -> str | None:
        """Return None where torch is installed."""
        if plugins.missing(self):
            return "no torch; install it with: pip install 'edgesdk[train]'"
        return None

    def devices(self) -> Sequence[str]:
        """Return "cpu" and every CUDA device."""
        import torch

        return ("cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count())))

    def version(self) -> str:
        """Return the distribution and its version."""
        return distribution_version("torch")

    def open(self, bundle: Bundle, device: str, threads: int) -> Session:
        """Open a bundle made by `as_bundle`."""
        return TorchSession(bundle, read_checkpoint(bundle.path), device, threads)


PLUGIN: Runtime = Torch()
