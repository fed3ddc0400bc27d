"""Layers that ask to stay in float at int8, wherever they stand, in every target."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
from torch import nn  # noqa: E402

from edgesdk.core.bundle import Bundle  # noqa: E402
from edgesdk.verbs.export import export  # noqa: E402
from edgesdk_export._contents import contents_of  # noqa: E402
from edgesdk_export._float_layers import classes_in_float, tensors_in_float  # noqa: E402

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
