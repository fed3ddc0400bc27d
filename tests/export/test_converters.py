"""What each real converter leaves in its file."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.compare import measure
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint
from edgesdk.core.verify import read_verification
from edgesdk_export._pipeline import ExportOptions, export_bundle, verify_bundle

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")


@pytest.fixture
def made(checkpoint, out):
    """Return a function that exports the checkpoint."""

    def make(target, precision=None, **options):
        needs = plugins.missing(plugins.load(plugins.EXPORTERS, target))
        if needs:
            pytest.skip(f"needs {', '.join(needs)}")
        return export_bundle(checkpoint, ExportOptions(target, precision, **options), out)

    return make


@pytest.mark.slow
def test_onnx_of_a_checkpoint_says_nothing_of_the_machine(made, checkpoint):
    bundle = made("onnx")
    raw = bundle.entry_path.read_bytes()
    for word in (b"site-packages", b'File "', str(checkpoint.path).encode()):
        assert word not in raw
    first = bundle.sha256
    assert made("onnx", force=True).sha256 == first


@pytest.mark.slow
def test_a_student_converts_to_plain_operators(made):
    graph = onnx.load(made("onnx").entry_path).graph
    found = {node.op_type for node in graph.node}
    assert not found & {"DFT", "PRelu", "Shape", "Expand"}


@pytest.mark.slow
def test_tflite_codes_are_those_of_the_file(made):
    from ai_edge_litert.interpreter import Interpreter

    bundle = made("litert", "int8")
    assert bundle.path.name == "bridge-face-tflite-int8"
    model = Interpreter(str(bundle.entry_path))
    for spec, [detail] in (
        (bundle.inputs[0], model.get_input_details()),
        (bundle.outputs[0], model.get_output_details()),
    ):
        assert detail["dtype"] == np.int8
        assert detail["quantization"] == (pytest.approx(spec.scale), spec.zero_point)
        assert spec.dtype == "float32"
    assert bundle.build["renormalise"] is True
    sizes = [made("tflite", p).bytes for p in ("fp32", "fp16")] + [bundle.bytes]
    assert sizes[0] > 1.8 * sizes[1] > 2.7 * sizes[2]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_tflite_carries_its_facts(made, precision):
    from ai_edge_litert import schema_py_generated as schema

    bundle = made("tflite", precision)
    model = schema.ModelT.InitFromPackedBuf(bundle.entry_path.read_bytes(), 0)
    told = {m.name.decode(): bytes(model.buffers[m.buffer].data) for m in model.metadata}
    assert told["edgesdk.source_sha256"].decode() == bundle.source_sha256
    assert json.loads(told["edgesdk.postprocess"])["dim"] == 128


@pytest.mark.slow
def test_coreml_carries_its_facts_and_a_free_batch(made):
    bundle = made("coreml", "fp16")
    import coremltools

    model = coremltools.models.MLModel(str(bundle.entry_path), skip_model_load=True)
    told = dict(model.user_defined_metadata)
    assert told["edgesdk.source_sha256"] == bundle.source_sha256
    assert not [key for key in told if key.endswith("conversion_date")]
    [image] = model.get_spec().description.input
    sizes = image.type.multiArrayType.shapeRange.sizeRanges[0]
    assert (sizes.lowerBound, sizes.upperBound) == (1, 256)
    assert not (bundle.entry_path / "executorch_debug_handle_mapping.json").exists()


@pytest.mark.slow
def test_coreml_int8_says_that_only_weights_are_coded(made):
    bundle = made("coreml", "int8")
    assert any("weights alone" in sentence for sentence in bundle.decisions)
    assert bundle.calib_sha256 is None
    assert bundle.verify["level"] in ("proxy", "device")


def test_the_reference_graph_is_self_contained(export):
    bundle = export("reference")
    graph = json.loads(bundle.entry_path.read_text())
    known = {*graph["inputs"], *graph["weights"], ""}
    for node in graph["nodes"]:
        assert set(node["inputs"]) <= known
        known |= set(node["outputs"])
    assert set(graph["outputs"]) <= known
    raw = (bundle.path / "weights.bin").read_bytes()
    entries = sorted(graph["weights"].values(), key=lambda entry: entry["offset"])
    assert all(entry["offset"] % 16 == 0 for entry in entries)
    last = entries[-1]
    assert last["offset"] + last["bytes"] == len(raw)
    for entry in entries:
        count = int(np.prod(entry["shape"]))
        assert count * np.dtype(entry["dtype"]).itemsize == entry["bytes"]


# Opening 1: damage that hides from a check of single values.

needs_shipped = pytest.mark.skipif(
    not shipped_bundle("bridge-face").is_dir(), reason="no shipped bundle"
)


@needs_shipped
def test_damaged_early_channels_fail_though_each_value_is_close(out):
    source = read_bundle(shipped_bundle("bridge-face"))
    honest = export_bundle(source, ExportOptions("onnx", "int8"), out)
    crops = source.preprocess["image"](synthetic_faces(64, 3))
    damaged = out / "damaged"
    shutil.copytree(honest.path, damaged)
    model = onnx.load(damaged / honest.entry)
    scale = next(
        t for t in model.graph.initializer if t.name.endswith("weight_scale") and t.dims == [16]
    )
    values = onnx.numpy_helper.to_array(scale).copy()
    values[:4] *= 1.15
    scale.CopyFrom(onnx.numpy_helper.from_array(values, scale.name))
    onnx.save(model, damaged / honest.entry)
    bundle = seal(replace(honest, path=damaged))
    found = verify_bundle(bundle, source)
    assert found.failed
    assert any("cosine p1" in reason for reason in found.reasons)
    answers = [embed(one, crops) for one in (source, bundle, honest)]
    bad, fine = (measure(answers[0], answer) for answer in answers[1:])
    assert bad.max_abs < 0.1
    assert bad.cosine_p1 < 0.97 < fine.cosine_p1


def embed(bundle, crops):
    with plugins.load(plugins.RUNTIMES, "ort").open(bundle, "cpu", 1) as session:
        return session.run({"image": crops})["embedding"]


@needs_shipped
def test_int8_leaves_the_convolution_that_reads_the_picture_in_float(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
    source = read_bundle(shipped_bundle("bridge-face-plus"))
    bundle = export_bundle(source, ExportOptions("onnx", "int8"), tmp_path)
    graph = onnx.load(bundle.entry_path).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    first, *others = (node for node in graph.node if node.op_type == "Conv")
    assert first.input[0] == "image"
    assert "DequantizeLinear" not in {made_by.get(name) for name in first.input}
    assert len(others) == 23
    for node in others:
        assert {made_by[name] for name in node.input[:2]} == {"DequantizeLinear"}


@needs_shipped
def test_the_shipped_bundle_is_that_of_the_shipped_weights():
    from edgesdk.core.bundle import read_checkpoint
    from edgesdk_export._source import source_of

    bundle = read_bundle(shipped_bundle("bridge-face"))
    trained = source_of(read_checkpoint(shipped_checkpoint("bridge-face")))
    assert bundle.source_sha256 == trained.sha256
    assert read_verification(bundle.path / "verify.json").verdict == "pass"


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_for_tflite(checkpoint, out, monkeypatch):
    """The converter's own export ends the process there; ours goes through Python's files."""
    pytest.importorskip("litert_torch", reason="needs the tflite extra")

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EdgeSdkError, match="No space left on device"):
        export_bundle(checkpoint, ExportOptions("tflite"), out)
    assert list(out.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["initializer", "Constant"])
@pytest.mark.parametrize("factor", [4 / 3, 1.6])
def test_an_enlargement_keeps_its_factor_in_float16(factor, stored, tmp_path):
    ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    pytest.importorskip("onnxconverter_common", reason="needs the onnx extra")
    from edgesdk_export._quantize import to_fp16

    helper, kind, side = onnx.helper, onnx.TensorProto.FLOAT, round(32 / factor)
    factors = onnx.numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "factors")
    node = helper.make_node("Resize", ["x", "", "factors"], ["y"], mode="linear")
    nodes = [node, helper.make_node("Relu", ["y"], ["z"])]
    if stored == "Constant":
        nodes.insert(0, helper.make_node("Constant", [], ["factors"], value=factors))
    graph = helper.make_graph(
        nodes, "one",
        [helper.make_tensor_value_info("x", kind, [1, 3, side, side])],
        [helper.make_tensor_value_info("z", kind, [1, 3, 32, 32])],
        [factors] if stored == "initializer" else [],
        value_info=[helper.make_tensor_value_info("factors", kind, [4])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "x.onnx")
    to_fp16(tmp_path / "x.onnx", tmp_path / "half.onnx", {})
    x = np.random.default_rng(0).normal(size=(1, 3, side, side)).astype(np.float32)
    want, found = (
        ort.InferenceSession(tmp_path / name).run(None, {"x": x})[0]
        for name in ("x.onnx", "half.onnx")
    )
    assert want.shape == found.shape == (1, 3, 32, 32)
    assert np.allclose(want, found, atol=5e-3)


def test_the_convolution_behind_a_resized_input_stays_in_float():
    from edgesdk_export._quantize import _first

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Resize", ["x", "", "f"], ["large"], name="resize"),
        helper.make_node("Conv", ["large", "w"], ["a"], name="reads the input"),
        helper.make_node("Conv", ["x", "w"], ["b"], name="reads it too"),
        helper.make_node("Resize", ["a", "", "f"], ["larger"], name="again"),
        helper.make_node("Conv", ["larger", "w"], ["c"], name="reads what another made"),
    ]
    values = [helper.make_tensor_value_info("x", kind, [1, 1, 4, 4])]
    graph = helper.make_graph(nodes, "one", values, [])
    assert sorted(_first(graph)) == ["reads it too", "reads the input", "resize"]


@pytest.mark.parametrize("factor", [4 / 3, 32 / 25, 1.6, 2])
def test_the_core_ml_interpreter_enlarges_as_torch_does(factor):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    from edgesdk.core.errors import UnsupportedError
    from edgesdk_runtimes._coreml_spatial import upsample_bilinear

    side = round(32 / factor)
    x = torch.rand(2, 3, side, side)
    factors = {f"scale_factor_{way}": np.float32(factor) for way in ("height", "width")}
    found = upsample_bilinear({"x": x, **factors, "align_corners": False})
    want = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear")
    assert torch.allclose(found, want, atol=1e-5)
    corners = {"align_corners": True, "half_pixel_centers": True}
    with pytest.raises(UnsupportedError, match="by corners"):
        upsample_bilinear({"x": x, **factors, **corners})
