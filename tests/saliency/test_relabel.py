"""Maps of black boxes whose reasons are known: they must point where the reason lies."""

import numpy as np
import pytest

from edgesdk.core.errors import UsageError
from edgesdk.core.question import Question, no_larger
from edgesdk.core.samples import synthetic_faces
from edgesdk.saliency.curves import STEPS, curves, ground, mixed, spread
from edgesdk.saliency.explained import decided, explained, mean_interval
from edgesdk.saliency.masks import lime, rise
from edgesdk.saliency.neighbours import Neighbours
from edgesdk.saliency.relabel import cells_of, student

SIDE = 32


def spot(picture, top=8, left=8):
    """How bright a corner of 8x8 pixels is above the rest: the reason of the box below."""
    part = picture[top : top + 8, left : left + 8].astype(float)
    return (part.mean() - picture.mean()) / 60


def bright_corner():
    picture = np.full((SIDE, SIDE, 3), 60, np.uint8)
    picture[8:16, 8:16] = 220
    return picture


def ask(pictures):
    share = 1 / (1 + np.exp(-6 * (np.array([spot(p) for p in pictures]) - 1)))
    return np.stack([share, 1 - share], 1)


def question(picture=None, name="corner.png"):
    shown = bright_corner() if picture is None else picture
    return Question(name=name, picture=shown, answers=("lit", "dark"), ask=ask)


class Around:
    """Stands for an autoencoder whose codes are the brightness of 4x4 tiles."""

    class bundle:  # noqa: N801
        model = "tiles"

    def code(self, picture):
        return np.full(16, -1.0)

    def around(self, picture, noise):
        tiles = spread(noise.reshape(-1, 4, 4), picture.shape[:2])[..., None]
        move = tiles * (100.0 - picture.astype(float)) / 3
        return (picture + move).round().clip(0, 255).astype(np.uint8)

    def misfit(self, picture):
        return 0.0


@pytest.mark.parametrize("method", ["relabel", "lime", "rise"])
def test_a_map_points_at_the_reason(method):
    found = explained(question(), Around(), method=method, queries=200)
    top, left = np.unravel_index(found.found.saliency.argmax(), found.found.saliency.shape)
    assert 4 <= top < 8
    assert 4 <= left < 8
    assert np.abs(found.found.saliency).max() == pytest.approx(1)
    assert found.decision == "lit"
    assert found.queries == 200 + 2 * (STEPS + 1) + 1
    assert found.curves.insertion > found.curves.deletion + 0.3


def test_relabel_is_faithful_where_neighbours_shift_by_halves():
    found = explained(question(), Around(), queries=400).found
    assert 0.3 <= found.shifted_share <= 0.7
    assert found.fidelity >= 0.85


def test_equal_seeds_give_equal_maps_and_others_do_not():
    grain = np.random.default_rng(0).integers(0, 30, (SIDE, SIDE, 3), np.uint8)
    asked = question(bright_corner() + grain)
    one, same, other = (explained(asked, Around(), seed=s).found.saliency for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_two_boxes_are_asked_about_the_very_same_neighbours():
    class Recorded(Around):
        def __init__(self):
            self.drawn = []

        def around(self, picture, noise):
            self.drawn.append(noise)
            return super().around(picture, noise)

    def stubborn(pictures):
        return np.tile([0.9, 0.1], (len(pictures), 1))

    one, other, alone = Recorded(), Recorded(), Recorded()
    found = explained(question(), one, queries=200)
    sure = Question(name="sure", picture=bright_corner(), answers=("lit", "dark"), ask=stubborn)
    explained(sure, other, queries=200, moves=found.found.moves)
    explained(sure, alone, queries=200)
    assert np.array_equal(np.concatenate(one.drawn), np.concatenate(other.drawn))
    assert not np.array_equal(np.concatenate(one.drawn), np.concatenate(alone.drawn))


def test_what_never_shifts_is_said_to_tell_little():
    sure = Question(
        name="sure", picture=bright_corner(), answers=("a", "b"),
        ask=lambda pictures: np.tile([0.9, 0.1], (len(pictures), 1)),
    )  # fmt: skip
    found = explained(sure, Around(), queries=80)
    assert found.found.shifted_share == 0
    assert np.isfinite(found.found.saliency).all()
    assert any("fidelity says little; lime" in note for note in found.notes)


def test_too_few_queries_are_refused():
    with pytest.raises(UsageError, match="40 queries or more, found 3"):
        explained(question(), Around(), queries=3)


def test_progress_counts_every_query():
    seen = []
    explained(question(), Around(), queries=80, progress=lambda *what: seen.append(what))
    assert seen[-1] == (80 + 2 * (STEPS + 1), 80 + 2 * (STEPS + 1), "corner.png")


def test_the_student_learns_a_linear_rule():
    random = np.random.default_rng(0)
    features = random.standard_normal((300, 6)) * [1, 2, 3, 1, 1, 1]
    kept = 1 / (1 + np.exp(-(2 * features[:, 0] - features[:, 1])))
    weights, offset = student(features, kept)
    told = features @ weights + offset >= 0
    assert (told == (kept >= 0.5)).mean() > 0.95
    assert weights[0] > 0 > weights[1]


def test_curves_of_the_right_map_beat_those_of_its_opposite():
    saliency = np.zeros((16, 16))
    saliency[4:8, 4:8] = 1
    right, wrong = (
        curves(bright_corner(), m, lambda ps: ask(ps)[:, 0]) for m in (saliency, -saliency)
    )
    assert right.deletion < wrong.deletion
    assert right.insertion > wrong.insertion
    assert right.falling[0] == right.rising[-1] > 0.9


def test_mixed_pictures_go_from_ground_to_picture():
    picture = bright_corner()
    none, whole = mixed(picture, np.stack([np.zeros((SIDE, SIDE)), np.ones((SIDE, SIDE))]))
    assert np.array_equal(none, ground(picture))
    assert np.array_equal(whole, picture)


def test_cells_are_means():
    pictures = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(1, 6, 9, 3)
    assert cells_of(pictures, 3)[0, 0, 0] == pytest.approx(pictures[0, :2, :3].mean((0, 1)))


def test_masks_ask_no_more_than_their_budget():
    asked = []

    def score(pictures):
        asked.append(len(pictures))
        return ask(pictures)[:, 0]

    for way in (lime, rise):
        asked.clear()
        assert way(bright_corner(), score, 16, 70, 0).saliency.shape == (16, 16)
        assert sum(asked) == 70


def test_an_interval_holds_its_mean():
    found = mean_interval([0.2, 0.4, 0.9])
    assert found["mean"] == pytest.approx(0.5)
    assert found["low"] < 0.5 < found["high"]


def test_large_pictures_shrink_to_what_a_model_sees():
    assert no_larger(np.zeros((200, 100, 3), np.uint8), (32, 32)).shape == (64, 32, 3)
    assert no_larger(np.zeros((20, 10, 3), np.uint8), (32, 32)).shape == (20, 10, 3)


def test_shipped_neighbours_keep_the_picture_and_move_with_the_noise():
    face = synthetic_faces(1, 0, 112)[0]
    with Neighbours("faces") as neighbours:
        noise = np.zeros((3, neighbours.latent))
        noise[1], noise[2] = 0.5, -2.0
        near = neighbours.around(face, noise).astype(float)
        assert near.shape == (3, *face.shape)
        assert np.array_equal(near[0], face)
        moved = np.abs(near - face).mean((1, 2, 3))
        assert 0 < moved[1] < moved[2]
        assert neighbours.code(face).shape == (neighbours.latent,)


def test_what_draws_no_neighbours_is_refused_with_the_kinds_there_are():
    with pytest.raises(UsageError, match=r"draws no neighbours.*faces"):
        Neighbours("bridge-face")
    with pytest.raises(UsageError, match=r"kind 'face'; .* Did you mean 'faces'"):
        Neighbours("face")


def test_the_decision_is_the_likeliest_answer():
    number, shares = decided(question())
    assert number == int(shares.argmax()) == 0
