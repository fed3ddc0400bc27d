"""The state of a target: start, follow, lose, find again; and the steps around a network."""

import numpy as np
import pytest
from PIL import Image

from edgesdk import track_steps
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.task import ModelInfo
from edgesdk.core.tensors import TensorSpec
from edgesdk.track import Follower, check_box
from edgesdk.track_steps import Policy, boxes_in, choose, crop, target_side
from edgesdk.words import BLANK, sentence_features, words_of

SIZE, CELLS = 64, 4
INFO = ModelInfo(
    model="by-colour",
    task="tracking",
    inputs=(
        TensorSpec("image", (None, 3, SIZE, SIZE), layout="NCHW", kind="image"),
        TensorSpec("memory", (None, 2, 2, 2), layout="NCHW", kind="features"),
        TensorSpec("text", (None, 4, 16), kind="features"),
    ),
    outputs=(
        TensorSpec("score", (None, 1, CELLS, CELLS)),
        TensorSpec("box", (None, 4, CELLS, CELLS)),
        TensorSpec("features", (None, 2, CELLS, CELLS)),
    ),
    preprocess={"image": Preprocess((SIZE, SIZE), mean=(0.0,) * 3, std=(1.0,) * 3)},
    postprocess={"kind": "tracking", "stride": 16},
)


def by_redness(arrays):
    """Score cells by how red they are; every box spans half the crop's quarter."""
    red = arrays["image"][0, 0] - arrays["image"][0, 2]
    cells = red.reshape(CELLS, 16, CELLS, 16).mean((1, 3))
    score = np.clip(cells / 255, 0, 1)[None, None].astype(np.float32)
    return {
        "score": score,
        "box": np.full((1, 4, CELLS, CELLS), 8.0, np.float32),
        "features": np.zeros((1, 2, CELLS, CELLS), np.float32),
    }


def frame(x, y, side=12):
    picture = np.full((80, 120, 3), 60, np.uint8)
    picture[y : y + side, x : x + side] = (255, 0, 0)
    return picture


FREE = Policy(window=0.2, rate=0.0, lost=0.2, patience=1)


def test_a_target_is_followed_where_it_goes():
    follower = Follower(by_redness, INFO, FREE)
    begun = follower.start(frame(40, 30), (40, 30, 12, 12), "the red square")
    assert begun.box == (40, 30, 12, 12)
    assert not begun.lost
    for x in range(43, 70, 3):
        found = follower.update(frame(x, 30))
    assert abs(found.box[0] - 67) < 9
    assert found.box[2:] == (12, 12)
    assert set(follower.seconds) == {"crop", "network", "rest"}


def test_an_unsure_frame_is_looked_at_around_the_place():
    jumped = frame(40, 30), frame(64, 54)
    for look, found in ((0.0, False), (0.3, True)):
        follower = Follower(by_redness, INFO, Policy(window=0.2, rate=0.0, lost=0.2, look=look))
        follower.start(jumped[0], (40, 30, 12, 12))
        state = follower.update(jumped[1])
        assert (np.abs(np.subtract(state.box[:2], (64, 54))).max() < 9) == found


def test_long_steps_are_awaited_again_and_short_ones_are_not():
    follower = Follower(by_redness, INFO, Policy(motion=1.0, still=0.2))
    follower.start(frame(40, 30), (40, 30, 12, 12))
    side = follower._side()
    for step, awaited in ((0.3, 0.3), (0.1, 0.0)):
        follower._speed = np.array([step * side, 0.0])
        moved = follower._awaited(side) - follower._centre
        assert moved.tolist() == pytest.approx([awaited * side, 0.0])


def test_a_target_that_vanishes_is_lost_and_found_elsewhere():
    follower = Follower(by_redness, INFO, FREE)
    follower.start(frame(10, 10), (10, 10, 12, 12))
    empty = np.full((80, 120, 3), 60, np.uint8)
    states = [follower.update(empty) for _ in range(4)]
    assert [s.lost for s in states] == [False, True, True, True]
    assert states[-1].box == (10, 10, 12, 12)
    later = [follower.update(frame(96, 56)) for _ in range(20)][-1]
    assert not later.lost
    assert abs(later.box[0] - 96) < 12


def test_a_broken_frame_moves_nothing():
    follower = Follower(by_redness, INFO, FREE)
    follower.start(frame(40, 30), (40, 30, 12, 12))
    before = follower.update(frame(40, 30)).box
    found = follower.update(None)
    assert (found.box, found.score) == (before, 0.0)
    assert not follower.update(frame(40, 30)).lost


def test_update_before_start_and_boxes_that_are_none_are_refused():
    with pytest.raises(UsageError, match="call start"):
        Follower(by_redness, INFO).update(frame(1, 1))
    for box in ((1, 2, 3), (1, 2, 0, 4), (500, 2, 5, 5), "abcd", (1, 2, float("nan"), 3)):
        with pytest.raises(UsageError):
            check_box(box, 120, 80)
    with pytest.raises(UsageError, match="a sentence is a string"):
        Follower(by_redness, INFO).start(frame(1, 1), (1, 1, 9, 9), None)


def test_the_policy_travels_with_the_model():
    info = ModelInfo(
        model="m", task="tracking", inputs=INFO.inputs, outputs=INFO.outputs,
        postprocess={"stride": 16, "policy": {"window": 0.1, "newer": 1}},
    )  # fmt: skip
    assert Follower(by_redness, info).policy == Policy(window=0.1)


def test_a_crop_is_the_frame_at_scale_and_the_mean_outside():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 30:] = 200
    same = crop(picture, (30.0, 20.0), 20.0, 20)
    assert same.shape == (3, 20, 20)
    assert np.array_equal(same[0], picture[10:30, 20:40, 0].astype(np.float32))
    outside = crop(picture, (-100.0, -100.0), 20.0, 16)
    assert np.abs(outside - picture.mean()).max() <= 1


def test_a_crop_far_larger_than_the_network_s_takes_little_memory(monkeypatch):
    """A box of a million pixels filled all memory, one of a whole large photo a gigabyte."""
    picture = np.full((400, 600, 3), 60, np.uint8)
    picture[100:300, 200:400] = (255, 0, 0)
    fine, coarse = (crop(picture, (300, 200), 800, size) for size in (50, 49))
    assert np.abs(fine[:, 12:38, 12:38] - coarse[:, 12:38, 12:38]).mean() < 12
    asked = []

    def part(frame, low, high):
        asked.append(int((high - low).max()))
        return Image.new("RGB", tuple((high - low)[::-1].tolist()))

    monkeypatch.setattr(track_steps, "_part", part)
    for side in (900, 20_000, 2e6):
        assert crop(picture, (300, 200), side, 50).shape == (3, 50, 50)
    assert max(asked) <= 50 * track_steps.COARSE + 50


def test_a_number_without_end_is_no_box():
    with pytest.raises(UsageError, match="four numbers"):
        check_box((10**400, 1, 2, 3), 100, 100)


def test_boxes_and_the_choice_among_them():
    distances = np.full((4, 4, 4), 8.0)
    boxes = boxes_in(distances, 16)
    assert boxes[:, 0].tolist() == [-32, -32, 16, 16]
    assert boxes[:, 10].tolist() == [0, 0, 16, 16]
    scores = np.full(16, 0.1)
    scores[5] = 0.9
    best, rate = choose(scores, boxes, (16.0, 16.0), Policy(window=0.0))
    assert best == 5
    assert rate == pytest.approx(0.9 * Policy().rate)
    assert target_side(10, 10) == 20


def test_sentences_become_rows_without_a_vocabulary():
    assert words_of("The RED car, left!") == ["the", "red", "car", "left"]
    assert words_of("  ") == [BLANK]
    rows = sentence_features("the reddish car", 5, 64)
    assert rows.shape == (5, 64)
    assert np.allclose(np.linalg.norm(rows[:3], axis=1), 1)
    assert not rows[3:].any()
    red, blue = (sentence_features(word, 1, 64)[0] for word in ("red", "blue"))
    assert rows[1] @ red > rows[1] @ blue
    assert sentence_features("", 5, 64)[0].any()
