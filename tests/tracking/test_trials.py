"""The tools that try a tracker: what a trial may change, and how rows and claims are told."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core.bundle import read_checkpoint  # noqa: E402
from edgesdk.core.errors import UsageError  # noqa: E402
from edgesdk.core.shipped import shipped_checkpoint  # noqa: E402
from edgesdk.track import Follower  # noqa: E402
from edgesdk.worlds import Scene, make_world  # noqa: E402
from edgesdk_training.students.tracker import PLUGIN, Config  # noqa: E402
from edgesdk_training.track_trial import info_of_checkpoint, info_of_module, runner  # noqa: E402
from tools import ship_tracker as ship  # noqa: E402
from tools import tracker_trials as trials  # noqa: E402
from tools import tracker_words as words  # noqa: E402
from tools.zoo import changed  # noqa: E402


def test_a_trial_is_a_list_of_settings():
    assert trials.parsed("window=0.2 back=1") == {"window": 0.2, "back": 1.0}
    assert trials.parsed(trials.SHIPPED) == {}
    for wrong in ("speed=1", "window", "window=much"):
        with pytest.raises(UsageError, match="NAME=VALUE"):
            trials.parsed(wrong)
    source = read_checkpoint(shipped_checkpoint("tracker"))
    info = info_of_checkpoint(PLUGIN, source)
    changed = trials.policy(info, {"window": 0.2, "back": 1.0})
    assert (changed.window, changed.look) == (0.2, source.postprocess["policy"]["look"])
    with pytest.raises(UsageError, match="nanotrack"):
        trials.network(source, None, 0.5, True)


def test_a_moved_box_is_the_same_each_time_and_a_tenth_off_at_most():
    box = np.array([10.0, 20.0, 30.0, 40.0])
    one, same, other = trials.moved(box, 3, 0), trials.moved(box, 3, 0), trials.moved(box, 3, 1)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (np.abs(one - box) <= [3, 4, 3, 4]).all()


def test_means_are_those_of_scenes_held_out_and_of_the_others():
    told = trials.row({"a": [0.5, 0.4, 0.2], "b": [0.7, 0.7, 0.7]}, {"a"})
    assert told["held_out"] == pytest.approx({"auc": 0.5, "auc_moved_box": 0.3})
    assert told["learnt"] == pytest.approx({"auc": 0.7, "auc_moved_box": 0.7})
    assert "learnt" not in trials.row({"a": [0.5, 0.4]}, {"a"})


def test_the_table_leaves_out_what_was_not_measured(tmp_path, monkeypatch):
    both = {part: {"auc": 0.5, "auc_moved_box": 0.25} for part in ("held_out", "learnt")}
    rows = {"one": both, "two": {**both, "dev": {"auc": 0.75, "auc_moved_box": 0.625}}}
    monkeypatch.setattr(trials, "RESULT", tmp_path / "t.json")
    (tmp_path / "t.json").write_text(json.dumps({"trials": rows}))
    one, two = trials.markdown().splitlines()[2:]
    assert one.split("|")[5:] == [" 0.250 ", "  ", "  ", ""]
    assert two.split("|")[6:8] == [" 0.750 ", " 0.625 "]


def test_claims_compare_told_and_silent_films():
    rows = {
        name: words.row(np.array([0.6, 0.8]), np.array([0.3, 0.3 + apart]))
        for name, apart in ((words.CROWD, 0.2), (f"without {words.CROWD}", 0.5),
                            (words.PLAIN, 0.6), (f"without {words.PLAIN}", 0.5))
    }  # fmt: skip
    own = {"rows": rows, "r_at_1": {"mean": 0.5, "low": 0.4, "high": 0.6, "chance": 1 / 16}}
    found = {c["claim"]: c for c in words.claims(own, own)}
    crowd = found[f"3a gain by the sentence among {words.CROWD}"]
    assert crowd["mean"] == pytest.approx(0.3)
    assert crowd["holds"]
    assert not found[f"3a gain by the sentence among {words.PLAIN}"]["holds"]
    assert found["3c R@1 in times of chance"]["low"] == pytest.approx(6.4)
    assert found["3c AUC with the alignment less without"]["mean"] == 0


def test_films_are_followed_told_and_silent(monkeypatch):
    monkeypatch.setattr(words, "WORLDS", 1)
    torch.manual_seed(0)
    config = Config(size=64, width=16, hears=8)
    net = PLUGIN.build(config).eval()
    scene = Scene(width=64, height=64, frames=3, smallest=20, largest=24)
    follower = Follower(runner(net), info_of_module(PLUGIN, config))
    spoken, silent = words.gains(follower, words.films_of(scene))
    assert spoken.shape == silent.shape == (1,)
    worlds = [make_world(seed, scene) for seed in (1, 2)]
    seen, said = words.vectors(net, config, worlds)
    assert seen.shape == said.shape == (2, 8)
    assert not torch.equal(said[0], said[1])


def test_an_oracle_leaves_scores_where_the_target_is_and_nowhere_else():
    config = Config(size=64, width=16)
    world = make_world(3, Scene(width=96, height=96, frames=2, smallest=20, largest=24))

    def everywhere(arrays):
        return {
            "score": np.full((1, 1, 4, 4), 0.9, np.float32),
            "box": np.full((1, 4, 4, 4), 8, np.float32),
            "features": np.zeros((1, 48, 4, 4), np.float32),
        }

    oracle = words.Oracle(everywhere, info_of_module(PLUGIN, config))
    oracle.truth = world.boxes[0]
    oracle.start(world.frames[0], world.boxes[0])
    centre = world.boxes[0][:2] + world.boxes[0][2:] / 2
    side = 2.0 * max(world.boxes[0][2:])
    seen = oracle._look(world.frames[0], centre, side, None)["score"][0, 0]
    assert seen[2, 2] == np.float32(0.9)
    assert seen[0, 0] == 0
    assert oracle._look(world.frames[0], centre + 500, side, None)["score"].max() == 0
    fresh = words.Oracle(everywhere, info_of_module(PLUGIN, config))
    assert len(words.ceiling(fresh, [(world.frames, world.boxes, "")])) == 1


def test_a_rival_of_the_words_differs_in_the_alignment_alone(tmp_path):
    shown = read_checkpoint(shipped_checkpoint("tracker"))
    told = shown.provenance["words"]["settings"]
    for other in (told, {**told, "align": 0.0, "hears": 8}):
        run = replace(shown, provenance={"settings": other})
        with pytest.raises(UsageError, match="differs from the shipped word map"):
            words.unaligned(shown, run, tmp_path / "no")
    run = replace(shown, provenance={"settings": {**told, "align": 0.0, "init": "elsewhere"}})
    loud = shown.provenance["words"]["loud"]
    rival = words.unaligned(shown, run, tmp_path / "rival")
    ours, theirs = (PLUGIN.load(c).state_dict() for c in (shown, rival))
    assert torch.allclose(theirs["words.word.2.weight"], loud * ours["words.word.2.weight"])
    assert torch.equal(theirs["words.key.0.weight"], ours["words.key.0.weight"])


def test_weights_part_of_the_way_lie_between_and_their_run_began_with_them(tmp_path):
    shown = read_checkpoint(shipped_checkpoint("tracker"))
    state = PLUGIN.load(shown).state_dict()
    moved = {key: value + 1 if key.startswith("head.") else value for key, value in state.items()}
    began = {"init": {"weights_sha256": shown.weights_sha256}, "seed": 3}
    run = changed(shown, moved, tmp_path / "run", provenance=began)
    part = ship.between(shown, run, 0.25, tmp_path / "part")
    found = PLUGIN.load(part).state_dict()
    assert torch.allclose(found["head.score_corr.kernel.bias"],
                          state["head.score_corr.kernel.bias"] + 0.25)  # fmt: skip
    assert torch.equal(found["backbone.stem.0.weight"], state["backbone.stem.0.weight"])
    assert part.provenance["toward"] == {"seed": 3, "part": 0.25}
    with pytest.raises(UsageError, match="began with the weights"):
        ship.between(part, run, 0.25, tmp_path / "other")
