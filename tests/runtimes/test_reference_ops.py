"""The reference runtime's operators answer as ONNX Runtime does."""

import numpy as np
import pytest

from edgesdk.core.errors import UnsupportedError
from edgesdk_runtimes._reference_ops import OPS

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")


def by_onnxruntime(op, attrs, x, **constants):
    """Run a Resize, whose second input is left out, or an operator of x alone."""
    return run_node(op, attrs, x, {"": None, **constants} if constants else {})


def run_node(op, attrs, x, more):
    helper = onnx.helper
    node = helper.make_node(op, ["x", *more], ["y"], **attrs)
    stored = {name: value for name, value in more.items() if name}
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
        [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(value, name) for name, value in stored.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    return ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize(
    "attrs",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [1, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [3, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
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
    ("attrs", "sizes", "found"),
    [
        (LINEAR | {"antialias": 1}, [1, 1, 6, 6], "'antialias': 1"),
        (LINEAR | {"keep_aspect_ratio_policy": "not_larger"}, [1, 1, 6, 6], "not_larger"),
        (LINEAR | {"coordinate_transformation_mode": "tf_crop_and_resize"}, [1, 1, 6, 6], "tf_"),
        (LINEAR, None, "without factors or sizes"),
    ],
)
def test_what_a_resize_cannot_do_is_refused(attrs, sizes, found):
    sizes = None if sizes is None else np.array(sizes)
    with pytest.raises(UnsupportedError, match=found):
        OPS["Resize"](attrs, np.zeros((1, 1, 3, 3), np.float32), None, None, sizes)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("way", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
@pytest.mark.parametrize(("height", "width"), [(16, 24), (5, 12), (7, 9)])
def test_every_kind_of_resizing_answers_as_onnxruntime(mode, way, height, width):
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 12)).astype(np.float32)
    attrs = {"mode": mode, "coordinate_transformation_mode": way}
    if mode == "nearest" and way == "asymmetric":
        attrs["nearest_mode"] = "floor"
    scales = np.array([1, 1, height / 8, width / 12], np.float32)
    want = by_onnxruntime("Resize", attrs, x, scales=scales)
    np.testing.assert_allclose(OPS["Resize"](attrs, x, None, scales), want, atol=1e-5)


def test_a_shape_may_be_a_part():
    x = np.zeros((2, 3, 4, 5), np.float32)
    assert OPS["Shape"]({}, x).tolist() == [2, 3, 4, 5]
    assert OPS["Shape"]({"start": 0, "end": 2}, x).tolist() == [2, 3]


X = np.random.default_rng(0).normal(size=(2, 12, 4, 8)).astype(np.float32)


def drawn(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


# Operator, attributes, what it reads besides X.
CASES = [
    ("PRelu", {}, [drawn(1)]),
    ("PRelu", {}, [drawn(12, 1, 1)]),
    ("LeakyRelu", {"alpha": 0.3}, []),
    ("LeakyRelu", {}, []),
    ("Elu", {"alpha": 0.7}, []),
    ("HardSwish", {}, []),
    ("HardSigmoid", {"alpha": 1 / 6}, []),
    ("Gelu", {}, []),
    ("Gelu", {"approximate": "tanh"}, []),
    ("Mish", {}, []),
    ("Softplus", {}, []),
    ("Erf", {}, []),
    ("Tanh", {}, []),
    ("Sigmoid", {}, []),
    ("Softmax", {}, []),
    ("Softmax", {"axis": 1}, []),
    ("LogSoftmax", {"axis": 1}, []),
    ("LayerNormalization", {"axis": -1}, [drawn(8), drawn(8, seed=2)]),
    ("LayerNormalization", {"axis": 2, "epsilon": 1e-2}, [drawn(4, 8)]),
    ("InstanceNormalization", {}, [drawn(12), drawn(12, seed=2)]),
    ("GroupNormalization", {"num_groups": 3}, [drawn(12), drawn(12, seed=2)]),
    ("BatchNormalization", {}, [drawn(12), drawn(12), drawn(12), np.abs(drawn(12))]),
    ("LpNormalization", {"axis": 1}, []),
    ("LpNormalization", {"axis": 1, "p": 1}, []),
    ("ReduceL1", {}, [whole(1)]),
    ("ReduceL2", {"keepdims": 0}, [whole(1, 2)]),
    ("ReduceSumSquare", {}, [whole(-1)]),
    ("ReduceLogSumExp", {}, [whole(1)]),
    ("ReduceMin", {}, [whole(1)]),
    ("ReduceProd", {}, [whole(2)]),
    ("Conv", {"dilations": [2, 2], "pads": [2, 2, 2, 2]}, [drawn(4, 12, 3, 3), drawn(4)]),
    ("Conv", {"group": 3, "strides": [2, 1]}, [drawn(9, 4, 2, 3)]),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [drawn(4, 12, 2, 3)]),
    ("ConvTranspose", {"strides": [2, 2]}, [drawn(12, 5, 3, 3), drawn(5)]),
    (
        "ConvTranspose",
        {"strides": [2, 3], "pads": [1, 0, 1, 2], "output_padding": [1, 1], "group": 2},
        [drawn(12, 2, 3, 4)],
    ),
    ("ConvTranspose", {"dilations": [2, 1]}, [drawn(12, 2, 3, 3)]),
    ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, []),
    ("SpaceToDepth", {"blocksize": 2}, []),
    ("GlobalMaxPool", {}, []),
    ("Gather", {"axis": 1}, [whole(5, 0, -1)]),
    ("Slice", {}, [whole(1, 0), whole(5, 3), whole(1, 2)]),
    ("Slice", {}, [whole(-1), whole(-9), whole(3), whole(-2)]),
    ("Expand", {}, [whole(3, 2, 1, 1, 8)]),
    ("Pad", {}, [whole(0, 1, 0, 2, 0, 0, 1, 0), np.float32(0.5)]),
    ("Pad", {"mode": "reflect"}, [whole(0, 0, 1, 2, 0, 0, 1, 0)]),
    ("Tile", {}, [whole(1, 2, 1, 3)]),
    ("Einsum", {"equation": "bchw,cd->bdhw"}, [drawn(12, 5)]),
    ("Mod", {"fmod": 1}, [np.float32(0.7)]),
    ("Greater", {}, [np.float32(0.2)]),
    ("ArgMax", {"axis": 1, "keepdims": 0}, []),
    ("Log", {}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "attrs", "more"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)]
)
def test_an_operator_answers_as_onnxruntime(op, attrs, more):
    x = np.abs(X) if op in ("Log", "BatchNormalization") else X
    names = [f"c{n}" for n in range(len(more))]
    want = run_node(op, attrs, x, dict(zip(names, more, strict=True)))
    found = OPS[op](attrs, x, *more)
    assert found.dtype == want.dtype
    np.testing.assert_allclose(found, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", ["GRU", "LSTM"])
def test_a_recurrent_layer_answers_as_onnxruntime(op, direction):
    size, gates = 5, {"GRU": 3, "LSTM": 4}[op]
    ways = 2 if direction == "bidirectional" else 1
    x = drawn(7, 2, 4)
    more = {
        "w": drawn(ways, gates * size, 4) / 2,
        "r": drawn(ways, gates * size, size) / 2,
        "b": drawn(ways, 2 * gates * size),
    }
    for late in (0, 1) if op == "GRU" else (None,):
        attrs = {"hidden_size": size, "direction": direction}
        attrs |= {} if late is None else {"linear_before_reset": late}
        want = run_node(op, attrs, x, more)
        found = OPS[op](attrs, x, *more.values())[0]
        np.testing.assert_allclose(found, want, atol=1e-5)


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "said"),
    [
        ("LSTM", {"hidden_size": 2, "activations": ["Relu", "Tanh", "Tanh"]}, (X,) * 3, "no LSTM"),
        ("Pad", {"mode": "wrap"}, (X, whole(0, 0, 0, 1, 0, 0, 0, 1)), "no Pad wrap"),
        ("Pad", {}, (X, whole(0, 0, 0, -1, 0, 0, 0, 0)), "no Pad constant"),
        ("ConvTranspose", {"output_shape": [9, 9]}, (X, drawn(6, 2, 3, 3)), "no ConvTranspose"),
        ("Cast", {"to": 8}, (X,), "no Cast"),
    ],
)
def test_what_an_operator_cannot_do_is_refused(op, attrs, inputs, said):
    with pytest.raises(UnsupportedError, match=said):
        OPS[op](attrs, *inputs)


def test_split_and_range():
    x = np.arange(14.0).reshape(2, 7)
    assert [p.shape[1] for p in OPS["Split"]({"axis": 1}, x, whole(2, 5))] == [2, 5]
    assert [p.shape[1] for p in OPS["Split"]({"axis": 1, "num_outputs": 3}, x)] == [3, 3, 1]
    numbers = OPS["Range"]({}, np.int64(1), np.int64(8), np.int64(3))
    assert (numbers.tolist(), numbers.dtype) == ([1, 4, 7], np.int64)
    assert OPS["Div"]({}, whole(-7, 7), whole(2, 2)).tolist() == [-3, 3]
