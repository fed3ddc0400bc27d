"""The layer that leaves the source, and int8 that leaves such layers in float."""

from types import SimpleNamespace

import numpy as np
import pytest

import edgesdk
from edgesdk import verify
from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.errors import GateFailedError, UnsupportedError
from edgesdk.core.jobs import BOTH, REST
from edgesdk.core.shipped import shipped_bundle
from edgesdk.core.verify import read_verification
from edgesdk_export._pipeline import ExportOptions, export_bundle

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")

from edgesdk_export._layers import Layer, compare_layers, first_leaving  # noqa: E402


def outlier_graph(batch="batch"):
    """Return a network whose middle values int8 cannot hold: one is a thousand times the rest."""
    rng = np.random.default_rng(0)
    node, value, stored = (
        onnx.helper.make_node, onnx.helper.make_tensor_value_info, onnx.numpy_helper.from_array
    )  # fmt: skip
    loud = np.ones(12, np.float32)
    loud[3] = 3000
    arrays = {
        "w1": rng.normal(size=(48, 12)).astype(np.float32) * loud,
        "w2": rng.normal(size=(12, 12)).astype(np.float32) / loud[:, None],
        "w3": rng.normal(size=(12, 8)).astype(np.float32),
        "b": np.zeros(8, np.float32),
    }
    graph = onnx.helper.make_graph(
        [
            node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
            node("Flatten", ["cells"], ["flat"]),
            node("MatMul", ["flat", "w1"], ["loud"], "first"),
            node("MatMul", ["loud", "w2"], ["even"], "second"),
            node("Gemm", ["even", "w3", "b"], ["embedding"], "third"),
        ],
        "outlier",
        [value("image", 1, [batch, 3, 16, 16])],
        [value("embedding", 1, [batch, 8])],
        [stored(array, name) for name, array in arrays.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.fixture
def loud(source):
    """Return a source bundle that int8 spoils in one layer."""
    onnx.save(outlier_graph(), source.entry_path)
    return seal(source)


@pytest.mark.parametrize("target", ["onnx", "tensorrt"])
def test_int8_leaves_the_layer_that_it_spoils_in_float(loud, out, target):
    if target == "tensorrt":
        pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")
    bundle = export_bundle(loud, ExportOptions(target, "int8", calib_samples=64), out)
    [said] = [text for text in bundle.decisions if text.startswith("int8 leaves")]
    assert "MatMul 'even', with what makes its inputs, in float: embedding: cosine p1" in said
    graph = onnx.load(bundle.path / "model.onnx").graph
    made = {n.output[0]: n.op_type for n in graph.node}
    [spoiled, whole] = (next(n for n in graph.node if n.name == x) for x in ("second", "third"))
    assert made.get(spoiled.input[0]) != "DequantizeLinear"
    assert made[whole.input[0]] == "DequantizeLinear"
    assert not read_verification(bundle.path / "verify.json").failed


def test_what_no_layer_saves_is_refused_with_the_first_numbers(loud, out, spoil):
    def change(folder, artefact):
        model = onnx.load(folder / artefact.entry)
        last = next(n for n in model.graph.node if "embedding" in n.output)
        last.output[0] = "before"
        model.graph.node.append(onnx.helper.make_node("Neg", ["before"], ["embedding"]))
        onnx.save(model, folder / artefact.entry)

    spoil("onnx", change)
    with pytest.raises(GateFailedError, match="leaves its source") as caught:
        export_bundle(loud, ExportOptions("onnx", "int8", calib_samples=64), out)
    assert "int8 leaves" not in str(caught.value)


def test_the_message_of_the_gate_names_the_layer(export, spoil):
    def change(folder, artefact):
        model = onnx.load(folder / artefact.entry)
        for tensor in model.graph.initializer:
            if tensor.name == "w":
                values = onnx.numpy_helper.to_array(tensor) * np.float32(1.1)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, "w"))
        onnx.save(model, folder / artefact.entry)

    spoil("onnx", change)
    with pytest.raises(
        GateFailedError, match="first layer that leaves its source is Gemm 'embedding': 2"
    ):
        export("onnx")


def test_bisect_wants_the_source(export):
    with pytest.raises(UnsupportedError, match="or leave --bisect out"):
        verify(export("onnx", "fp16").path, bisect=True)


def test_a_source_that_is_named_is_looked_into(tmp_path, monkeypatch):
    from tests.foreign import write

    work, given = tmp_path / "work", tmp_path / "given" / "x.onnx"
    work.mkdir()
    write(given)
    monkeypatch.chdir(work)
    bundle = edgesdk.export(given, target="onnx", precision="fp16")
    found = verify(bundle.path, source=given, bisect=True, audit=True)
    assert any(reason.startswith("no layer leaves its source") for reason in found.reasons)
    assert sum(reason.startswith("audit: ") for reason in found.reasons) == 3


@pytest.mark.skipif(not shipped_bundle("bridge-face").is_dir(), reason="no shipped bundle")
@pytest.mark.parametrize(("precision", "least"), [("fp16", 35), ("int8", 15)])
def test_the_layers_of_a_shipped_model_stay_with_their_source(precision, least, tmp_path):
    source = read_bundle(shipped_bundle("bridge-face"))
    bundle = export_bundle(source, ExportOptions("onnx", precision), tmp_path)
    x = source.preprocess["image"](
        [np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)] * 4
    )
    layers = compare_layers(source.entry_path, bundle.entry_path, {"image": x}, None)
    assert len(layers) > 12
    assert first_leaving(layers, precision) is None
    assert min(layer.snr_db for layer in layers) > least
    assert any(layer.in_int8 for layer in layers) == (precision == "int8")
    found = verify(bundle.path, bisect=True)
    assert found.verdict == "pass"
    assert found.reasons[-1].startswith("no layer leaves its source: ")


def test_layers_follow_where_the_rest_in_float_is_not_enough(monkeypatch):
    from edgesdk_export import _in_float

    layers = [Layer(f"CONV_2D {n} of 3", f"out{n}", True, ("in",), 9, 40, 9 + n) for n in (1, 2, 3)]
    monkeypatch.setattr(_in_float, "layers_of", lambda *_: layers)
    plan = SimpleNamespace(leaves=BOTH, in_float=(), source=None)
    steps = list(_in_float._steps(plan, SimpleNamespace(precision="int8"), {}))
    rest = _in_float.ALL_BUT
    assert steps == [
        ((REST,), rest),
        ((REST, "out1", "in"), f"{rest}, CONV_2D 1 of 3, with what makes its inputs,"),
        (
            (REST, "out1", "in", "out2", "in"),
            f"{rest}, CONV_2D 1 of 3, CONV_2D 2 of 3, with what makes its inputs,",
        ),
    ]
    plan.leaves = REST
    assert list(_in_float._steps(plan, SimpleNamespace(precision="int8"), {})) == steps[:1]


def test_what_makes_the_inputs_of_a_product_is_found_behind_what_lies_between():
    from edgesdk_export._tflite_layers import makers_of

    steps = [
        {"op_name": "CONV_2D", "inputs": [0, 9], "outputs": [1]},
        {"op_name": "DEQUANTIZE", "inputs": [1], "outputs": [2]},
        {"op_name": "CONV_2D", "inputs": [2, 9], "outputs": [3]},
        {"op_name": "ADD", "inputs": [2, 3], "outputs": [4]},
        {"op_name": "FULLY_CONNECTED", "inputs": [4, 9, -1], "outputs": [5]},
    ]
    assert makers_of(steps) == {1: [], 3: [1], 5: [1, 3]}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_layers_of_a_tensorflow_lite_file_find_their_source(precision, checkpoint, tmp_path):
    pytest.importorskip("litert_torch", reason="needs the tflite extra")
    from edgesdk_export._source import source_of
    from edgesdk_export._tflite_layers import compare_tflite

    source = source_of(checkpoint)
    bundle = export_bundle(source, ExportOptions("tflite", precision, calib_samples=32), tmp_path)
    source.write_onnx(tmp_path / "exact.onnx", None)
    side = bundle.inputs[0].shape[-1]
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, side, side)).astype(np.float32)
    layers = compare_tflite(tmp_path / "exact.onnx", bundle.entry_path, {"image": x}, None)
    assert len(layers) > 8
    assert first_leaving(layers, precision) is None
    assert all(layer.in_int8 == (precision == "int8") for layer in layers)
    assert layers[1].makers == (layers[0].node,)
    model = onnx.load(tmp_path / "exact.onnx")
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            values = onnx.numpy_helper.to_array(tensor)[..., ::-1].copy()
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "other.onnx")
    wrong = compare_tflite(tmp_path / "other.onnx", bundle.entry_path, {"image": x}, None)
    assert first_leaving(wrong, precision).title.startswith("CONV_2D 1 of ")
