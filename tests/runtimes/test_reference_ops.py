"""The reference runtime's operators answer as ONNX Runtime does."""

import numpy as np
import pytest

from edgesdk.core.errors import UnsupportedError
from edgesdk_runtimes._reference_ops import OPS

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")


def by_onnxruntime(op, attrs, x, **constants):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    inputs = ["x", "", *constants] if constants else ["x"]
    node = helper.make_node(op, inputs, ["y"], **attrs)
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", kind, list("nchw"))],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize(
    "attrs",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [1, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]},
    ],
)
def test_pools_answer_as_onnxruntime(op, attrs):
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 9)).astype(np.float32)
    np.testing.assert_allclose(OPS[op](attrs, x), by_onnxruntime(op, attrs, x), atol=1e-6)


def test_padding_counts_where_the_average_says_so():
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    attrs = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
    want = by_onnxruntime("AveragePool", attrs, x)
    np.testing.assert_allclose(OPS["AveragePool"](attrs, x), want, atol=1e-6)


LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 48), (25, 7), (31.2, 24)])
def test_resizing_answers_as_onnxruntime(height, width):
    x = np.random.default_rng(0).normal(size=(2, 3, 24, 24)).astype(np.float32)
    scales = np.array([1, 1, height / 24, width / 24], np.float32)
    want = by_onnxruntime("Resize", LINEAR, x, scales=scales)
    np.testing.assert_allclose(OPS["Resize"](LINEAR, x, None, scales), want, atol=1e-5)


def test_resizing_to_a_size_is_by_that_size():
    x = np.random.default_rng(0).normal(size=(2, 3, 24, 24)).astype(np.float32)
    sizes = np.array([2, 3, 32, 12])
    want = OPS["Resize"](LINEAR, x, None, np.array([1, 1, 4 / 3, 0.5], np.float32))
    np.testing.assert_allclose(OPS["Resize"](LINEAR, x, None, None, sizes), want, atol=1e-5)


@pytest.mark.parametrize(
    ("attrs", "shape", "sizes", "found"),
    [
        ({}, (1, 1, 3, 3), [1, 1, 6, 6], "linear half_pixel"),
        (LINEAR | {"antialias": 1}, (1, 1, 3, 3), [1, 1, 6, 6], "linear half_pixel"),
        (LINEAR | {"keep_aspect_ratio_policy": "not_larger"}, (1, 1, 3, 3), [1, 1, 6, 6], "half_"),
        (LINEAR, (1, 3, 3), [1, 6, 6], "linear half_pixel"),
        (LINEAR, (1, 1, 3, 3), [1, 2, 6, 6], "no Resize of batch"),
        (LINEAR, (1, 1, 3, 3), None, "without factors or sizes"),
    ],
)
def test_what_a_resize_cannot_do_is_refused(attrs, shape, sizes, found):
    sizes = None if sizes is None else np.array(sizes)
    with pytest.raises(UnsupportedError, match=found):
        OPS["Resize"](attrs, np.zeros(shape, np.float32), None, None, sizes)


def test_a_shape_may_be_a_part():
    x = np.zeros((2, 3, 4, 5), np.float32)
    assert OPS["Shape"]({}, x).tolist() == [2, 3, 4, 5]
    assert OPS["Shape"]({"start": 0, "end": 2}, x).tolist() == [2, 3]


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
def test_what_a_pool_cannot_do_is_refused(op):
    attrs = {"kernel_shape": [2, 2], "ceil_mode": 1}
    with pytest.raises(UnsupportedError, match=f"no {op} with ceil_mode"):
        OPS[op](attrs, np.zeros((1, 1, 3, 3), np.float32))
