"""Named tensors: their specification and the one check at the public border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.typed import check_types

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

MOST_ITEMS = 2**28  # of one item of a batch: 1 GiB of float32
DTYPES = (
    "bool", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of an artefact.

    Attributes:
        name: The tensor's name, as in the graph.
        shape: Sizes; None is a free dimension (the batch).
        dtype: numpy name of the element type seen by the caller.
        layout: Letters per axis, such as "NCHW" or "NC".
        kind: image, mask, tokens, features, embedding or raw.
        scale: Step of the integer code inside the file, None for floats.
        zero_point: Integer code of 0.0, None for floats.
        range: Smallest and largest value that callers give, None where it is not told.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    layout: str = ""
    kind: str = "raw"
    scale: float | None = None
    zero_point: int | None = None
    range: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; a range that is not told is left out."""
        data = asdict(self) | {"shape": list(self.shape)}
        told = data.pop("range")
        return data if told is None else {**data, "range": list(told)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TensorSpec:
        """Rebuild from `to_json`'s dictionary.

        Raises:
            TypeError: a field is absent, unknown, or of the wrong type.
            ValueError: the shape or the dtype makes no sense.
        """
        lists = {key: tuple(data[key]) for key in ("shape", "range") if data.get(key) is not None}
        spec = cls(**{**data, **lists})
        check_types(spec)
        if not spec.shape or not all(n is None or 0 < n < MOST_ITEMS for n in spec.shape):
            raise ValueError(f"tensor {spec.name!r} has shape {spec.shape}")
        if spec.dtype not in DTYPES:
            raise ValueError(f"tensor {spec.name!r} has dtype {spec.dtype!r}")
        if spec.range is not None and not -np.inf < spec.range[0] <= spec.range[1] < np.inf:
            raise ValueError(f"tensor {spec.name!r} has range {spec.range}")
        return spec


def all_finite(array: Array) -> bool:
    """Tell whether an array holds neither NaN nor infinity; numpy's `all` takes four times this."""
    return 0 not in np.isfinite(array).tobytes()


class InputCheck:
    """`check_inputs` for one artefact: a batch like the one before costs two microseconds.

    Names, types and shapes are compared with those that passed last; values are looked at each
    time. Whatever differs is checked in full, which words the error as well.
    """

    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = tuple(specs)
        self._last: list[tuple[str, tuple[int, ...], np.dtype[Any]]] = []

    def __call__(self, inputs: Arrays) -> Arrays:
        """Return `inputs` as C-contiguous arrays; raises as `check_inputs` does."""
        if self._is_like_the_last(inputs):
            return inputs
        checked = check_inputs(self._specs, inputs)
        # One new list: another thread may be reading the old one.
        self._last = [(name, array.shape, array.dtype) for name, array in checked.items()]
        return checked

    def _is_like_the_last(self, inputs: Arrays) -> bool:
        last = self._last
        try:
            for name, shape, dtype in last:
                array = inputs[name]
                if (
                    type(array) is not np.ndarray
                    or array.shape != shape
                    or array.dtype is not dtype
                    or not array.flags.c_contiguous
                    or 0 in np.isfinite(array).tobytes()
                ):
                    return False
            return 0 < len(last) == len(inputs)
        except (TypeError, LookupError):  # no dictionary, or an input is missing
            return False


def check_inputs(specs: Sequence[TensorSpec], inputs: Arrays) -> dict[str, Array]:
    """Return `inputs` as C-contiguous arrays after checking them against `specs`.

    Raises:
        UsageError: `inputs` is no dictionary of arrays, a name, dtype or shape differs, or a
            value is not finite.
    """
    wanted = [spec.name for spec in specs]
    if not isinstance(inputs, Mapping):
        raise UsageError(
            f"inputs must be a dictionary of input name -> array, found "
            f"{type(inputs).__name__}; pass {{{', '.join(f'{name!r}: array' for name in wanted)}}}"
        )
    for name in inputs:
        if name not in wanted:
            raise UsageError(f"unknown input {name!r}. {did_you_mean(str(name), wanted)}")
    checked = {}
    for spec in specs:
        if spec.name not in inputs:
            raise UsageError(f"input {spec.name!r} is missing; pass {{{', '.join(wanted)}}}")
        checked[spec.name] = _check_one(spec, _as_array(spec, inputs[spec.name]))
    sizes = {name: len(a) for name, a in checked.items() if a.ndim}
    if len(set(sizes.values())) > 1:
        raise UsageError(f"inputs disagree on the batch size: {sizes}")
    return checked


def _as_array(spec: TensorSpec, value: Any) -> Array:
    try:
        return np.asarray(value)
    except Exception as error:  # noqa: BLE001 - whatever an object's own conversion raises
        raise UsageError(
            f"input {spec.name!r} must be a numpy array, found {type(value).__name__} that is "
            f"none ({' '.join(str(error).split())[:100]})"
        ) from None


def _check_one(spec: TensorSpec, array: Array) -> Array:
    if array.dtype != np.dtype(spec.dtype):
        raise UsageError(
            f"input {spec.name!r} must be {spec.dtype}, found {array.dtype}; "
            f"convert it with .astype('{spec.dtype}')"
        )
    fits = array.ndim == len(spec.shape) and all(
        want is None or want == got for want, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits or array.size == 0:
        want = "x".join("N" if size is None else str(size) for size in spec.shape)
        got = "x".join(map(str, array.shape)) or "a scalar"
        raise UsageError(f"input {spec.name!r} must have shape {want}, found {got}")
    if not all_finite(array):
        raise UsageError(f"input {spec.name!r} holds NaN or infinity; clean it before running")
    return np.ascontiguousarray(array)
