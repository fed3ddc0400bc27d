"""Odd networks from outside: branches, casts, sparse weights, NaN, outputs of yes and no."""

import numpy as np
import pytest

from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.verbs.export import export

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.foreign import CONV, POOL, open_file, weights, write  # noqa: E402


def test_a_branch_that_a_constant_chooses_is_taken(tmp_path):
    value = helper.make_tensor_value_info
    more = numpy_helper.from_array(-np.ones((8, 3, 3, 3), np.float32), "v")

    def branch(name, weight, stored=()):
        node = helper.make_node("Conv", ["image", weight], [name], pads=[1, 1, 1, 1])
        return helper.make_graph([node], name, [], [value(name, 1, None)], list(stored))

    choice = {"then_branch": branch("t", "w"), "else_branch": branch("e", "v", [more])}
    nodes = [("If", ["flag"], ["c"], choice), POOL]
    flag = numpy_helper.from_array(np.array(False), "flag")
    file = write(tmp_path / "my.onnx", nodes, inits=[weights(), flag])
    bundle = export(file, target="onnx", precision="fp16", output_dir=tmp_path / "out")
    assert "1 branches were chosen" in " ".join(bundle.decisions)
    ops = [node.op_type for node in onnx.load(bundle.entry_path).graph.node]
    assert "If" not in ops
    assert bundle.verify["verdict"] == "pass"


def test_a_branch_that_the_input_chooses_comes_to_float16(tmp_path):
    """Both branches use the same names inside, and one of them holds a branch itself."""
    value = helper.make_tensor_value_info

    def branch(*nodes):
        scale = numpy_helper.from_array(np.float32(len(nodes)), "scale")
        made = [helper.make_node(*node[:3], **node[3]) for node in nodes]
        return helper.make_graph(made, "b", [], [value("y", TensorProto.FLOAT, None)], [scale])

    inner = {"then_branch": branch(("Mul", ["c", "scale"], ["y"], {})),
             "else_branch": branch(("Neg", ["c"], ["y"], {}))}  # fmt: skip
    choice = {
        "then_branch": branch(("Mul", ["c", "scale"], ["x"], {}), ("Relu", ["x"], ["y"], {})),
        "else_branch": branch(("If", ["large"], ["x"], inner), ("Neg", ["x"], ["y"], {})),
    }
    nodes = [CONV, ("ReduceMean", ["image"], ["mean"], {"keepdims": 0}),
             ("Greater", ["mean", "half"], ["bright"], {}),
             ("Less", ["mean", "half"], ["large"], {}),
             ("If", ["bright"], ["d"], choice),
             ("GlobalAveragePool", ["d"], ["out"], {})]  # fmt: skip
    half = numpy_helper.from_array(np.float32(0.5), "half")
    file = write(tmp_path / "my.onnx", nodes, ("batch", 3, 16, 16), inits=[weights(), half])
    bundle = export(file, target="onnx", precision="fp16", batch=1, output_dir=tmp_path / "out")
    ops = [node.op_type for node in onnx.load(bundle.entry_path).graph.node]
    assert (ops.count("If"), ops.count("Where")) == (0, 2)
    assert bundle.verify["verdict"] == "pass"


def test_sparse_and_half_stored_weights_are_written_out(tmp_path):
    half = numpy_helper.from_array(numpy_helper.to_array(weights()).astype(np.float16), "w")
    widened = [("Cast", ["w"], ["wide"], {"to": TensorProto.FLOAT}),
               ("Conv", ["image", "wide"], ["c"], {"pads": [1, 1, 1, 1]}), POOL]  # fmt: skip
    source = open_file(write(tmp_path / "half.onnx", widened, inits=[half]))
    assert source.precision == "fp32"
    assert source.notes == ["1 weights are stored in 16 bits and are taken as float32"]
    file = write(tmp_path / "sparse.onnx", inits=[])
    model = onnx.load(file)
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    places = helper.make_tensor("places", TensorProto.INT64, [2], [0, 30])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [8, 3, 3, 3]))
    onnx.save(model, file)
    bundle = export(file, target="onnx", precision="fp16", output_dir=tmp_path / "out")
    [weight] = onnx.load(bundle.entry_path).graph.initializer
    assert (list(weight.dims), bundle.verify["verdict"]) == ([8, 3, 3, 3], "pass")


@pytest.mark.parametrize("elem", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_a_cast_inside_comes_to_float16(tmp_path, elem):
    nodes = [("Cast", ["image"], ["f"], {"to": TensorProto.FLOAT}),
             ("Conv", ["f", "w"], ["c"], {"pads": [1, 1, 1, 1]}), POOL]  # fmt: skip
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 8, 1, 1])
    file = write(tmp_path / "my.onnx", nodes, elem=elem, outputs=[out])
    bundle = export(file, target="onnx", precision="fp16", output_dir=tmp_path / "out")
    assert (bundle.verify["verdict"], bundle.precision) == ("pass", "fp16")


def test_an_output_of_yes_and_no_is_proven(tmp_path):
    nodes = [CONV, ("GlobalAveragePool", ["c"], ["p"], {}), ("Greater", ["p", "zero"], ["out"], {})]
    out = helper.make_tensor_value_info("out", TensorProto.BOOL, ["batch", 8, 1, 1])
    zero = numpy_helper.from_array(np.float32(0), "zero")
    file = write(tmp_path / "my.onnx", nodes, outputs=[out], inits=[weights(), zero])
    assert export(file, target="onnx", output_dir=tmp_path / "out").verify["verdict"] == "pass"


def test_a_source_of_nan_is_a_sentence(tmp_path):
    spoiled = numpy_helper.to_array(weights()).copy()
    spoiled[0, 0, 0, 0] = np.nan
    file = write(tmp_path / "my.onnx", inits=[numpy_helper.from_array(spoiled, "w")])
    with pytest.raises(UnsupportedError, match=r"my.onnx itself gives NaN.* for 64 of 64 drawn"):
        export(file, target="onnx", output_dir=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
    np.savez(tmp_path / "x.npz", image=np.full((3, 3, 16, 16), np.inf, np.float32))
    with pytest.raises(UsageError, match=r"'image' of samples .* holds NaN or infinity"):
        open_file(file, samples=tmp_path / "x.npz")


def test_a_network_that_does_not_run_is_a_sentence(tmp_path):
    file = write(tmp_path / "my.onnx", shape=("batch", 3, 16, 16), out=("batch", 8, 1, 1))
    model = onnx.load(file)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    onnx.save(model, file)
    with pytest.raises(UsageError, match=r"my.onnx fails on .* zeros of image .*--samples"):
        open_file(file)


def test_openvino_leaves_in_float_what_int8_spoils(tmp_path):
    pytest.importorskip("openvino", reason="needs the openvino extra")
    # One channel is a thousand times the others, which 8 bits for all of them cannot hold.
    scale = numpy_helper.from_array(np.float32([1e3] + [1] * 7).reshape(1, 8, 1, 1), "scale")
    small = np.diag(np.float32([1e-3] + [1] * 7)).reshape(8, 8, 1, 1)
    nodes = [CONV, ("Mul", ["c", "scale"], ["m"], {}), ("Conv", ["m", "w2"], ["d"], {}),
             ("GlobalAveragePool", ["d"], ["out"], {})]  # fmt: skip
    stored = [weights(), scale, numpy_helper.from_array(small, "w2")]
    bundle = export(
        write(tmp_path / "my.onnx", nodes, inits=stored), target="openvino", precision="int8",
        preprocess=["signed"], calib_samples=16, output_dir=tmp_path / "out",
    )  # fmt: skip
    assert "int8 leaves Conv 'd'" in " ".join(bundle.decisions)
    assert bundle.verify["verdict"] == "pass"


def test_an_output_that_nodes_read_comes_to_float16(tmp_path):
    nodes = [CONV, ("Relu", ["c"], ["map"], {}), ("Conv", ["map", "w2"], ["d"], {}),
             ("GlobalAveragePool", ["d"], ["out"], {})]  # fmt: skip
    square = numpy_helper.from_array(np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1), "w2")
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8, side, side])
               for name, side in (("map", 16), ("out", 1))]  # fmt: skip
    file = write(tmp_path / "my.onnx", nodes, outputs=outputs, inits=[weights(), square])
    bundle = export(file, target="onnx", precision="fp16", output_dir=tmp_path / "out")
    assert bundle.verify["verdict"] == "pass"
    assert [spec.name for spec in bundle.outputs] == ["map", "out"]
