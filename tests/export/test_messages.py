"""Every wrong input is answered in a sentence: what was asked, what was found, what to type."""

from pathlib import Path

import numpy as np
import pytest

from edgesdk import cli
from edgesdk.core.shipped import shipped_bundle
from tests.messages import faults

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
value, node = helper.make_tensor_value_info, helper.make_node
# A user's own path may stand in a message, be it below /tmp.
HERE = Path(__file__).parents[2]
WEIGHTS = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
CONV, POOL = node("Conv", ["image", "w"], ["c"]), node("GlobalAveragePool", ["c"], ["out"])
IMAGE, OUT = value("image", FLOAT, ["N", 3, 8, 8]), value("out", FLOAT, ["N", 8, 1, 1])


def network(nodes=(CONV, POOL), inputs=(IMAGE,), outputs=(OUT,), opset=17, ir=8, w=WEIGHTS, **more):
    stored = [numpy_helper.from_array(a, n) for n, a in {"w": w, **more.pop("stored", {})}.items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), stored)
    opsets = [helper.make_opsetid(*one) for one in (("", opset), *more.pop("domains", ()))]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = ir
    return model


def spoiled():
    array = WEIGHTS.copy()
    array[0, 0, 0, 0] = np.nan
    return array


FREE = value("image", FLOAT, ["N*2 + ?", 3, "floor(h/2)", 8])
ODD = {
    "empty": lambda: network([]),
    "without input": lambda: network([node("Identity", ["w"], ["out"])], []),
    "without axes": lambda: network(inputs=[value("image", FLOAT, [])]),
    "free sizes": lambda: network(inputs=[FREE]),
    "zero items": lambda: network(inputs=[value("image", FLOAT, [0, 3, 8, 8])]),
    "future opset": lambda: network(opset=99),
    "future format": lambda: network(ir=99),
    "opset 1": lambda: network([CONV, node("Relu", ["c"], ["out"])], opset=1, ir=4),
    "text": lambda: network(inputs=[IMAGE, value("s", TensorProto.STRING, ["N"])]),
    "sequence": lambda: network(
        [CONV, node("SplitToSequence", ["c"], ["out"], axis=1)],
        outputs=[helper.make_tensor_sequence_value_info("out", FLOAT, None)],
    ),
    "custom": lambda: network([CONV, node("Mine", ["c"], ["out"], domain="me")],
                              domains=[("me", 1)]),
    "circle": lambda: network([node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"]), CONV, POOL]),
    "nothing read": lambda: network([node("Conv", ["image", "absent"], ["c"]), POOL]),
    "wrong type": lambda: network(outputs=[value("out", INT64, ["N", 8, 1, 1])]),
    "no batch": lambda: network(inputs=[IMAGE, value("k", FLOAT, [4])]),
    "one number": lambda: network([CONV, node("ReduceMean", ["c"], ["out"], keepdims=0)],
                                  outputs=[value("out", FLOAT, [])]),
    "joined": lambda: network([CONV, node("ReduceMean", ["c"], ["m"], axes=[0]),
                               node("Sub", ["c", "m"], ["out"])],
                              outputs=[value("out", FLOAT, None)]),
    "random": lambda: network([CONV, node("RandomNormalLike", ["c"], ["r"]),
                               node("Add", ["c", "r"], ["out"])],
                              outputs=[value("out", FLOAT, None)]),
    "NaN": lambda: network(w=spoiled()),
    "coded": lambda: network([node("DequantizeLinear", ["codes", "scale"], ["v"]),
                              node("Conv", ["image", "v"], ["c"]), POOL],
                             stored={"codes": np.ones((8, 3, 3, 3), np.int8),
                                     "scale": np.float32(0.1)}),
    "half": lambda: network(inputs=[value("image", TensorProto.FLOAT16, ["N", 3, 8, 8])],
                            outputs=[value("out", TensorProto.FLOAT16, ["N", 8, 1, 1])],
                            w=WEIGHTS.astype(np.float16)),
}  # fmt: skip


@pytest.fixture
def asked(tmp_path, monkeypatch, capsys):
    """Return a function that types a command and reads its one message."""
    monkeypatch.chdir(tmp_path)

    def ask(*words):
        code = cli.main([*map(str, words), "--quiet"])
        said = capsys.readouterr().err.strip()
        assert code in (2, 3, 4), said
        shown = said.replace(str(tmp_path), "").replace(str(HERE), "")
        assert not faults(shown), said
        assert not list(tmp_path.glob("out/*"))
        return said

    return ask


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_a_sentence(asked, tmp_path, kind):
    onnx.save(ODD[kind](), tmp_path / "my.onnx")
    assert "my.onnx" in asked(
        "export", "my.onnx", "--target", "onnx", "--precision", "fp32", "-o", "out"
    )


WRONG = {
    "no such file": ["none.onnx", "--target", "onnx"],
    "no such target": ["net.onnx", "--target", "onyx"],
    "no such precision": ["net.onnx", "--target", "onnx", "--precision", "fp8"],
    "no such task": ["net.onnx", "--target", "onnx", "--task", "image-clasification"],
    "no such way": ["net.onnx", "--target", "onnx", "--preprocess", "imagnet"],
    "no size": ["net.onnx", "--target", "onnx", "--preprocess", "size=big"],
    "batch of none": ["net.onnx", "--target", "onnx", "--batch", "0"],
    "labels absent": ["net.onnx", "--target", "onnx", "--labels", "none.txt"],
    "samples absent": ["net.onnx", "--target", "onnx", "--samples", "none.npz"],
    "samples of another name": ["net.onnx", "--target", "onnx", "--samples", "other.npz"],
    "samples of another size": ["net.onnx", "--target", "onnx", "--samples", "small.npz"],
    "samples of NaN": ["net.onnx", "--target", "onnx", "--samples", "nan.npz"],
    "calibration absent": ["net.onnx", "--target", "onnx", "--precision", "int8",
                           "--calib", "none"],
    "calibration of text": ["net.onnx", "--target", "onnx", "--precision", "int8",
                            "--calib", "net.onnx"],
    "data for no task": ["net.onnx", "--target", "onnx", "--data", "."],
    "a pickle": ["net.pth", "--target", "onnx"],
    "no program": ["net.pt2", "--target", "onnx"],
    "no module": ["no_module:make", "--target", "onnx"],
    "told of our own": ["bridge-face", "--target", "onnx", "--name", "x"],
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_word_is_a_sentence(asked, tmp_path, kind):
    onnx.save(network(), tmp_path / "net.onnx")
    for name in ("net.pth", "net.pt2"):
        (tmp_path / name).write_bytes(b"x")
    image = np.zeros((4, 3, 8, 8), np.float32)
    np.savez(tmp_path / "other.npz", picture=image)
    np.savez(tmp_path / "small.npz", image=image[:, :, :4])
    np.savez(tmp_path / "nan.npz", image=image * np.nan)
    asked("export", *WRONG[kind], "-o", "out")


@pytest.mark.parametrize("name", ["a.tflite", "a.pte", "a.xml", "a.onnx", "a.engine", "a.plan"])
def test_a_damaged_artefact_is_a_sentence(asked, tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing")
    asked("inspect", name)


@pytest.mark.parametrize("words", [["run", "my.onnx"], ["verify", "my.onnx"], ["bench", "my.onnx"]])
def test_a_file_that_is_no_bundle_is_a_sentence(asked, tmp_path, words):
    onnx.save(network(), tmp_path / "my.onnx")
    asked(*words)


def test_a_bundle_of_the_base_install_has_the_same_rule(asked):
    assert shipped_bundle("bridge-face").is_dir()
    asked("export", "bridge-face", "--target", "onnx", "--precision", "int7")
