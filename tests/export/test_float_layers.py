"""Layers that ask to stay in float at int8, wherever they stand, in every target."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
from torch import nn  # noqa: E402

from edgesdk.core.bundle import Bundle  # noqa: E402
from edgesdk.verbs.export import export  # noqa: E402
from edgesdk_export._contents import contents_of  # noqa: E402
from edgesdk_export._float_layers import classes_in_float, tensors_in_float  # noqa: E402
from edgesdk_export._tflite_float import Step, edges_of, steps_of  # noqa: E402

pytestmark = pytest.mark.torch
# Of the convolutions and the last product; OpenVINO leaves the first convolution in float.
FIRST, SECOND, LAST = 8 * 3 * 9, 8 * 8 * 9, 512 * 6
IN_8_BITS = {
    "openvino": SECOND + LAST, "tflite": FIRST + SECOND + LAST, "coreml": FIRST + SECOND + LAST
}  # fmt: skip


class Delicate(nn.Module):
    """A product with a matrix, behind the convolutions."""

    in_float = True

    def __init__(self):
        super().__init__()
        self.register_buffer("waves", torch.randn(8, 8))

    def forward(self, x):
        return x @ self.waves


def network():
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), Delicate(), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(512, 6)).eval(), (torch.zeros(2, 3, 8, 8),)


def coded_in_onnx(bundle: Bundle) -> set[str]:
    import onnx

    graph = onnx.load(bundle.path / (bundle.proxy or bundle.entry)).graph
    codes = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    return {n.op_type for n in graph.node if n.input[1:2] and n.input[1] in codes}


def test_layers_and_their_tensors_are_found_by_class():
    module, _ = network()
    assert classes_in_float(module) == ["Delicate"]
    assert tensors_in_float(module) == ["3.waves"]


@pytest.mark.parametrize("target", ["onnx", "openvino", "tflite", "coreml", "tensorrt"])
def test_int8_leaves_the_layer_in_float_and_says_so(target, tmp_path):
    tools = {"tflite": "litert_torch", "coreml": "coremltools", "tensorrt": "tensorrt_rtx"}
    pytest.importorskip(tools.get(target, target), reason=f"needs the {target} extra")
    bundle = export(
        "tests.export.test_float_layers:network", target=target, precision="int8",
        calib_samples=32, output_dir=tmp_path,
    )  # fmt: skip
    if target == "tflite":
        assert bundle.outputs[0].scale is None
    kind = "float16" if target == "coreml" else "float"
    assert f"int8: Delicate stays in {kind}" in bundle.decisions
    if target in ("onnx", "tensorrt"):
        assert coded_in_onnx(bundle) == {"Conv", "Gemm"}
    else:
        assert contents_of(bundle.entry_path).effective["weights"]["int8"] == IN_8_BITS[target]


class Verdict(nn.Sequential):
    """The last layers: what the file gives is named after its output, not after them."""

    in_float = True


class Turned(nn.Module):
    """What reads the picture, beside what only turns it."""

    in_float = True

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 2)


def edged():
    torch.manual_seed(0)
    body = [Turned(), nn.Conv2d(3, 8, 3, 1, 1), nn.PReLU(8), nn.Conv2d(8, 8, 3, 1, 1), nn.Flatten()]
    verdict = Verdict(nn.Linear(128, 4), nn.ReLU(), nn.Linear(4, 2))
    return nn.Sequential(*body, verdict).eval(), (torch.zeros(2, 3, 8, 8),)


def test_tflite_keeps_the_edges_of_such_layers_and_prelu_in_float(tmp_path):
    """The last layer of item-detector's verdict was coded, and so were masked-face's pictures."""
    pytest.importorskip("litert_torch", reason="needs the tflite extra")
    bundle = export(
        "tests.export.test_float_layers:edged", target="tflite", precision="int8",
        calib_samples=32, output_dir=tmp_path,
    )  # fmt: skip
    assert any(said.startswith("int8: PReLU stays in float") for said in bundle.decisions)
    assert bundle.inputs[0].scale is bundle.outputs[0].scale is None
    assert contents_of(bundle.entry_path).effective["weights"]["int8"] == FIRST + SECOND
    kinds = [step.kind for step in steps_of(bundle.entry_path)[0]]
    # Around each convolution, and nowhere else.
    assert kinds.count("QUANTIZE") == kinds.count("DEQUANTIZE") == 2


def test_what_moves_values_or_gives_an_output_follows_its_neighbours():
    steps = [
        Step("TRANSPOSE", ("in", "order"), ("turned",)),
        Step("CONV_2D", ("turned", "w"), ("asked",)),
        Step("CONV_2D", ("asked", "w"), ("coded",)),
        Step("RESHAPE", ("coded", "shape"), ("flat",)),
        Step("MUL", ("asked", "asked"), ("out",)),
        Step("ADD", ("asked", "flat"), ("sum",)),
    ]
    found = edges_of(steps, ["in"], ["out", "sum"], {"asked"})
    assert found == ["in", "out", "turned"]
    coded = [*steps, Step("CONV_2D", ("in", "w"), ("beside",))]
    assert edges_of(coded, ["in"], ["out", "sum"], {"asked"}) == ["out", "turned"]
    assert edges_of(steps, ["in"], ["out"], set()) == []


def loud():
    """Return a network whose middle values 8 bits cannot hold: one is a thousand times the rest."""
    torch.manual_seed(0)
    first, second, last = nn.Linear(48, 12), nn.Linear(12, 12), nn.Linear(12, 8)
    with torch.no_grad():
        first.weight[3] *= 3000
        second.weight[:, 3] /= 3000
    body = [nn.AvgPool2d(2), nn.Flatten(), first, second, nn.ReLU(), last]
    return nn.Sequential(*body).eval(), (torch.zeros(2, 3, 8, 8),)


@pytest.mark.slow
def test_tflite_leaves_the_layer_that_int8_spoils_and_converts_once(tmp_path, monkeypatch):
    """item-detector failed with all but its products in float, and nothing else was tried."""
    litert_torch = pytest.importorskip("litert_torch", reason="needs the tflite extra")
    convert, times = litert_torch.convert, []

    def counted(*given):
        times.append(1)
        return convert(*given)

    monkeypatch.setattr(litert_torch, "convert", counted)
    bundle = export(
        "tests.export.test_float_layers:loud", target="tflite", precision="int8",
        calib_samples=32, batch=1, output_dir=tmp_path,
    )  # fmt: skip
    said = next(said for said in bundle.decisions if said.startswith("int8 leaves all but"))
    assert "FULLY_CONNECTED 2 of 3, with what makes its inputs, in float: output" in said
    assert contents_of(bundle.entry_path).effective["weights"]["int8"] == 12 * 8
    assert len(times) == 1
