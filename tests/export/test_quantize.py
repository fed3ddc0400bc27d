"""Lower precisions of ONNX graphs that are not ours."""

from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

from edgesdk.core.compare import measure  # noqa: E402
from edgesdk_export._float_layers import text_of, told_of_file  # noqa: E402
from edgesdk_export._graph import stamp  # noqa: E402
from edgesdk_export._quantize import to_int8  # noqa: E402
from edgesdk_export.onnx import decisions  # noqa: E402

EXACT = ort.SessionOptions()
# As edgesdk's runtime does: without VNNI int8 products overflow 16 bits otherwise.
EXACT.add_session_config_entry("session.x64quantprecision", "1")
REDUCTIONS = ["ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceSumSquare", "ReduceMax"]


def product_and_length(reduction):
    """Return a model of opset 18: a product, over its length, which takes the items' shape."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    value = helper.make_tensor_value_info
    arrays = {
        "w": np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32),
        "axes": np.array([-1], np.int64),
        "least": np.float32([1e-12]),
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["features"], "product"),
            helper.make_node(reduction, ["features", "axes"], ["length"], keepdims=1),
            helper.make_node("Max", ["length", "least"], ["safe"]),
            helper.make_node("Shape", ["features"], ["sizes"]),
            helper.make_node("Expand", ["safe", "sizes"], ["lengths"]),
            helper.make_node("Div", ["features", "lengths"], ["y"]),
        ],
        "head",
        [value("x", 1, ["batch", 12])],
        [value("y", 1, ["batch", 8])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("for_gpu", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_int8_takes_a_reduction_whose_axes_are_an_input(reduction, for_gpu, tmp_path):
    onnx.save(product_and_length(reduction), tmp_path / "exact.onnx")
    x = np.random.default_rng(1).uniform(0.2, 1, (64, 12)).astype(np.float32)
    to_int8(tmp_path / "exact.onnx", tmp_path / "int8.onnx", {"x": x}, {}, for_gpu=for_gpu)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    assert "QuantizeLinear" in {node.op_type for node in graph.node}
    want, found = (
        ort.InferenceSession(tmp_path / name, EXACT).run(None, {"x": x})[0]
        for name in ("exact.onnx", "int8.onnx")
    )
    assert measure(want, found).snr_db > 25


def filter_and_convolution():
    """Return a model of a product with a matrix, a weight and two convolutions."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    value = helper.make_tensor_value_info
    random = np.random.default_rng(0)
    shapes = {"waves": (8, 8), "weights": (8, 8), "first": (4, 3, 3, 3), "second": (4, 4, 3, 3)}
    arrays = {n: random.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    nodes = [
        helper.make_node("MatMul", ["x", "waves"], ["spectrum"], "filter"),
        helper.make_node("Mul", ["spectrum", "weights"], ["clue"], "weigh"),
        helper.make_node("Conv", ["clue", "first"], ["maps"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["maps", "second"], ["y"], "second", pads=[1, 1, 1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "clue",
        [value("x", 1, ["batch", 3, 8, 8])],
        [value("y", 1, ["batch", 4, 8, 8])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_int8_leaves_what_leads_to_the_first_convolution_in_float(tmp_path):
    onnx.save(filter_and_convolution(), tmp_path / "exact.onnx")
    x = np.random.default_rng(1).uniform(-1, 1, (32, 3, 8, 8)).astype(np.float32)
    to_int8(tmp_path / "exact.onnx", tmp_path / "int8.onnx", {"x": x}, {})
    graph = onnx.load(tmp_path / "int8.onnx").graph
    coded = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    products = [n for n in graph.node if n.op_type in ("Conv", "MatMul")]
    in_int8 = {n.name for n in products if n.input[1] in coded}
    assert in_int8 == {"second"}


def test_int8_leaves_the_nodes_that_the_file_says_stay_in_float(tmp_path):
    model = filter_and_convolution()
    stamp(model, text_of({"Late": ["second"]}))
    onnx.save(model, tmp_path / "exact.onnx")
    x = np.random.default_rng(1).uniform(-1, 1, (32, 3, 8, 8)).astype(np.float32)
    to_int8(tmp_path / "exact.onnx", tmp_path / "int8.onnx", {"x": x}, {})
    graph = onnx.load(tmp_path / "int8.onnx").graph
    assert not [n for n in graph.node if n.op_type == "DequantizeLinear"]
    assert told_of_file(tmp_path / "int8.onnx") == ["int8: Late stays in float"]


def test_an_int8_file_says_what_another_runtime_must_be_told(tmp_path):
    """Elsewhere than in edgesdk nobody sets the option, and answers may be wrong in silence."""
    onnx.save(filter_and_convolution(), tmp_path / "model.onnx")
    job = SimpleNamespace(precision="int8", source=SimpleNamespace(precision="fp32"))
    said = " ".join(decisions(job, tmp_path / "model.onnx"))
    assert "session.x64quantprecision is 1" in said
