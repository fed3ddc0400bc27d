"""Float16 files in real half precision, which a CPU does not have."""

import numpy as np
import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import GateFailedError
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.shipped import shipped_bundle
from edgesdk.core.verify import read_verification

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
pytest.importorskip("onnxconverter_common", reason="needs the onnx extra")

from edgesdk_export._half import run_half  # noqa: E402
from edgesdk_export._pipeline import ExportOptions, export_bundle  # noqa: E402
from edgesdk_export._quantize import to_fp16  # noqa: E402

node = onnx.helper.make_node


def half_file(folder, nodes, opset=18, **arrays):
    """Write a graph from x [N, 4] to y as float16 and return its path."""
    value, stored = onnx.helper.make_tensor_value_info, onnx.numpy_helper.from_array
    graph = onnx.helper.make_graph(
        nodes,
        "one",
        [value("x", 1, ["batch", 4])],
        [value("y", 1, None)],
        [stored(array, name) for name, array in arrays.items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / "exact.onnx")
    to_fp16(folder / "exact.onnx", folder / "half.onnx", {})
    return folder / "half.onnx"


X = np.random.default_rng(0).uniform(-1, 1, (20, 4)).astype(np.float32)


def test_every_value_is_rounded_and_its_peak_is_kept(tmp_path):
    nodes = [node("Mul", ["x", "x"], ["a"]), node("Add", ["a", "one"], ["y"])]
    path = half_file(tmp_path, nodes, one=np.float32([1.0]))
    found = run_half(path, {"x": X})
    half = X.astype(np.float16)
    assert np.array_equal(found.outputs["y"], (half * half + np.float16(1)).astype(np.float32))
    assert "Mul 'a'" in found.peaks
    assert found.beyond() is None
    assert np.array_equal(run_half(path, {"x": X}, batch=3).outputs["y"], found.outputs["y"])


LENGTHS = {
    "sum of squares": [
        node("Mul", ["big", "big"], ["a"]),
        node("ReduceSum", ["a", "axes"], ["b"]),
        node("Sqrt", ["b"], ["length"]),
    ],
    "ReduceL2": [node("ReduceL2", ["big", "axes"], ["length"])],
    "ReduceSumSquare": [
        node("ReduceSumSquare", ["big", "axes"], ["b"]),
        node("Sqrt", ["b"], ["length"]),
    ],
    "LpNormalization": [
        node("LpNormalization", ["big"], ["unit"], axis=1),
        node("Div", ["big", "unit"], ["length"]),
    ],
}


@pytest.mark.parametrize("way", LENGTHS)
def test_squares_beyond_float16_name_their_layer(way, tmp_path):
    nodes = [
        node("Mul", ["x", "gain"], ["big"]),
        *LENGTHS[way],
        node("Div", ["big", "length"], ["y"]),
    ]
    arrays = {"gain": np.float32([600]), "axes": np.array([1], np.int64)}
    layer, peak = run_half(half_file(tmp_path, nodes, **arrays), {"x": X}).beyond()
    assert layer.startswith(("Mul '", "ReduceSum '"))
    assert "big" not in layer
    assert 65504 < peak < 4 * 600**2


def test_axes_that_are_an_attribute_are_squares_as_well(tmp_path):
    nodes = [
        node("Mul", ["x", "gain"], ["big"]),
        node("ReduceL2", ["big"], ["y"], axes=[1], keepdims=0),
    ]
    path = half_file(tmp_path, nodes, opset=17, gain=np.float32([20]))
    found = run_half(path, {"x": X})
    want = np.linalg.norm(20 * X, axis=1)
    assert np.allclose(found.outputs["y"], want, rtol=5e-3)
    assert found.beyond() is None


@pytest.mark.skipif(not shipped_bundle("bridge-face").is_dir(), reason="no shipped bundle")
def test_it_agrees_with_the_reference_of_onnx_on_a_shipped_model(tmp_path):
    from onnx.reference import ReferenceEvaluator

    source = read_bundle(shipped_bundle("bridge-face"))
    bundle = export_bundle(source, ExportOptions("onnx", "fp16"), tmp_path)
    x = source.preprocess["image"](synthetic_faces(4, 5, 64))
    want = ReferenceEvaluator(onnx.load(bundle.entry_path)).run(None, {"image": x})[0]
    found = run_half(bundle.entry_path, {"image": x}).outputs["embedding"]
    assert np.allclose(found, want, atol=2e-3)
    told = read_verification(bundle.path / "verify.json").half
    assert told["outputs"]["embedding"]["cosine_p1"] > 0.999
    assert 0 < told["largest"]["value"] < told["largest"]["range"]


def overflow(folder, artefact):
    """Make the result 27 million times as large and small again, which float32 does not mind."""
    model = onnx.load(folder / artefact.entry)
    *before, product, _to_float32 = model.graph.node
    half = onnx.numpy_helper.from_array(np.float16([300]), "much")
    steps = ["Mul", "Mul", "Mul", "Div", "Div", "Div"]
    names = ["plain", *(f"step{n}" for n in range(5)), product.output[0]]
    product.output[0] = "plain"
    detour = [node(op, [names[n], "much"], [names[n + 1]]) for n, op in enumerate(steps)]
    made = [*before, product, *detour, _to_float32]
    graph = onnx.helper.make_graph(
        made, "one", model.graph.input, model.graph.output, [*model.graph.initializer, half]
    )
    model.graph.CopyFrom(graph)
    onnx.save(model, folder / artefact.entry)


def test_an_export_that_overflows_in_half_precision_is_refused(export, spoil, out):
    spoil("onnx", overflow)
    with pytest.raises(
        GateFailedError, match=r"layer Mul 'step1' gives .*, float16 ends at 65,504"
    ):
        export("onnx", "fp16")
    numbers = read_verification(out / "tiny-face-onnx-fp16.rejected" / "verify.json")
    assert numbers.outputs["embedding"]["cosine_p1"] > 0.999, "the CPU alone does not see it"
    assert numbers.half["largest"]["value"] > 65504
