"""Operators written in others, and the layer that a converter means."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
from onnx import numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

from edgesdk.core.errors import EdgeSdkError  # noqa: E402
from edgesdk.core.tensors import TensorSpec  # noqa: E402
from edgesdk.verbs.export import export  # noqa: E402
from edgesdk_export._plain_ops import _spread  # noqa: E402
from edgesdk_export._quiet import converting  # noqa: E402
from edgesdk_export._where import layer_meant  # noqa: E402
from tests.foreign import write  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    "how",
    [
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel_size": 3, "stride": 2, "output_padding": 1, "bias": False},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2},
        {"kernel_size": (3, 5), "stride": (2, 3), "padding": (0, 1), "output_padding": (1, 2)},
    ],
)
@pytest.mark.parametrize("places", [(7,), (5, 7)])
def test_a_transposed_convolution_without_padding_gives_the_same(how, places):
    if isinstance(how["kernel_size"], tuple):
        how = {name: value[: len(places)] for name, value in how.items()}
    torch.manual_seed(0)
    layer = getattr(nn, f"ConvTranspose{len(places)}d")(4, 6, **how)
    x = torch.randn(2, 4, *places)
    given = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    with torch.no_grad():
        torch.testing.assert_close(_spread(x, layer.weight, layer.bias, *given), layer(x))


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.rfft2(x).abs()


def job_of(module):
    source = SimpleNamespace(
        specs=lambda: ((TensorSpec("x", (None, 3, 8, 8), "float32"),), ()),
        torch_module=lambda: module.eval(),
    )
    return SimpleNamespace(source=source, batch=None)


@pytest.mark.parametrize(
    ("said", "layer"),
    [
        ("Unsupported fx node fft_rfft2, kind fft_rfft2", "'1.0' (Spectrum)"),
        ("Lowering not found: aten._fft_r2c.default", "'1.0' (Spectrum)"),
        ("cannot add a relu to conv2d", ""),
        ("no such operator: svd", ""),
    ],
)
def test_the_layer_that_a_converter_means_is_found(said, layer):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(Spectrum(), nn.ReLU()))
    assert layer_meant(job_of(network), said) == layer


def test_a_network_that_is_not_traced_names_no_layer():
    class Undecided(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    assert layer_meant(job_of(Undecided()), "aten.neg") == ""


def test_the_layer_stands_before_the_tool_s_own_words():
    with (
        pytest.raises(EdgeSdkError, match=r"convert this network: its layer 'a' \(B\): odd; take"),
        converting("tool", {"odd": "'a' (B)"}.get),
    ):
        raise ValueError("odd")


BEHIND = {
    "added": [("Add", ["m", "c"], ["out"], {})],
    "taken off": [("Sub", ["c", "m"], ["out"], {})],
    "behind a relu": [("Relu", ["m"], ["r"], {}), ("Add", ["r", "c"], ["out"], {})],
    "prelu": [("PRelu", ["m", "c"], ["out"], {})],
    "behind a convolution too": [
        ("Conv", ["m", "k"], ["d"], {"group": 8}),
        ("Add", ["d", "c"], ["out"], {}),
    ],
}


@pytest.mark.parametrize("how", BEHIND)
@pytest.mark.parametrize("places", [6, 8])
def test_openvino_reads_a_constant_per_channel_behind_a_product(tmp_path, places, how):
    """Its kernels refuse one of another length than the last axis, and misread one as long."""
    pytest.importorskip("openvino", reason="needs the openvino extra")
    random = np.random.default_rng(0)
    sizes = {"waves": (places, places), "c": (8, 1, 1), "k": (8, 1, 1, 1)}
    inits = [
        numpy_helper.from_array(random.normal(size=size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    nodes = [("MatMul", ["image", "waves"], ["m"], {}), *BEHIND[how]]
    shape = ("batch", 8, 5, places)
    file = write(tmp_path / "my.onnx", nodes, shape, shape, inits=inits)
    bundle = export(file, target="openvino", output_dir=tmp_path / "out")
    assert (bundle.verify["verdict"], bundle.inputs[0].shape[0]) == ("pass", None)
