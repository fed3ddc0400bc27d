"""Quantisation-aware training: it rounds like ONNX Runtime, resumes, exports, and helps."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgesdk import cli
from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.shipped import shipped_checkpoint
from edgesdk_training.context import Context
from edgesdk_training.qat import quantise_aware

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training.nets.rounded import Rounded, round_map, round_weight  # noqa: E402

STUDENT = plugins.load(plugins.STUDENTS, "bridge-face")
# Only the last step, from weights that are trained already.
LAST = {"init": "bridge-face", "epochs": 0, "direct": True, "mimic": 0.0, "qat": True}


def weights(result) -> bytes:
    return (result.folder / "checkpoint" / "model.safetensors").read_bytes()


def shipped():
    return STUDENT.load(read_checkpoint(shipped_checkpoint("bridge-face")))


def q_dq(x, scale, zero, axis):
    """Return `x` through QuantizeLinear and DequantizeLinear of ONNX Runtime."""
    onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
    import onnxruntime

    make = onnx.helper.make_node
    nodes = [
        make("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=axis),
        make("DequantizeLinear", ["q", "scale", "zero"], ["y"], axis=axis),
    ]
    info = onnx.helper.make_tensor_value_info
    constants = [
        onnx.numpy_helper.from_array(scale, "scale"),
        onnx.numpy_helper.from_array(zero, "zero"),
    ]
    graph = onnx.helper.make_graph(
        nodes, "g", [info("x", 1, x.shape)], [info("y", 1, x.shape)], constants
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


def test_a_map_is_rounded_as_onnx_runtime_rounds_it():
    x = torch.randn(64, 8, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    low, high = x.min(), x.max()
    scale = ((high - low) / 255).numpy()
    zero = np.uint8(round(-low.item() / scale))
    want = q_dq(x.numpy(), scale, np.array(zero), 1)
    assert np.abs(round_map(x, low, high).numpy() - want).max() < scale / 1000
    assert np.abs(want - x.numpy()).max() > scale / 4


def test_a_map_beyond_its_range_is_cut_as_onnx_runtime_cuts_it():
    x = torch.linspace(-2, 6, 1001)
    want = q_dq(x.numpy(), np.float32(4 / 255), np.array(64, np.uint8), 0)
    found = round_map(x, torch.tensor(-1.0), torch.tensor(3.0)).numpy()
    assert np.abs(found - want).max() < 1e-5
    assert found.max() < 3.1


def test_a_weight_is_rounded_per_output_as_onnx_runtime_rounds_it():
    weight = torch.randn(7, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    weight *= torch.logspace(-3, 3, 7)[:, None, None, None]
    weight[0] = 0
    scale = (weight.abs().amax((1, 2, 3)) / 127).clamp(min=1e-12)
    want = q_dq(weight.numpy(), scale.numpy(), np.zeros(7, np.int8), 0)
    error = (round_weight(weight) - torch.from_numpy(want)).abs().amax((1, 2, 3))
    assert (error <= scale / 1000).all()


def test_the_gradient_passes_straight_through_and_outliers_are_pulled_in():
    x = torch.linspace(-1, 2, 50)
    x[7] = 40.0
    x.requires_grad_(True)
    fixed = round_map(x, torch.tensor(-1.0), torch.tensor(40.0))
    fixed.sum().backward()
    assert torch.equal(x.grad, torch.ones(50))
    x.grad = None
    (round_map(x, x.amin(), x.amax()) - x.detach()).square().sum().backward()
    assert x.grad[7] > 0


def test_nothing_is_rounded_outside_and_float_answers_stay():
    network, faces = shipped(), torch.rand(64, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        exact = network(faces)
        rounded = Rounded(network)
        rounded.measure(faces)
        cosines = torch.nn.functional.cosine_similarity(rounded(faces), exact)
        assert torch.equal(network(faces), exact)
    assert 0.97 < cosines.min() < cosines.max() < 1


@pytest.mark.parametrize("name", ["bridge-face", "bridge-face-plus"])
def test_every_map_that_int8_rounds_has_a_range(name):
    student = plugins.load(plugins.STUDENTS, name)
    network = student.folded(student.build(student.config()))
    rounded = Rounded(network)
    rounded.measure(torch.rand(4, 3, 16, 16))
    products = sum(isinstance(m, torch.nn.Conv2d | torch.nn.Linear) for m in network.modules())
    assert len(rounded.ranges) > products
    assert all(low < high for low, high in rounded.ranges)


def test_a_run_tells_what_it_did_for_int8(tiny):
    result = tiny(**LAST)
    found, plain = result.metrics, tiny(**LAST | {"qat": False}).metrics
    told = {"holdout_accuracy_int8", "holdout_cosine_p1_int8"}
    assert found.keys() - plain.keys() == told | {f"{name}_before" for name in told}
    assert all(0.9 < found[name] <= 1 for name in found.keys() - plain.keys())
    assert found["holdout_cosine_p1_int8"] != found["holdout_cosine_p1_int8_before"]
    origin = read_checkpoint(result.checkpoints["student"]).provenance["settings"]
    assert (origin["qat"], origin["qat_epochs"]) == (True, 2)


def test_a_run_without_people_held_out_tells_nothing(tiny):
    assert tiny(**LAST, holdout=0).metrics == {}


def test_an_interrupted_run_ends_like_an_uninterrupted_one(tiny, monkeypatch):
    monkeypatch.setattr("edgesdk_training.loop.SAVE_EVERY_S", 0.0)

    class Killed(BaseException):
        pass

    def stop(done, total, label):
        if label == "qat" and done >= 3:
            raise Killed

    with pytest.raises(Killed):
        tiny("stopped", **LAST, progress=stop)
    steps = []
    resumed = tiny(
        "stopped", **LAST, progress=lambda done, total, label: steps.append((label, done))
    )
    assert ("qat", 1) not in steps
    assert weights(resumed) == weights(tiny("whole", **LAST))


class Small(torch.nn.Module):
    """A student of a few thousand weights that one strong channel makes hostile to int8."""

    def __init__(self, strength):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.second = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.identity = torch.nn.Linear(1024, 8, bias=False)
        with torch.no_grad():
            self.first.weight[0] *= strength
            self.first.bias[0] *= strength
            self.second.weight[:, 0] /= strength

    def heads(self, image):
        maps = torch.relu(self.second(torch.relu(self.first(image))))
        mimic = maps.flatten(1)
        return mimic, self.identity(mimic)


def test_nearly_half_of_what_a_strong_channel_loses_is_won_back(tmp_path):
    def noise(count, generator):
        return torch.rand(count, 3, 8, 8, generator=generator) * 2 - 1

    faces = SimpleNamespace(train=torch.arange(256), held=None)
    faces.batch = lambda chosen, size, generator: noise(len(chosen), generator)
    exact, student = Small(1.0), Small(100.0)
    seen, new = noise(512, torch.Generator().manual_seed(0)).split(256)

    def lost(network):
        rounded = Rounded(network)
        rounded.measure(seen)
        with torch.no_grad():
            answers = rounded(new), exact.heads(new)[1]
            return 1 - torch.nn.functional.cosine_similarity(*answers).mean().item()

    before = lost(student)
    assert before > 100 * lost(exact)
    settings = SimpleNamespace(size=8, batch=64, qat_epochs=60, qat_lr=1e-3)
    (tmp_path / "state").mkdir()
    assert quantise_aware(settings, Context(tmp_path, {}), faces, student) == {}
    assert lost(student) < 0.7 * before


def test_the_flag_is_the_setting(tiny, tmp_path):
    tiny_run = {"epochs": 0, "adapt_epochs": 2, "holdout": 4, "batch": 32}
    given = (LAST | tiny_run).items()
    words = [f"--set={name}={value}" for name, value in given if name != "qat"]
    common = ["train", "bridge", "--data", "synthetic", "--quiet", *words]
    assert cli.main([*common, "--qat", "-o", str(tmp_path / "flag")]) == 0
    (flag,) = tmp_path.glob("flag/*/checkpoint/model.safetensors")
    assert flag.read_bytes() == weights(tiny("set", **LAST))


@pytest.mark.slow
def test_the_student_passes_the_gate_as_int8(tiny, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the export extra")
    import edgesdk

    folder = tiny(**LAST).checkpoints["student"]
    out = tmp_path / "bundles"
    bundle = edgesdk.export(folder, target="onnx", precision="int8", output_dir=out)
    assert bundle.verify["verdict"] == "pass"
