"""Networks from outside: what cannot be judged is refused, and their file is found again."""

import numpy as np
import pytest

import edgesdk
from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.verify import read_verification
from edgesdk_export._find import find_source

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a network of unnamed nodes on pictures of 8x8."""
    monkeypatch.chdir(tmp_path)

    def make(*nodes, inputs=(), dtype=np.float32, name="net.onnx"):
        elem = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        graph = helper.make_graph(
            [helper.make_node(op, ins, outs, **attrs) for op, ins, outs, attrs in nodes],
            "g",
            [helper.make_tensor_value_info("image", elem, ["N", 3, 8, 8]), *inputs],
            [helper.make_tensor_value_info("out", elem, ["N", 4, 8, 8])],
            [numpy_helper.from_array(_weights().astype(dtype), "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return make


def _weights():
    return np.random.default_rng(0).normal(size=(4, 3, 1, 1))


CONV = ("Conv", ["x", "w"], ["out"], {})


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            [
                ("ReduceMean", ["image"], ["m"], {"axes": [0], "keepdims": 1}),
                ("Sub", ["image", "m"], ["x"], {}),
                CONV,
            ],
            "net.onnx itself joins the items of a batch",
        ),
        (
            [
                ("RandomNormalLike", ["image"], ["r"], {}),
                ("Add", ["image", "r"], ["x"], {}),
                CONV,
            ],
            "gives other numbers each time",
        ),
    ],
)
def test_a_source_that_no_item_can_be_compared_with_is_named(write, tmp_path, nodes, said):
    with pytest.raises(UnsupportedError, match=said):
        edgesdk.export(write(*nodes), target="onnx", output_dir=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_an_input_that_feeds_unnamed_nodes_comes_to_float16(write, tmp_path):
    file = write(("Mul", ["image", "image"], ["s"], {}), ("Add", ["s", "image"], ["x"], {}), CONV)
    bundle = edgesdk.export(file, target="onnx", precision="fp16", output_dir=tmp_path / "out")
    assert bundle.verify["verdict"] == "pass"


def test_what_onnx_runtime_does_not_take_is_told_with_a_way_out(write, tmp_path):
    file = write(("Identity", ["image"], ["x"], {}), CONV, dtype=np.float64)
    with pytest.raises(UnsupportedError, match=r"net.onnx does not open .*float32 in place of"):
        edgesdk.export(file, target="onnx", output_dir=tmp_path / "out")


def test_an_input_without_axes_is_no_fault_of_a_model_toml(write, tmp_path):
    factor = helper.make_tensor_value_info("factor", TensorProto.FLOAT, [])
    file = write(("Mul", ["image", "factor"], ["x"], {}), CONV, inputs=[factor])
    with pytest.raises(UnsupportedError, match=r"input 'factor' of .* has no axes"):
        edgesdk.export(file, target="onnx", output_dir=tmp_path / "out")


def test_the_file_a_bundle_was_made_of_is_found_again(write, tmp_path, monkeypatch):
    file = write(("Identity", ["image"], ["x"], {}), CONV)
    made = edgesdk.export(file, target="onnx", name="mine", output_dir=tmp_path / "bundles")
    bundle = read_bundle(made.path)
    assert find_source(bundle).sha256 == bundle.source_sha256
    other = write(("Neg", ["image"], ["x"], {}), CONV, name="other.onnx")
    away = tmp_path / "away" / "kept.onnx"
    away.parent.mkdir()
    file.rename(away)
    assert find_source(bundle) is None
    assert edgesdk.verify(bundle).samples == 0
    found = edgesdk.verify(bundle, source=away, update=True)
    assert found.samples > 0
    assert read_verification(bundle.path / "verify.json").samples == found.samples
    with pytest.raises(UsageError, match="was not made of"):
        edgesdk.verify(bundle, source=other)
    with pytest.raises(UsageError, match="is no checkpoint, run"):
        edgesdk.verify(bundle, source="nothing-here")


def test_the_units_that_operators_run_on_are_kept(write, tmp_path):
    file = write(("Identity", ["image"], ["x"], {}), CONV)
    bundle = edgesdk.export(file, target="onnx", output_dir=tmp_path / "out")
    assert read_bundle(bundle.path).build["placement"]["cpu"] >= 1
    assert "cpu: " in (bundle.path / "MODEL_CARD.md").read_text()
