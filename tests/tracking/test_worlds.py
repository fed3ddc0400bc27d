"""Made-up worlds: repeatable, labelled, with look-alikes, and sentences that tell one apart."""

import numpy as np

from edgesdk.worlds import COLOURS, SHAPES, Scene, make_world


def test_a_seed_gives_one_world():
    scene = Scene(width=96, height=80, frames=4)
    one, same, other = (make_world(seed, scene) for seed in (3, 3, 4))
    assert one.text == same.text
    assert np.array_equal(one.frames[2], same.frames[2])
    assert not np.array_equal(one.frames[2], other.frames[2])
    assert one.frames[0].shape == (80, 96, 3)
    assert one.boxes.shape == (4, 4)


def test_the_sentence_names_colour_and_shape_and_the_box_holds_that_colour():
    scene = Scene(width=120, height=100, frames=2, smallest=24, largest=30, occlusion=0)
    for seed in range(6):
        world = make_world(seed, scene)
        words = world.text.split()
        colour = next(word for word in words if word in COLOURS)
        assert words[-1] in SHAPES
        x, y, w, h = world.boxes[1].astype(int)
        seen = world.frames[1][y : y + h, x : x + w].reshape(-1, 3).astype(float)
        away = np.abs(seen - COLOURS[colour]).sum(1)
        assert np.sort(away)[len(away) // 20] < 120


def test_the_first_frame_is_grey_where_asked_and_small_targets_are_small():
    scene = Scene(frames=2, smallest=6, largest=8)
    world = make_world(1, scene)
    assert np.ptp(world.frames[0].astype(int), axis=2).mean() > 5  # of the noise
    assert world.boxes[0, 2:].max() <= 16
    assert "small" in world.text


def test_photos_and_cut_outs_take_the_place_of_what_is_drawn():
    photo = np.full((50, 70, 3), 90, np.uint8)
    cut = np.dstack([np.full((20, 30, 3), 200, np.uint8), np.full((20, 30), 255, np.uint8)])
    scene = Scene(width=64, height=48, frames=3, smallest=20, largest=22, jump=0.5)
    world = make_world(0, scene, [photo], [("kite", cut)])
    assert world.text.endswith("kite")
    assert np.isfinite(world.boxes).all()


def test_objects_that_jump_rest_between_two_jumps():
    scene = Scene(frames=8, jump=3.0, rest=3, smallest=20, largest=22, occlusion=0)
    steps = []
    for seed in range(6):
        boxes = make_world(seed, scene).boxes
        middles = boxes[:, :2] + boxes[:, 2:] / 2
        steps.append(np.abs(np.diff(middles, axis=0)).max(1))
    far = np.mean(steps, 0)
    assert far[3] > 2 * np.delete(far, 3).max()
