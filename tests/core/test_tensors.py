"""Names, shapes, types and finiteness are checked once, at the public border."""

import numpy as np
import pytest

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import TensorSpec, check_inputs

IMAGE = TensorSpec("image", (None, 3, 4, 4), layout="NCHW", kind="image")
MASK = TensorSpec("mask", (None, 1), kind="mask")


def good(count=2):
    return {"image": np.zeros((count, 3, 4, 4), np.float32)}


def test_good_inputs_pass_and_become_contiguous():
    turned = np.zeros((2, 4, 4, 3), np.float32).transpose(0, 3, 1, 2)
    assert check_inputs([IMAGE], {"image": turned})["image"].flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "'image' is missing"),
        ({"imgae": np.zeros(1)}, "Did you mean 'image'?"),
        ({"image": np.zeros((2, 3, 4, 4))}, "must be float32, found float64"),
        ({"image": np.zeros((2, 3, 4, 5), np.float32)}, "must have shape Nx3x4x4, found 2x3x4x5"),
        ({"image": np.zeros((3, 4, 4), np.float32)}, "found 3x4x4"),
        ({"image": np.float32(1)}, "found a scalar"),
        ({"image": np.zeros((0, 3, 4, 4), np.float32)}, "found 0x3x4x4"),
        ({"image": np.full((1, 3, 4, 4), np.nan, np.float32)}, "NaN or infinity"),
        ({"image": np.full((1, 3, 4, 4), np.inf, np.float32)}, "NaN or infinity"),
    ],
)
def test_wrong_inputs_get_one_sentence(inputs, says):
    with pytest.raises(UsageError) as error:
        check_inputs([IMAGE], inputs)
    assert says in str(error.value)


def test_inputs_must_agree_on_the_batch():
    with pytest.raises(UsageError, match="disagree on the batch"):
        check_inputs([IMAGE, MASK], {**good(2), "mask": np.zeros((3, 1), np.float32)})


def test_specs_survive_json():
    spec = TensorSpec("x", (None, 2), "int8", "NC", "features", 0.5, -3)
    assert TensorSpec.from_json(spec.to_json()) == spec
