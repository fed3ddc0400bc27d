"""`face-detector`: cells to faces, looks of any size, and who finds faces where."""

from pathlib import Path

import numpy as np
import pytest

from edgesdk import detect
from edgesdk.boxes import STRIDES, Detection, decode
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.images import read_image
from edgesdk.tasks._face_sets import (
    agree,
    average_precision,
    overlap,
    read_faces,
    shares_in_precision,
    squared,
)


def maps(height, width):
    return {
        f"{head}_{s}": np.full((1, n, height // s, width // s), -20.0 if n == 1 else 0.0)
        for s in STRIDES
        for head, n in (("score", 1), ("box", 4), ("points", 10))
    }


def test_a_cell_is_decoded_by_hand():
    raw = maps(64, 96)
    raw["score_16"][0, 0, 2, 3] = np.log(9)  # 0.9 after the sigmoid
    raw["box_16"][0, :, 2, 3] = [0.5, 0.25, np.log(2), np.log(3)]
    raw["points_16"][0, :, 2, 3] = np.arange(10) / 10
    (found,) = decode(raw, 0, 0.5)
    assert found.score == pytest.approx(0.9)
    assert found.box == pytest.approx((56 - 16, 36 - 24, 32, 48))
    assert found.points[0] == pytest.approx([48, 33.6])
    assert found.points[4] == pytest.approx([60.8, 46.4])
    assert decode(raw, 0, 0.95) == []


def test_wild_numbers_of_a_broken_graph_stay_finite():
    raw = {name: array + 1e30 for name, array in maps(32, 32).items()}
    with np.errstate(all="raise"):
        assert all(np.isfinite(face.box).all() for face in decode(raw, 0, 0.5))


@pytest.mark.parametrize(("shape", "side"), [((100, 900), 320), ((321, 320), 320), ((64, 64), 64)])
def test_tiles_of_one_size_cover_a_picture_and_share_an_edge(shape, side):
    seen = np.zeros(shape, bool)
    for left, top, tile in detect._tiles(np.zeros((*shape, 3), np.uint8), side):
        assert max(tile.shape[:2]) <= side
        seen[top : top + tile.shape[0], left : left + tile.shape[1]] = True
    assert seen.all()


def test_an_unknown_detector_is_named_with_those_there_are():
    with pytest.raises(UsageError, match="yunet"):
        detect.detector("yunnet")


def test_yunet_is_not_replaced_where_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(detect, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="teachers"):
        detect.detector("yunet")


def face(box, score):
    return Detection(box, np.zeros((5, 2)), score)


def test_a_face_counts_once_and_the_surest_find_of_it_is_right():
    truth = np.array([[0, 0, 10, 10, *range(10)], [50, 50, 10, 10, *range(10)]], float)
    found = [face((1, 0, 10, 10), 0.6), face((0, 0, 10, 10), 0.9), face((80, 80, 9, 9), 0.7)]
    told = agree(found, truth)
    assert told.right.tolist() == [True, False, False]
    assert told.face.tolist() == [0, -1, -1]
    assert average_precision([told]) == pytest.approx(0.5)


def test_average_precision_of_none():
    nothing = np.empty((0, 14))
    assert average_precision([agree([], nothing)]) == 1.0
    assert average_precision([agree([face((0, 0, 5, 5), 0.9)], nothing)]) == 0.0
    assert overlap((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)


def test_what_photos_bring_to_the_average_precision():
    row = np.full((1, 14), np.nan)
    row[0, :4] = 0, 0, 10, 10
    found = agree([face((0, 0, 10, 10), 0.8)], row)
    wrong = agree([face((50, 50, 10, 10), 0.9)], np.empty((0, 14)))
    photos = [found, found, wrong, agree([], row)]
    shares = shares_in_precision(photos)
    assert shares.mean() == pytest.approx(average_precision(photos))
    # A false find that is surer than all others costs, and so does a face that is missed.
    assert max(shares[2:]) < shares[0] == shares[1]
    assert shares_in_precision([found]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "table of pictures"),
        ("{", "no JSON"),
        ('{"a.png": [[1, 2, 3]]}', "4 or 14"),
        ('{"a.png": [[1, 2, 0, 3]]}', "a box is"),
        ('{"a.png": 7}', "4 or 14"),
        ('{"a.png": [["1", "2", "3", "4"]]}', "4 or 14"),
        ('{"a.png": [[1, 2, 3, true]]}', "4 or 14"),
        ('{"a.png": [[1e308, 2, 1e308, 3]]}', "4 or 14"),
        (f'{{"a.png": [[1, 2, 3, {"9" * 400}]]}}', "4 or 14"),
        ('{"b.png": []}', "not there"),
    ],
)
def test_a_list_of_faces_is_checked(tmp_path, text, said):
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "faces.json").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_faces(tmp_path)


def test_a_list_of_faces_is_read_by_the_rule_of_all_sets(tmp_path):
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "A.PNG")
    (tmp_path / "faces.json").write_text('{"a.jpg": [[1, 2, 3, 4]]}')
    photos = read_faces(tmp_path)
    assert photos.names == ("A.PNG",)
    assert photos.faces[0][0, :4].tolist() == [1, 2, 3, 4]


def test_a_damaged_photo_is_found_before_any_is_judged(tmp_path):
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.new("RGB", (90, 90)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:50])
    (tmp_path / "faces.json").write_text('{"a.png": [], "b.png": []}')
    with pytest.raises(UsageError, match=r"1 of 2 pictures cannot be read: b\.png"):
        read_faces(tmp_path)


def test_a_squared_picture_keeps_its_pixels():
    picture = np.full((3, 5, 3), 7, np.uint8)
    whole = squared(picture)
    assert whole.shape == (5, 5, 3)
    assert (whole[:3] == 7).all()
    assert (whole[3:] == 0).all()


EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_shipped_detector_finds_the_astronaut_whole_and_in_tiles():
    photo = read_image(EXAMPLES / "astronaut.jpg")
    marked = np.array([[202, 100], [246, 103], [224, 126], [203, 139], [244, 141]])
    whole, tiled = detect.FaceDetector(), detect.FaceDetector()
    tiled._fixed = detect.bundle_side(tiled.bundle)
    for seen in (whole.look(photo), tiled.look(photo)):
        surest = seen[0]
        assert np.abs(surest.points - marked).max() < 14
