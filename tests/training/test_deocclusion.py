"""De-occlusion distillation: what each part does, and that a run takes over what it is told to."""

from pathlib import Path

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk_training import losses
from edgesdk_training._train import train
from edgesdk_training.distiller import translated

torch = pytest.importorskip("torch", reason="needs the train extra")

TINY = {
    "epochs": 1, "complete_epochs": 1, "holdout": 4, "batch": 32, "occluders": 20, "size": 32,
    "deep": False,
}  # fmt: skip
STUDENT = plugins.load(plugins.STUDENTS, "masked-face")


@pytest.fixture
def masked(coarse_teacher, tmp_path):
    """Return a function that trains on drawn faces behind drawn masks in seconds."""

    def run(out="runs", **settings):
        data = {"public": [Path("synthetic")]}
        return train("deocclusion", settings=TINY | settings, data=data, out=tmp_path / out)

    return run


def tensors(result):
    return STUDENT.load(read_checkpoint(result.checkpoints["student"])).state_dict()


def part(state, name):
    return {k: v for k, v in state.items() if k.startswith(name)}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_a_run_tells_how_the_hidden_part_was_found_drawn_and_recognised(masked):
    result = masked()
    assert {
        "holdout_bare", "holdout_mixed", "holdout_masked", "l1_hidden", "l1_mean_fill", "iou",
        "psnr", "ssim",
    } <= set(result.metrics)  # fmt: skip
    assert result.artefacts["samples"].read_bytes().startswith(b"\x89PNG")
    checkpoint = read_checkpoint(result.checkpoints["student"])
    assert checkpoint.model == "masked-face-32"
    assert "drawn-mask" in checkpoint.provenance["occluders"]


def test_a_completion_is_taken_over_and_stays_as_it_is(masked):
    first = masked(epochs=0, whiten=0.0)
    folder = str(first.checkpoints["student"])
    second = masked(completion=folder, complete_epochs=0, share=1.0)
    before, after = tensors(first), tensors(second)
    for name in ("segmenter", "generator"):
        assert equal(part(before, name), part(after, name))
    assert not equal(part(before, "recogniser"), part(after, "recogniser"))
    origin = read_checkpoint(second.checkpoints["student"]).provenance
    assert origin["settings"]["completion"] == "masked-face-32"
    assert folder not in str(origin)


def test_a_completion_is_taught_on(masked):
    first = masked(epochs=0, whiten=0.0)
    folder = str(first.checkpoints["student"])
    second = masked(completion=folder, complete_epochs=2, complete_lr=2e-4, epochs=0, whiten=0.0)
    before, after = tensors(first), tensors(second)
    for name in ("segmenter", "generator"):
        assert not equal(part(before, name), part(after, name))
    assert second.metrics["psnr"] > first.metrics["psnr"]


@pytest.mark.parametrize(
    "settings",
    [
        {"complete_epochs": 0, "pair": 1.0, "triplet": 1.0, "predictions": 0.1},
        {"complete_epochs": 0, "labels_only": True},
        {"complete_epochs": 0, "identity": 0.0, "classes": 0.0, "beside": 1.0},
        {"complete_epochs": 0, "turn": 15.0},
        {"complete_epochs": 0, "contrast": 1.0, "identity": 0.0},
        {"complete_epochs": 0, "centre": 1.0, "relation": 1.0, "classes": 0.0},
        {"adversarial": 0.0, "perceptual": 0.0, "bf16": True},
        {"deep": True, "init": "bridge-face-plus-32"},
        {"holdout": 0},
        {"aside": True},
    ],
)
def test_every_setting_trains(masked, settings):
    checkpoint = read_checkpoint(masked(**settings).checkpoints["student"])
    assert checkpoint.student_config["complete"] == (settings.get("complete_epochs") != 0)


def small_sface(_):
    """Return a network like SFace whose answers are as short as the coarse teacher's."""
    from edgesdk_training.nets.sface import PLACES, SFace

    torch.manual_seed(0)
    network = SFace()
    network.linear = torch.nn.Linear(1024 * PLACES, 32)
    network.last = torch.nn.BatchNorm1d(32)
    return network


def test_an_assistant_learns_behind_masks_and_is_told_of(masked, monkeypatch):
    monkeypatch.setattr("edgesdk_training.nets.sface.read_sface", small_sface)
    monkeypatch.setattr("edgesdk_training.teachers.sface_file", lambda: (b"", ""))
    asked = {"complete_epochs": 0, "beside": 1.0}
    alone, aided = masked(**asked), masked(**asked, assistant_epochs=1)
    new = aided.metrics.keys() - alone.metrics.keys()
    assert {"sface_holdout_masked", "assistant_holdout_masked"} <= new
    assert not equal(tensors(alone), tensors(aided))
    assert tensors(aided).keys() == tensors(alone).keys()
    with pytest.raises(UsageError, match="set beside above 0"):
        masked(assistant_epochs=1)


def test_an_assistant_reads_faces_of_any_side_and_no_mask():
    from edgesdk_training.nets.sface import FIRST, Assistant

    assistant = Assistant(small_sface(b"").fold())
    learn = {n for n, p in assistant.named_parameters() if p.requires_grad}
    assert {n.split(".")[2] for n in learn if "trunk" in n} == set(map(str, range(FIRST, 27)))
    rows = assistant(face := torch.rand(2, 4, 32, 32))
    assert torch.allclose(rows.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.equal(rows, assistant(torch.cat([face[:, :3], 1 - face[:, 3:]], 1)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"share": 1.5}, "share must be from 0 to 1"),
        ({"occluders": 0}, "occluders must be 1 or more"),
        ({"completion": "bridge-face-32", "complete_epochs": 0}, "give a masked-face of 32 px"),
        ({"init": "bridge-face-32"}, "give a masked-face or bridge-face-plus"),
        ({"size": 33}, "found size=33"),
        (
            {"size": 112, "mobile": True, "aside": True, "complete_epochs": 0},
            "set init to their folder",
        ),
        ({"labels_only": True, "classes": 0.0}, "no loss is left"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(masked, settings, says):
    with pytest.raises(UsageError, match=says):
        masked(**settings)


def test_a_grown_recogniser_answers_like_the_network_it_grew_from():
    from edgesdk_training.nets.masked_face import Recogniser, grow

    torch.manual_seed(0)
    trained, recogniser = Recogniser(32, deep=False).eval(), Recogniser(32).eval()
    grow(recogniser, trained)
    face = torch.rand(2, 3, 32, 32)
    assert torch.allclose(recogniser(face), trained(face), atol=1e-6)


@pytest.mark.parametrize("given", [False, True])
def test_the_visible_part_is_pasted_back(given):
    config = STUDENT.config(given=given)
    module = STUDENT.folded(STUDENT.build(config)).eval()
    image = torch.from_numpy(STUDENT.example(config)["image"])
    mask = torch.zeros(2, 1, 112, 112)
    mask[:, :, 56:] = 1
    if given:
        embedding, whole = module(image, mask)
        # The mask is halved and enlarged again: at its edge it is soft.
        assert torch.equal(whole[:, :, :54], image[:, :, :54])
        assert not torch.allclose(whole[:, :, 58:], image[:, :, 58:])
    else:
        embedding, found, whole = module(image)
        assert found.shape == mask.shape
        drawn = (whole - image).abs().amax(1, keepdim=True)
        assert (drawn[found < 1e-6] < 1e-5).all()
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_completion_aside_is_shown_and_not_read():
    import dataclasses

    config = STUDENT.config(aside=True)
    module = STUDENT.folded(STUDENT.build(config)).eval()
    plain = STUDENT.build(dataclasses.replace(config, complete=False, aside=False))
    plain.recogniser = module.recogniser
    image = torch.from_numpy(STUDENT.example(config)["image"])
    found = module(image)
    assert torch.equal(found[0], plain.eval()(image))
    assert len(found) == 3


def test_every_step_on_pictures_asks_to_stay_in_float():
    """One that did not, the halving before the segmenter, rounded what all parts read."""
    config = STUDENT.config(mobile=True, aside=True)
    net = STUDENT.folded(STUDENT.build(config))
    graph = torch.export.export(net, (torch.zeros(2, 3, 112, 112),)).graph
    bare = [
        node.name
        for node in graph.nodes
        if node.op == "call_function" and len(node.meta["nn_module_stack"]) == 1
    ]
    assert bare == []


def test_attention_takes_from_visible_places():
    from edgesdk_training.nets.masked_face import Attention

    attention = Attention(4, 4).eval()
    torch.nn.init.zeros_(attention.ask.weight)
    torch.nn.init.zeros_(attention.ask.bias)
    maps, hidden = torch.zeros(1, 4, 2, 2), torch.zeros(1, 1, 2, 2)
    maps[..., 0, 0], hidden[..., 0, 0] = 100.0, 1.0
    # All places look alike: what is hidden weighs e^-8 of the others.
    assert attention(maps, hidden).max() < 0.05
    assert attention(maps, torch.zeros_like(hidden)).min() > 20


@pytest.mark.parametrize(
    ("size", "parameters"), [(32, 1_200_000), (64, 1_200_000), (112, 1_200_000)]
)
def test_parts_keep_their_budgets_at_every_size(size, parameters):
    module = STUDENT.folded(STUDENT.build(STUDENT.config(size=size)))

    def count(part):
        return sum(p.numel() for p in part.parameters())

    assert count(module.segmenter) <= 100_000
    assert count(module.recogniser) <= 1_100_000
    assert count(module) <= parameters


def test_names_tell_the_form():
    names = [
        STUDENT.model_name(STUDENT.config(**kind))
        for kind in ({}, {"size": 32}, {"given": True}, {"complete": False, "size": 64})
    ]
    assert names == [
        "masked-face", "masked-face-32", "masked-face-given", "masked-face-64-plain"
    ]  # fmt: skip
    with pytest.raises(UsageError, match="leave complete at true"):
        STUDENT.config(given=True, complete=False)


@pytest.mark.parametrize("loss", [losses.pair, losses.triplet, losses.relation])
def test_relations_are_0_for_turned_rows_and_have_finite_slopes(loss):
    rows = torch.nn.functional.normalize(torch.randn(12, 8))
    turn = torch.linalg.qr(torch.randn(8, 8)).Q
    assert loss(rows @ turn, rows) < 1e-8
    # Two equal rows have no direction between them.
    other = torch.randn(12, 8)
    other[1] = other[0]
    other.requires_grad_(True)
    loss(other, rows).backward()
    assert torch.isfinite(other.grad).all()


def test_predictions_agree_where_the_rows_do():
    rows, centres = (torch.nn.functional.normalize(torch.randn(n, 8)) for n in (6, 20))
    assert losses.predictions(3 * rows, rows, centres, 10.0).abs() < 1e-6
    assert losses.predictions(-rows, rows, centres, 10.0) > 0.1


def test_a_second_teacher_is_told_by_a_layer_that_knows_it_from_the_start():
    rows, layer = torch.randn(100, 12), torch.randn(12, 5)
    assert torch.allclose(translated(rows, rows @ layer)(rows), rows @ layer, atol=1e-4)


def test_a_second_teacher_changes_what_is_learnt_and_leaves_nothing_behind(masked):
    plain, told = (
        masked(out=f"runs{beside}", complete_epochs=0, whiten=0.0, beside=beside)
        for beside in (0.0, 5.0)
    )
    before, after = tensors(plain), tensors(told)
    assert before.keys() == after.keys()
    assert not equal(before, after)


def test_ssim_is_1_for_equal_pictures_and_less_for_others():
    from edgesdk_training.completion import ssim

    picture = torch.rand(2, 3, 24, 24) * 2 - 1
    assert torch.allclose(ssim(picture, picture), torch.ones(2), atol=1e-4)
    assert (ssim(picture, picture.flip(3)) < 0.5).all()


def test_a_whitened_answer_varies_less_by_what_varies_within_a_person():
    from edgesdk_training.whiten import fold_whitening

    generator = np.random.default_rng(0)
    people = generator.normal(size=(40, 8)).repeat(6, 0)
    noise = generator.normal(size=people.shape) * np.array([3.0] + [0.1] * 7)
    inputs = torch.from_numpy((people + noise).astype(np.float32))
    layer = torch.nn.Module()
    layer.identity = torch.nn.Linear(8, 8)
    torch.nn.init.eye_(layer.identity.weight)
    torch.nn.init.zeros_(layer.identity.bias)
    labels = torch.arange(40).repeat_interleave(6)
    fold_whitening(layer, layer.identity(inputs).detach(), labels, 0.1)
    assert layer.identity.weight[0].norm() < layer.identity.weight[3].norm()


@pytest.mark.slow
def test_a_mobile_recogniser_learns_beside_its_corrections(masked, tmp_path):
    from edgesdk_training.checkpoint import save_checkpoint

    config = STUDENT.config(mobile=True, complete=False)
    torch.manual_seed(0)
    licence, folder = {"weights": "none", "data": "none"}, tmp_path / "first"
    save_checkpoint(
        folder, "masked-face", STUDENT, config, STUDENT.build(config), licence=licence,
        provenance={},
    )  # fmt: skip
    asked = {
        "size": 112, "mobile": True, "aside": True, "complete_epochs": 0, "init": str(folder),
        "completion": "masked-face", "optimiser": "adamw", "lr": 1e-3, "whiten": 0.0,
    }  # fmt: skip
    found = masked(**asked, gated="bare")
    state = tensors(found)
    assert any(k.startswith("recogniser.corrections") and v.any() for k, v in state.items())
    assert read_checkpoint(found.checkpoints["student"]).student_config["gated"] == "bare"
    # What follows it answers as it did, whose channels are made alike once more.
    asked |= {"init": str(found.checkpoints["student"]), "epochs": 0}
    again = masked(**asked, gated="bare")
    faces = torch.rand(2, 3, 112, 112) * 2 - 1
    one, other = (
        STUDENT.load(read_checkpoint(run.checkpoints["student"]))(faces)[0]
        for run in (found, again)
    )
    assert torch.allclose(one, other, atol=1e-4)
