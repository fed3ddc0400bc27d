"""Operators of the Core ML interpreter beside what numpy says."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core.errors import UnsupportedError  # noqa: E402
from edgesdk_runtimes._coreml_ops import operators  # noqa: E402

pytestmark = pytest.mark.torch
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def run(name, **given):
    return operators()[name]({"x": torch.from_numpy(X), **given}).numpy()


@pytest.mark.parametrize("axes", [None, [0], [1, -1]])
def test_reverse_turns_the_axes_around(axes):
    assert np.array_equal(run("reverse", axes=axes), np.flip(X, axes))


def test_gather_nd_takes_the_named_places():
    places = np.array([[[0, 1], [1, -1]], [[1, 0], [0, 0]]], np.int32)
    assert np.array_equal(run("gather_nd", indices=places), X[places[..., 0], places[..., 1]])
    whole = np.array([[1, 2, 3]], np.int32)
    assert run("gather_nd", indices=whole) == X[1, 2, 3]
    with pytest.raises(UnsupportedError, match="gather_nd by batch"):
        run("gather_nd", indices=places, batch_dims=1)
