"""A batch must not change what each of its items gives."""

import numpy as np
import pytest

from edgesdk.core.errors import GateFailedError, UnsupportedError
from edgesdk_export._pipeline import ExportOptions, export_bundle

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
onnxruntime = pytest.importorskip("onnxruntime")


def graph_bundle(make_face_bundle, nodes, arrays=()):
    """Return the tiny bundle with another network of image -> embedding."""
    from edgesdk.core.bundle import seal

    value = onnx.helper.make_tensor_value_info
    bundle = make_face_bundle()
    shape = ["batch", 3, 16, 16]
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [value("image", 1, shape)],
        [value("embedding", 1, ["batch", 768])],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in arrays],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), bundle.entry_path)
    return seal(bundle)


def test_a_net_that_mixes_its_batch_is_caught(make_face_bundle, out):
    node = onnx.helper.make_node
    mixing = graph_bundle(
        make_face_bundle,
        [
            node("Flatten", ["image"], ["flat"]),
            # What a BatchNorm left in training mode does.
            node("ReduceMean", ["flat"], ["mean"], axes=[0], keepdims=1),
            node("Sub", ["flat", "mean"], ["embedding"]),
        ],
    )
    with pytest.raises(UnsupportedError, match="itself joins the items of a batch"):
        export_bundle(mixing, ExportOptions("onnx"), out)


def test_a_net_with_a_hard_coded_batch_is_caught(make_face_bundle, out):
    fixed = graph_bundle(
        make_face_bundle,
        [onnx.helper.make_node("Reshape", ["image", "shape"], ["embedding"])],
        [("shape", np.array([64, 768]))],
    )
    with pytest.raises(GateFailedError, match="source itself fails on a batch of"):
        export_bundle(fixed, ExportOptions("onnx"), out)


def test_an_artefact_with_a_hard_coded_batch_is_caught(export, spoil):
    def change(folder, artefact):
        path = folder / artefact.entry
        model = onnx.load(path)
        flatten = next(n for n in model.graph.node if n.op_type == "Flatten")
        flatten.CopyFrom(onnx.helper.make_node("Reshape", ["cells", "rows"], ["flat"]))
        rows = onnx.numpy_helper.from_array(np.array([64, 48]), "rows")
        model.graph.initializer.append(rows)
        onnx.save(model, path)

    spoil("onnx", change)
    with pytest.raises(GateFailedError, match="ort fails on a batch of"):
        export()
