import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.core.errors import UsageError
from edgesdk.core.onnx_wire import beginning, mended, metadata

onnx = pytest.importorskip("onnx", reason="builds test graphs with onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

RNG = np.random.default_rng(0)
CODES = RNG.integers(-128, 128, (4, 6), np.int8)
SCALE = RNG.uniform(0.01, 0.1, (4, 2)).astype(np.float32)
ZERO = RNG.integers(-5, 6, (4, 2), np.int8)
# Vectors with one scale for all carry the block size too, which ONNX Runtime refuses to run.
BIAS, BIAS_SCALE, BIAS_ZERO = np.array([3, -4], np.int8), np.float32([0.5]), np.int8([1])


def published(packed=False) -> bytes:
    """Return y = (x @ dequantized + shift) with every fault that `mended` repairs."""
    weights = {
        "w": CODES, "w_s": SCALE, "w_z": ZERO, "b": BIAS, "b_s": BIAS_SCALE, "b_z": BIAS_ZERO,
        "axes": np.array([1], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "w_s", "w_z"], ["wf"], axis=1, block_size=3),
        helper.make_node("DequantizeLinear", ["b", "b_s", "b_z"], ["bf"], axis=0, block_size=64),
        helper.make_node("MatMul", ["x", "wf"], ["product"]),
        helper.make_node("ReduceSum", ["product", "axes"], ["total"], keepdims=1),
        helper.make_node("Add", ["total", "bf"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", 1, [1, 4]), value("old_weight", 1, [5, 5])],
        [value("y", 1, [1, 2])],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()],
        value_info=[value("product", 1, [1, 6])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model.SerializeToString()


def reference(x):
    scale, zero = np.repeat(SCALE, 3, 1), np.repeat(ZERO, 3, 1).astype(np.float32)
    product = x @ ((CODES - zero) * scale)
    return product.sum(1, keepdims=True) + (BIAS - np.float32(1)) * np.float32(0.5)


def test_the_mended_model_is_valid_and_runs_at_any_batch():
    onnxruntime = pytest.importorskip("onnxruntime")
    model = mended(published(), {"x": ("batch", 4)}, {"y": ("batch", 2)})
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("x", ["batch", 4])]
    x = RNG.normal(size=(7, 4)).astype(np.float32)
    np.testing.assert_allclose(session.run(["y"], {"x": x})[0], reference(x), rtol=1e-5)


def test_the_published_form_is_refused_by_onnx_runtime():
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match=r"block_size|Missing Input|old_weight"):
        onnxruntime.InferenceSession(published(), options, providers=["CPUExecutionProvider"]).run(
            None, {"x": np.ones((1, 4), np.float32)}
        )


def test_what_is_not_asked_for_stays():
    before = onnx.load_from_string(published())
    after = onnx.load_from_string(mended(published(), {"x": (1, 4)}, {"y": (1, 2)}))
    assert after.opset_import == before.opset_import
    assert [n.op_type for n in after.graph.node] == ["MatMul", "ReduceSum", "Add"]
    tensors = {t.name: numpy_helper.to_array(t) for t in after.graph.initializer}
    assert tensors["axes"].tolist() == [1]
    assert tensors["bf"] == pytest.approx([1.0, -2.5])
    assert len(after.graph.value_info) == 0


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x07", b"\x3a\xff\xff\xff\xff\x0f"])
def test_other_files_are_one_sentence(data):
    with pytest.raises(UsageError, match="get it again"):
        mended(data, {"x": (1, 4)}, {"y": (1, 2)})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_one_sentence_or_another_model(data):
    damaged = bytearray(published())
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UsageError):  # any other exception fails the test
        assert mended(bytes(damaged), {"x": (1, 4)}, {"y": (1, 2)})


def test_a_model_ends_where_it_is_told_and_tells_of_itself():
    onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
    ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    value = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("Neg", ["x"], ["n"], "first"),
        onnx.helper.make_node("Relu", ["n"], ["y"], "second"),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", 1, [2])], [value("y", 1, [2])])
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.helper.set_model_props(model, {"told": "much"})
    content = model.SerializeToString()
    assert metadata(content) == {"told": "much"}
    session = ort.InferenceSession(beginning(content, "first"))
    (found,) = session.run(None, {"x": np.array([1, -2], np.float32)})
    assert found.tolist() == [-1, 2]
    with pytest.raises(UsageError, match="no node 'third'"):
        beginning(content, "third")
