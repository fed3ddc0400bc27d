import numpy as np
import pytest
from PIL import Image

from edgesdk import FacePipeline, read_image
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import ARCFACE_112
from edgesdk.detect import Detection, YuNet, detector
from edgesdk.looks import Looks
from edgesdk.photos import find, lies_as_a_crop, misfit, seen_as_a_crop
from tests.test_face import needs_weights

PHOTO = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
POINTS = ARCFACE_112 + np.array([60, 40])


def detection(points, score=0.9):
    (x, y), (right, bottom) = points.min(0), points.max(0)
    return Detection((x, y, right - x, bottom - y), points, score)


class SeesUpright:
    """Finds one face where the photo it knows is upright, and a worse one in other turns."""

    sure = 0.91

    def __init__(self, photo, wrong=True):
        self.photo, self.wrong = photo, wrong

    def __call__(self, picture):
        if np.array_equal(picture, self.photo):
            return [detection(POINTS, 0.95)]
        return [detection(POINTS * 0.5, 0.8)] if self.wrong else []


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("wrong", [True, False])
def test_a_turned_photo_is_looked_at_upright(turn, wrong):
    marked = np.zeros_like(PHOTO)
    for number, (x, y) in enumerate(POINTS.round().astype(int), 1):
        marked[y, x] = number
    turned = np.ascontiguousarray(np.rot90(marked, turn))
    (face,) = find(SeesUpright(marked, wrong), turned)
    for number, (x, y) in enumerate(face.points.round().astype(int), 1):
        assert turned[y, x, 0] == number
    x, y, width, height = face.box
    assert x < face.points[:, 0].max() <= x + width + 1
    assert y < face.points[:, 1].max() <= y + height + 1


def test_a_turn_counts_only_where_it_shows_a_sure_face():
    """Masked faces: upright the detector is unsure, and on their heads a little less so."""

    class Unsure:
        sure = 0.9

        def __call__(self, picture):
            upright = np.array_equal(picture, PHOTO)
            return [detection(POINTS, 0.8) if upright else detection(POINTS * 0.5, 0.85)]

    (face,) = find(Unsure(), PHOTO)
    assert face.points == pytest.approx(POINTS)


@pytest.mark.parametrize(("score", "found"), [(0.8, 0), (0.92, 1)])
def test_what_only_a_turn_shows_counts_from_a_higher_score(score, found):
    class OnItsSide:
        sure, lone = 0.95, 0.9

        def __call__(self, picture):
            wide = picture.shape[1] > picture.shape[0]
            return [] if wide else [detection(POINTS, score), detection(POINTS * 0.5, 0.7)]

    assert len(find(OnItsSide(), PHOTO)) == found


@pytest.mark.parametrize(("score", "found"), [(0.8, 0), (0.92, 1)])
def test_what_only_an_enlarged_look_shows_counts_from_a_higher_score(score, found):
    class Enlarged(Looks):
        lone = 0.9

        def look(self, picture):
            return [detection(POINTS, score)] if max(picture.shape[:2]) > 320 else []

    looks = Enlarged(640)
    assert (len(looks(PHOTO)), len(looks.largest(PHOTO))) == (found, found)


def test_no_turn_is_tried_where_a_face_is_sure():
    seen = []

    def sees(picture):
        seen.append(picture)
        return [detection(POINTS)]

    assert len(find(sees, PHOTO)) == 1
    assert len(seen) == 1


@pytest.mark.parametrize("turn_deg", [0, 30, 90, 180])
def test_a_face_fits_in_any_place_size_and_turn(turn_deg):
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert misfit(ARCFACE_112 @ turn.T * 3 + [7, 90]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "order",
    [[1, 0, 2, 3, 4], [0, 1, 2, 4, 3], [1, 0, 2, 4, 3], [2, 0, 1, 3, 4]],
    ids=["eyes swapped", "mouth swapped", "mirrored", "nose first"],
)
def test_points_in_another_order_get_a_sentence(order):
    with pytest.raises(UsageError, match="order them: eyes, nose, mouth corners"):
        find(lambda picture: [detection(POINTS[order])], PHOTO)


def test_y_before_x_gets_the_sentence_as_well():
    with pytest.raises(UsageError, match="x before y"):
        find(lambda picture: [detection(POINTS[:, ::-1])], PHOTO)


@pytest.mark.parametrize("points", [np.zeros((4, 2)), np.full((5, 2), np.nan), np.zeros(10)])
def test_what_are_no_five_points(points):
    wrong = Detection((0.0, 0.0, 9.0, 9.0), points, 0.9)
    with pytest.raises(UsageError, match="five finite ones"):
        find(lambda picture: [wrong], PHOTO)


def test_points_of_no_face_leave_the_pair_undecided(make_face_bundle):
    line = np.array([[60.0, 60], [100, 60], [140, 60], [180, 60], [220, 60]])
    with FacePipeline(make_face_bundle(), detector=lambda picture: [detection(line)]) as opened:
        face = opened.face(PHOTO)
        assert "points do not fit a face" in face.quality.note
        result = opened.compare(PHOTO, PHOTO)
    assert (result.same, result.decision) == (None, "undecided")
    assert "pixels of 112 from a face's" in result.reason


@needs_weights
@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_photo_on_its_side_shows_the_same_person(make_face_bundle, examples, quarter):
    photo = read_image(examples / "astronaut.jpg")
    turned = np.ascontiguousarray(np.rot90(photo, quarter))
    with FacePipeline(make_face_bundle()) as opened:
        assert opened.compare(photo, turned).similarity > 0.99
        (face,) = opened.faces(turned)
    assert "turned by" in face.quality.note


@needs_weights
@pytest.mark.parametrize("degrees", [45, 225])
@pytest.mark.parametrize("name", [pytest.param("yunet", marks=needs_weights), "face-detector"])
def test_a_photo_on_a_corner_is_looked_at_upright(examples, name, degrees):
    photo = Image.open(examples / "astronaut.jpg")
    turned = photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    face = max(find(detector(name), np.asarray(turned), largest=True), key=lambda face: face.score)
    # Her eyes, nose and mouth corners in the photo of 512 pixels, marked by hand.
    marked = np.array([[202, 100], [246, 103], [224, 126], [203, 139], [244, 141]])
    angle = np.radians(degrees)
    there = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wanted = (marked - 256) @ there + np.array([turned.width, turned.height]) / 2
    assert np.abs(face.points - wanted).max() < 14
    middle = np.array(face.box[:2]) + np.array(face.box[2:]) / 2
    assert np.hypot(*(middle - wanted.mean(0))) < 14


@pytest.mark.parametrize("side", [40, 64, 100, 150, 160])
def test_a_small_photo_is_no_crop(examples, side):
    photo = Image.open(examples / "astronaut.jpg").resize((side, side))
    assert seen_as_a_crop(YuNet(), np.asarray(photo)) is False


@needs_weights
@pytest.mark.parametrize("side", [32, 64, 112, 160])
def test_a_crop_of_any_size_is_one(examples, side):
    crop = Image.open(examples / "astronaut_aligned.png").resize((side, side))
    assert seen_as_a_crop(YuNet(), np.asarray(crop)) is True


def test_a_crop_is_told_by_where_its_face_lies():
    crop = np.zeros((56, 56, 3), np.uint8)
    assert lies_as_a_crop(detection(ARCFACE_112 / 2), crop)
    assert not lies_as_a_crop(detection(ARCFACE_112 / 4), crop)


@needs_weights
def test_the_taking_is_told(make_face_bundle, examples):
    with FacePipeline(make_face_bundle()) as opened:
        assert opened.face(examples / "astronaut.jpg").taken == "photo"
        seen = opened.face(examples / "astronaut_aligned.png")
        assert seen.taken == "crop (its face lies as in one)"
        told = opened.face(np.zeros((50, 50, 3), np.uint8), aligned=True)
        assert told.taken == "crop (as told)"
        unseen = opened.compare(np.zeros((50, 50, 3), np.uint8), seen.crop)
    assert unseen.same is None
    assert "no face is seen" in unseen.reason


def test_without_a_detector_the_size_decides_and_it_is_told(make_face_bundle, monkeypatch):
    monkeypatch.setattr("edgesdk.detect.find_spec", lambda name: None)
    with FacePipeline(make_face_bundle(), detector="yunet") as opened:
        face = opened.face(PHOTO[:112, :112])
    assert face.taken.startswith("crop (small square, not looked at: ")
    assert "edgesdk[teachers]" in face.taken


@pytest.mark.parametrize("shape", [(1, 1), (7, 200), (7, 7)])
def test_a_picture_too_small_for_a_face_gets_a_sentence(make_face_bundle, shape):
    opened = FacePipeline(make_face_bundle())
    with opened, pytest.raises(UsageError, match="too few for a face"):
        opened.face(np.zeros((*shape, 3), np.uint8))
