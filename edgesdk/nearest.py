"""The nearest of many embeddings: all are compared in 4 bits a value, the best of them exactly.

The product of a probe with a million rows is bound by the memory that it reads; 4 bits are an
eighth of it. ONNX Runtime has the product (MatMulNBits, made for language models). There is no
index to build, to keep or to forget in: a graph of neighbours (HNSW) was slower and less exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesdk.core.onnx_wire import product_of_4_bits
from edgesdk.core.tensors import Array

VALUES = 128  # of one scale
TOP = 7  # largest code
CHUNK = 65_536  # rows that are coded at once
GROUPS = 8  # of scores per wanted one: their highest are looked at first


class Coarse:
    """Rows of unit length in 4 bits a value, to be compared with a probe on one thread.

    Args:
        rows: float32 [N, D].
    """

    def __init__(self, rows: Array) -> None:
        import onnxruntime

        self._count = len(rows)
        self._session: Any = None
        if not len(rows):
            return
        codes, scales = _coded(rows)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        model = product_of_4_bits(codes, scales, rows.shape[1], VALUES)
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def __len__(self) -> int:
        return self._count

    def products(self, row: Array) -> Array:
        """Return about the products [N] of a row [D] with all rows."""
        if self._session is None:
            return np.empty(0, np.float32)
        found: list[Array] = self._session.run(None, {"row": row[None]})
        return np.reshape(found[0], -1)


def _coded(rows: Array) -> tuple[Array, Array]:
    """Return codes uint8 [N, blocks, 64] and scales float32 [N * blocks]."""
    count, dim = rows.shape
    blocks = -(-dim // VALUES)
    codes = np.empty((count, blocks, VALUES // 2), np.uint8)
    scales = np.empty((count, blocks), np.float32)
    for start in range(0, count, CHUNK):
        part = np.zeros((len(rows[start : start + CHUNK]), blocks * VALUES), np.float32)
        part[:, :dim] = rows[start : start + CHUNK]
        part = part.reshape(-1, blocks, VALUES)
        scale = np.maximum(np.abs(part).max(2), np.finfo(np.float32).tiny * TOP) / TOP
        values = (np.rint(part / scale[..., None]) + TOP + 1).astype(np.uint8)
        codes[start : start + CHUNK] = values[..., ::2] | values[..., 1::2] << 4
        scales[start : start + CHUNK] = scale
    return codes, scales.reshape(-1)


def highest(scores: Array, count: int) -> Array:
    """Return where the `count` highest of scores [N] are, and perhaps a few more; all if fewer.

    Of groups of scores the highest ones tell from where on to look: far quicker than sorting.
    """
    if len(scores) <= count:
        return np.arange(len(scores))
    size = len(scores) // (GROUPS * count)
    if size < 2:
        return np.argpartition(scores, -count)[-count:]
    tops = scores[: GROUPS * count * size].reshape(-1, size).max(1)
    return np.flatnonzero(scores >= np.partition(tops, -count)[-count])
