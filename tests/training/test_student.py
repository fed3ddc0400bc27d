"""The published layer table, by arithmetic on the network itself."""

from types import SimpleNamespace as Namespace

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk_training.checkpoint import load_weights
from edgesdk_training.students.bridge_face import SIZES

torch = pytest.importorskip("torch", reason="needs the train extra")

STUDENT = plugins.load(plugins.STUDENTS, "bridge-face")


def network(size=16):
    torch.manual_seed(0)
    return STUDENT.build(STUDENT.config(size=size))


@pytest.mark.parametrize(
    ("size", "macs"),
    [(16, 1_511_424), (32, 5_849_088), (64, 23_199_744), (96, 52_117_504)],
)
def test_costs_are_the_published_ones(size, macs):
    cost = STUDENT.cost(STUDENT.config(size=size))
    assert cost["parameters"] == 213_696
    assert cost["macs"] == macs


def test_activations_at_16_px_are_57_kib():
    assert STUDENT.cost(STUDENT.config())["activation_floats"] == 14_592
    assert 14_592 * 4 / 1024 == 57.0


def test_batchnorm_adds_1312_parameters_in_training():
    assert sum(p.numel() for p in network().parameters()) == 215_008


def test_layers_are_those_of_the_table():
    convolutions = [m for m in network().modules() if isinstance(m, torch.nn.Conv2d)]
    table = [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions]
    assert table == [
        (3, 16, 3), (16, 32, 3), (32, 16, 1), (16, 128, 3), (128, 16, 1), (16, 128, 3),
        (128, 32, 1), (32, 256, 3), (256, 32, 1), (32, 512, 1),
    ]  # fmt: skip
    assert all(c.bias is not None for c in convolutions)


def test_folding_changes_no_number_and_leaves_the_original():
    module = network()
    module.train()
    for _ in range(5):
        module(torch.rand(32, 3, 16, 16) * 2 - 1)
    module.eval()
    folded = STUDENT.folded(module)
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    assert torch.allclose(folded(x), module(x), atol=1e-6)
    assert sum(p.numel() for p in folded.parameters()) == 213_696
    assert sum(p.numel() for p in module.parameters()) == 215_008


@pytest.mark.parametrize("size", [16, 24, 32, 64, 96, 112])
def test_any_size_gives_unit_embeddings(size):
    folded = STUDENT.folded(network(size))
    x = torch.from_numpy(STUDENT.example(STUDENT.config(size=size))["image"])
    assert torch.allclose(folded(x).norm(dim=1), torch.ones(2), atol=1e-5)


def test_the_skip_starts_after_the_first_1x1():
    block = network().trunk[4].eval()
    with torch.no_grad():
        block.leave.bn.weight.zero_()
        block.leave.bn.bias.zero_()
        x = torch.rand(1, 32, 4, 4)
        assert torch.equal(block(x), block.enter(x))


PLUS = plugins.load(plugins.STUDENTS, "bridge-face-plus")
PLUS_PARAMETERS = 209_168
PLUS_MACS = {16: 20_091_904, 24: 80_293_888, 32: 80_293_888, 64: 80_982_016}


def test_the_plus_student_keeps_the_budget_of_weights():
    cost = PLUS.cost(PLUS.config())
    assert cost["parameters"] == PLUS_PARAMETERS <= 220_000
    assert cost["macs"] == PLUS_MACS[16]
    assert 10e6 < cost["macs"] < 25e6


@pytest.mark.parametrize("size", [16, 24, 32, 64])
def test_the_plus_student_takes_larger_faces(size):
    folded = PLUS.folded(PLUS.build(PLUS.config(size=size)))
    x = torch.from_numpy(PLUS.example(PLUS.config(size=size))["image"])
    assert torch.allclose(folded(x).norm(dim=1), torch.ones(2), atol=1e-5)
    assert PLUS.cost(PLUS.config(size=size))["macs"] == PLUS_MACS[size]


def test_a_reading_is_the_convolution_without_a_map_of_one_place():
    from edgesdk_training.nets.bridge_face_plus import Reading

    for side in (3, 4, 6):
        reading, x = Reading(8, side), torch.randn(3, 8, side, side)
        want = torch.nn.functional.conv2d(x, reading.weight, reading.bias, groups=8)
        assert torch.allclose(reading(x), want.view(3, 8), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_the_plus_student_keeps_its_budget_of_weights_at_every_size(size):
    assert PLUS.cost(PLUS.config(size=size))["parameters"] <= 220_000


@pytest.mark.parametrize(
    ("size", "side"),
    [(16, 16), (20, 32), (24, 32), (32, 32), (48, 48), (64, 32), (96, 32), (112, 37)],
)
def test_the_first_maps_of_the_plus_student_have_32_places_a_side_or_a_few_more(size, side):
    module = PLUS.build(PLUS.config(size=size)).eval()
    maps = []
    module.trunk[0].register_forward_hook(lambda layer, inputs, output: maps.append(output))
    module(torch.zeros(1, 3, size, size))
    assert maps[0].shape[2:] == (side, side)


def test_a_face_of_24_px_is_enlarged_and_goes_on_as_one_of_32():
    small, large = (PLUS.build(PLUS.config(size=size)).eval() for size in (24, 32))
    large.load_state_dict(small.state_dict())
    x = torch.rand(2, 3, 24, 24) * 2 - 1
    enlarged = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear")
    assert torch.allclose(small(x), large(enlarged), atol=1e-5)


def test_a_reading_of_a_large_map_weighs_means():
    from edgesdk_training.nets.bridge_face_plus import Reading

    assert Reading(8, 24).weight.shape == Reading(8, 16).weight.shape == (8, 1, 8, 8)
    reading, x = Reading(8, 16), torch.randn(3, 8, 16, 16)
    means = x.view(3, 8, 8, 2, 8, 2).mean((3, 5))
    want = torch.nn.functional.conv2d(means, reading.weight, reading.bias, groups=8)
    assert torch.allclose(reading(x), want.view(3, 8), atol=1e-5)


def test_the_plus_student_has_no_layer_but_portable_ones():
    kinds = {type(m) for m in PLUS.build(PLUS.config()).modules() if not list(m.children())}
    from edgesdk_training.nets.bridge_face_plus import Reading

    nn = torch.nn
    assert kinds <= {
        nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Identity, nn.MaxPool2d, nn.Linear, Reading
    }  # fmt: skip
    assert PLUS.model_name(PLUS.config()) == "bridge-face-plus"
    assert PLUS.model_name(PLUS.config(size=24)) == "bridge-face-plus-24"


def test_an_unknown_size_is_refused():
    with pytest.raises(UsageError, match="found size=17"):
        STUDENT.config(size=17)


def test_names_tell_the_size():
    assert STUDENT.model_name(STUDENT.config()) == "bridge-face"
    assert STUDENT.model_name(STUDENT.config(size=32)) == "bridge-face-32"


def test_weights_of_another_network_are_refused():
    from edgesdk.core.bundle import read_checkpoint

    checkpoint = read_checkpoint(shipped_checkpoint("bridge-face"))
    assert np.isfinite(STUDENT.load(checkpoint).identity.bias.numpy()).all()
    with pytest.raises(EdgeSdkError, match="do not fit bridge-face"):
        load_weights(torch.nn.Linear(1, 1), checkpoint)


def test_weights_of_a_former_network_are_refused_by_the_name_of_a_tensor(tmp_path):
    from safetensors.torch import save_file

    former = PLUS.folded(PLUS.build(PLUS.config(size=16))).state_dict()
    path = tmp_path / "model.safetensors"
    former["trunk.0.conv.weight"] = torch.zeros(32, 3, 6, 6)
    save_file(former, path)
    checkpoint = Namespace(path=tmp_path, weights_path=path, student="bridge-face-plus")
    with pytest.raises(EdgeSdkError, match=r"bridge-face-plus \(size mismatch for trunk\.0\.conv"):
        load_weights(PLUS.folded(PLUS.build(PLUS.config())), checkpoint)
