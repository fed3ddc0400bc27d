"""Arrays and some words about them in one file, in the safetensors form, by numpy alone.

Eight bytes tell the length of a JSON header, then come the header and the arrays, one after
the other: https://github.com/huggingface/safetensors. Nothing in such a file is code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_atomic
from edgesdk.core.tensors import Array
from edgesdk.core.typed import MALFORMED, check_known, check_plain

KINDS = {"F32": "<f4", "I32": "<i4", "U8": "|u1"}
LARGEST_HEAD = 2**20
ABOUT = "__metadata__"
ENTRY = {"dtype": str, "shape": list[int], "data_offsets": list[int]}
HEAD = 8  # bytes of the header's length


def write_tensors(path: Path, about: Mapping[str, str], arrays: Mapping[str, Array]) -> None:
    """Write arrays and words about them; an older file stays until the new one is whole.

    Args:
        path: The file.
        about: Words by name.
        arrays: Arrays by name, of float32, int32 or uint8.

    Raises:
        EdgeSdkError: the file cannot be written.
    """
    names = {np.dtype(kind): name for name, kind in KINDS.items()}
    rows = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)  # each lies aligned
    ends = list(accumulate(array.nbytes for _, array in rows))
    head: dict[str, Any] = {ABOUT: dict(about)}
    for (name, array), end in zip(rows, ends, strict=True):
        place = [end - array.nbytes, end]
        head[name] = {"dtype": names[array.dtype], "shape": [*array.shape], "data_offsets": place}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % HEAD)
    parts = (np.ascontiguousarray(array).data.cast("B") for _, array in rows if array.size)
    write_atomic(path, len(text).to_bytes(HEAD, "little"), text, *parts)


def holds_tensors(path: Path) -> bool:
    """Tell whether a file begins as one of this form does."""
    with path.open("rb") as stream:
        start = stream.read(HEAD + 1)
    return start[HEAD:] == b"{" and int.from_bytes(start[:HEAD], "little") <= LARGEST_HEAD


def read_tensors(path: Path, what: str) -> tuple[dict[str, str], dict[str, Array]]:
    """Return the words and the arrays of a file; only what it really holds is allocated.

    Raises:
        UsageError: it is missing, damaged or cut off.
    """
    try:
        with path.open("rb") as stream:
            head, begin = _head(stream)
            about = head.pop(ABOUT, {})
            check_known("about", about, dict.fromkeys(about, str), ())
            size = path.stat().st_size - begin
            return about, {name: _array(stream, begin, size, one) for name, one in head.items()}
    except FileNotFoundError:
        raise UsageError(f"{what} {path} does not exist; check the path") from None
    except MALFORMED as error:
        raise UsageError(f"{what} {path} is damaged ({error}); make it again") from None


def _head(stream: IO[bytes]) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(stream.read(HEAD), "little")
    if length > LARGEST_HEAD:
        raise ValueError(f"a header of {length:,} bytes")
    head = json.loads(stream.read(length))
    check_plain(head)
    if not isinstance(head, dict):
        raise TypeError("the header is no mapping")
    return head, HEAD + length


def _array(stream: IO[bytes], begin: int, size: int, entry: Any) -> Array:
    check_known("array", entry, ENTRY, ENTRY)
    kind, shape = np.dtype(KINDS[entry["dtype"]]), entry["shape"]
    start, end = entry["data_offsets"]
    count = prod(shape)
    if min(shape, default=0) < 0 or not 0 <= start <= end <= size:
        raise ValueError(f"an array from byte {start} to {end} of {size}")
    if end - start != count * kind.itemsize:
        raise ValueError(f"an array {shape} of {end - start} bytes")
    stream.seek(begin + start)
    return np.fromfile(stream, kind, count).reshape(shape)
