"""The tracker's network: the faithful layout, the words, and what it may begin with."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core.errors import UsageError  # noqa: E402
from edgesdk_training.nano_track import NanoTrack  # noqa: E402
from edgesdk_training.nets.track_losses import giou  # noqa: E402
from edgesdk_training.nets.tracker import searching_less  # noqa: E402
from edgesdk_training.students.tracker import PLUGIN, Config  # noqa: E402
from edgesdk_training.track_data import Pairs, scene_of, split  # noqa: E402


def test_the_faithful_form_has_441_tokens():
    config = Config.faithful()
    net = PLUGIN.build(config).eval()
    example = {k: torch.from_numpy(v[:1]) for k, v in PLUGIN.example(config).items()}
    with torch.no_grad():
        features = net.backbone(example["image"])
        visual = net.visual(features, example["memory"])
        words = net.language(example["text"])
        tokens = net.fusion.layout(visual, words)
    assert features.shape[2:] == (24, 24)
    assert visual.shape[1] == 400
    assert words.shape[1] == 40
    assert tokens.shape == (1, 441, config.width)
    assert sum(p.numel() for p in net.parameters()) <= 3_000_000


def test_words_change_the_answer_once_the_fusion_has_learnt():
    torch.manual_seed(0)
    net = PLUGIN.build(Config(size=64, width=16)).eval()
    example = PLUGIN.example(Config(size=64, width=16))
    inputs = {k: torch.from_numpy(v[:1]) for k, v in example.items()}
    torch.nn.init.normal_(net.fusion.ask.weight)
    with torch.no_grad():
        spoken = net(*inputs.values())[0]
        silent = net(inputs["image"], inputs["memory"], inputs["text"] * 0)[0]
    assert not torch.allclose(spoken, silent)


def test_forms_and_sizes_that_are_none_are_refused(tmp_path):
    for wrong in ({"form": "heavy"}, {"size": 100}, {"width": 3}):
        with pytest.raises(UsageError):
            Config(**wrong)
    with pytest.raises(UsageError, match="NanoTrack"):
        NanoTrack(tmp_path)


def test_related_scenes_are_held_out_together():
    class Named:
        def __init__(self, name):
            self.name = name

    assert scene_of("wakeboard5") == scene_of("wakeboard10") == "wakeboard"
    names = [f"wakeboard{i}" for i in range(5)] + ["boat1", "boat5", "dog", "car", "gull"]
    learnt, held = split([Named(n) for n in names])
    assert len({t.name in {h.name for h in held} for t in map(Named, names[:5])}) == 1
    assert len(learnt) + len(held) == len(names)


def test_pairs_without_films_come_from_worlds():
    import numpy as np

    drawn = Pairs([], 64, made=0.0, silent=1.0).draw(np.random.default_rng(0))
    assert len(drawn) == 3
    assert all(not p.real and p.text == "" and p.search.shape == (3, 64, 64) for p in drawn)


def test_overlap_of_boxes_is_generalised():
    one = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    other = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    assert torch.allclose(giou(one, other), torch.tensor([1.0, -1 / 3]))


def test_a_narrower_search_keeps_the_middle_of_the_answer():
    torch.manual_seed(0)
    wide = Config(size=128, width=16)
    config = Config(size=96, width=16, memory=wide.held)
    net, narrow = PLUGIN.build(wide).eval(), PLUGIN.build(config).eval()
    narrow.load_state_dict(searching_less(net.state_dict(), config.whole))
    example = {k: torch.from_numpy(v[:1]) for k, v in PLUGIN.example(wide).items()}
    with torch.no_grad():
        whole = net(*example.values())
        part = narrow(example["image"][:, :, 16:-16, 16:-16], example["memory"], example["text"])
    assert part[0].shape[2:] == (6, 6)
    assert narrow.fusion.place.shape[1] == 36
    # The borders of the smaller crop reach inwards, so near the middle only, and not exactly.
    assert torch.corrcoef(torch.stack([whole[2][..., 3:5, 3:5].flatten(),
                                       part[2][..., 2:4, 2:4].flatten()]))[0, 1] > 0.9  # fmt: skip
    with pytest.raises(UsageError, match="memory is the middle"):
        Config(size=96, memory=5)


def test_the_backbone_asks_to_stay_in_float_at_int8():
    for form in (Config(size=64, width=16), Config("faithful", size=64, width=16)):
        net = PLUGIN.build(form)
        assert [type(m).__name__ for m in net.modules() if getattr(m, "in_float", False)] == [
            "Backbone"
        ]


def test_training_begins_with_the_weights_of_a_checkpoint_but_for_its_word_map(tmp_path):
    from types import SimpleNamespace

    from safetensors.torch import save_file

    from edgesdk_training.recipes.cost import Settings, config_of, first_weights, kept_policy

    torch.manual_seed(3)
    old = PLUGIN.build(Config(size=64, width=16))
    save_file({k: v.contiguous() for k, v in old.state_dict().items()}, tmp_path / "w.safetensors")
    begin = SimpleNamespace(
        weights_path=tmp_path / "w.safetensors", path=tmp_path, student="tracker",
        student_config={"size": 64, "width": 16}, postprocess={"policy": {"window": 0.2}},
    )  # fmt: skip
    assert kept_policy(begin) == {"window": 0.2}
    assert kept_policy(None) == {}
    config = config_of(Settings(size=256, hears=8), PLUGIN, begin)
    assert (config.size, config.hears) == (64, 8)
    net = first_weights(PLUGIN, config, begin, None)
    own = net.state_dict()
    assert all(torch.equal(own[k], v) for k, v in old.state_dict().items())
    assert any(k.startswith("words.") for k in own)
    assert config_of(Settings(form="faithful", size=192), PLUGIN, None).hears == 0
    begin.student_config["hears"] = 4
    assert config_of(Settings(hears=0, hear_epochs=0), PLUGIN, begin).hears == 4
