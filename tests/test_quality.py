import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edgesdk import FacePipeline, quality, read_image
from edgesdk.core.preprocess import ARCFACE_112
from edgesdk.quality import Quality
from tests.test_face import FixedDetector, found_at

MEASURED = Path(__file__).parents[1] / "benchmarks" / "results" / "face-quality.json"
GOOD = Quality(112.0, 0.2)


def test_the_thresholds_are_the_measured_ones():
    measured = json.loads(MEASURED.read_text())
    assert measured["least_px"] == quality.LEAST_PX
    assert measured["least_sharpness"] == pytest.approx(quality.LEAST_SHARPNESS, abs=5e-4)


def test_blur_lowers_the_sharpness(examples):
    crop = Image.open(examples / "astronaut_aligned.png")
    values = [
        quality.sharpness(np.asarray(crop.filter(ImageFilter.GaussianBlur(r)))) for r in (0, 1, 3)
    ]
    assert values[0] > 2 * quality.LEAST_SHARPNESS
    assert values == sorted(values, reverse=True)
    assert values[2] < quality.LEAST_SHARPNESS
    assert quality.sharpness(np.zeros((20, 20, 3), np.uint8)) == 0


@pytest.mark.parametrize("turn_deg", [-90, 0, 45])
def test_size_and_turn_come_from_the_points(turn_deg):
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = quality.quality(np.zeros((112, 112, 3), np.uint8), 0.5 * ARCFACE_112 @ turn.T)
    assert found.size_px == pytest.approx(56)
    assert found.turn_deg == pytest.approx(turn_deg, abs=1e-6)
    assert found.misfit == pytest.approx(0, abs=1e-6)


def test_the_note_says_what_is_unusual():
    assert GOOD.note == "112 px"
    poor = Quality(10.0, 0.01, turn_deg=80.0, misfit=20.0)
    assert poor.note == "10 px, blurred, turned by 80°, points do not fit a face"
    assert (GOOD.poor, GOOD.unfit) == ("", "")
    assert "10 pixels, fewer than" in poor.poor
    assert "blurred" in replace(poor, size_px=50.0).poor


def test_small_faces_are_undecided_unless_they_are_the_same(make_face_bundle, examples):
    photo = read_image(examples / "astronaut.jpg")
    detector = FixedDetector(found_at(10, 10, scale=0.1))
    thresholds = {"far_1e-2": {"value": 0.5, "low": 0.4, "high": 0.6}}
    with FacePipeline(make_face_bundle(thresholds=thresholds), detector=detector) as opened:
        face = opened.face(photo)
        other = replace(face, embedding=-face.embedding)
        assert opened.decide_faces(face, face).decision == "same person"
        result = opened.decide_faces(face, other)
    assert result.decision == "undecided"
    assert "11 pixels, fewer than" in result.reason
