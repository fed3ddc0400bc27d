"""Tiles, their truth, and which cells answer for a face."""

import numpy as np
import pytest

from edgesdk_training.scenes import Odds, Scenes, Shown, mirrored, moved, placed

torch = pytest.importorskip("torch", reason="needs the train extra")

POINTS = [40, 40, 60, 40, 50, 50, 42, 60, 58, 60]
FACE = np.array([[30, 30, 40, 44, 0.9, *POINTS]], np.float32)


def test_a_mirrored_face_has_the_left_eye_first():
    picture = np.zeros((100, 100, 3), np.uint8)
    _, (face,) = mirrored(picture, FACE)
    assert face[:4] == pytest.approx([30, 30, 40, 44])
    assert face[5:9] == pytest.approx([40, 40, 60, 40])
    _, again = mirrored(*mirrored(picture, FACE + 3))
    assert np.allclose(again, FACE + 3)


def test_a_turned_and_enlarged_face_keeps_its_middle_and_size():
    (face,) = moved(FACE, placed(np.array([50.0, 52.0]), 2.0, 90.0, 80.0))
    assert face[:2] + face[2:4] / 2 == pytest.approx([80, 80])
    assert face[2:4] == pytest.approx([88, 80])
    assert face[5:7] == pytest.approx([80 + 24, 80 - 20])


def test_tiles_hang_on_the_seed_and_tell_where_faces_are():
    random = np.random.default_rng(0)
    photos = [
        Shown(random.integers(0, 255, (120, 150, 3), np.uint8), faces) for faces in (FACE, FACE[:0])
    ]
    crops = [Shown(random.integers(0, 255, (96, 96, 3), np.uint8), FACE)]
    layers = random.integers(0, 255, (2, 32, 32, 4), np.uint8)
    scenes = Scenes(photos, crops, layers, Odds(side=64, hidden=1.0))
    tiles = [[scenes.tile(np.random.default_rng(n)) for n in range(30)] for _ in range(2)]
    for (one, faces), (other, same) in zip(*tiles, strict=True):
        assert one.shape == (64, 64, 3)
        assert np.array_equal(one, other)
        assert np.array_equal(faces, same)
        assert np.isfinite(faces).all()
    assert sum(len(faces) for _, faces in tiles[0]) > 20


def test_the_cells_that_answer_give_back_the_face():
    from edgesdk.boxes import decode
    from edgesdk_training.nets.face_cells import STRIDES, read, targets
    from edgesdk_training.nets.face_detector import HEADS

    shape = {(s, h): torch.zeros(1, n, 96 // s, 96 // s) for s in STRIDES for h, n in HEADS.items()}
    said = read(list(shape.values()))
    chosen, learns = targets(torch.from_numpy(FACE)[None], said.places, said.strides, 0.7)
    cells = (chosen[0] == 0).nonzero()[:, 0]
    assert set(said.strides[cells].tolist()) == {16.0}
    assert learns[0, cells].all()
    unsure = torch.from_numpy(FACE)[None].clone()
    unsure[..., 4] = 0.5
    chosen, learns = targets(unsure, said.places, said.strides, 0.7)
    assert (chosen < 0).all()
    assert not learns.all()
    # What training reads of the maps and what `edgesdk.boxes` reads are one.
    random = torch.Generator().manual_seed(1)
    drawn = [torch.rand(m.shape, generator=random) for m in shape.values()]
    ours = read(drawn)
    named = {f"{h}_{s}": m.numpy() for (s, h), m in zip(shape, drawn, strict=True)}
    best = int(ours.logits[0].argmax())
    surest = decode(named, 0, 0.0)[0]
    assert surest.box == pytest.approx(ours.boxes[0, best].tolist(), rel=1e-4)
    assert surest.points.ravel() == pytest.approx(ours.points[0, best].flatten().tolist(), rel=1e-4)


def test_the_loss_falls_where_the_network_is_right():
    from edgesdk_training.nets.face_cells import Weights, loss
    from edgesdk_training.nets.face_detector import FaceDetector

    torch.manual_seed(0)
    network = FaceDetector()
    faces = torch.from_numpy(FACE)[None]
    value, parts = loss(network(torch.rand(1, 3, 96, 96)), faces, 0.7, Weights())
    value.backward()
    assert set(parts) == {"score", "box", "points"}
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    nobody, _ = loss(network(torch.rand(1, 3, 96, 96)), faces * 0, 0.7, Weights())
    assert torch.isfinite(nobody)


def test_a_photo_s_own_face_is_hidden_where_its_points_are():
    photo = Shown(np.full((120, 120, 3), 10, np.uint8), FACE)
    layer = np.zeros((1, 112, 112, 4), np.uint8)
    # Below the eyes of an aligned face, and over its whole width.
    layer[:, 70:] = 255
    scenes = Scenes([photo], [], layer, Odds(side=96, worn=1.0))
    hidden = scenes._worn(photo, np.random.default_rng(0)).picture
    assert hidden[60, 50].min() > 250
    assert (hidden[40, [40, 60]] == 10).all()
    assert (photo.picture == 10).all()
    assert (
        scenes._worn(Shown(photo.picture, FACE[:0]), np.random.default_rng(0)).picture.max() == 10
    )


def test_tiles_are_drawn_around_what_was_wrongly_taken_for_a_face():
    random = np.random.default_rng(0)
    bare = Shown(np.zeros((200, 200, 3), np.uint8), FACE[:0])
    statue = Shown(random.integers(100, 255, (200, 200, 3), np.uint8), FACE[:0])
    place = np.array([[90, 90, 20, 20]], np.float32)
    scenes = Scenes([bare], [], np.empty((0, 8, 8, 4), np.uint8), Odds(wrong=1), [(statue, place)])
    tiles = [scenes.tile(np.random.default_rng(n)) for n in range(5)]
    assert all(tile.max() > 100 and not len(faces) for tile, faces in tiles)


def test_a_mistake_is_what_no_face_of_the_teacher_explains():
    from edgesdk.boxes import Detection
    from edgesdk_training import photo_data

    known = Detection((31.0, 30.0, 40.0, 44.0), np.zeros((5, 2)), 0.9)
    wrong = Detection((100.0, 10.0, 30.0, 30.0), np.zeros((5, 2)), 0.4)
    photos = [Shown(np.zeros((99, 150, 3), np.uint8), faces) for faces in (FACE, FACE[:0])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_data, "seen_once", lambda *_, **__: [known, wrong])
        (first, boxes), (second, others) = photo_data.mistakes(None, 0.3, photos)
    assert (first, second) == tuple(photos)
    assert boxes.tolist() == [list(wrong.box)]
    assert len(others) == 2
