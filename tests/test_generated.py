"""Crops of native pixels, labels by folder, scores and verdicts."""

import numpy as np
import pytest

from edgesdk.core.errors import UsageError
from edgesdk.generated import (
    MOST_CROPS,
    auc_interval,
    balanced_accuracy,
    band,
    calibration,
    corners,
    crops,
    kind_of,
    power_gap,
    probability,
    verdict,
)


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("real", "real"),
        ("real/imagenet", "real/imagenet"),
        ("ai/sdxl", "fake/sdxl"),
        ("ADM/train/nature", "real/ADM/train"),
        ("progan/1_fake", "fake/progan"),
        ("soft/median", "soft/median"),
        ("people/anna", "None"),
        ("", "None"),
    ],
)
def test_folders_tell_what_lies_in_them(folder, says):
    assert str(kind_of(folder)) == says


@pytest.mark.parametrize(
    "shape", [(64, 64), (65, 64), (3000, 4000), (4000, 30), (20, 20), (256, 256), (64, 20000)]
)
def test_a_grid_covers_any_picture_with_few_crops_inside_it(shape):
    places = corners(*shape, 64)
    assert 1 <= len(places) <= MOST_CROPS
    tops, lefts = np.array(places).T
    for starts, side in ((tops, shape[0]), (lefts, shape[1])):
        room = max(side - 64, 0)
        assert starts.min() >= 0
        assert starts.max() <= room
        if len(set(starts)) > 1:
            assert {0, room} <= set(starts.tolist())


def test_small_pictures_are_covered_whole():
    places = corners(256, 256, 64)
    assert len(places) == 16
    assert len(corners(100, 70, 64)) == 4


def test_crops_are_native_pixels_and_small_pictures_are_mirrored():
    picture = np.random.default_rng(0).integers(0, 256, (130, 90, 3)).astype(np.uint8)
    found = crops(picture, 64)
    assert found.shape == (6, 64, 64, 3)
    assert (found[0] == picture[:64, :64]).all()
    assert (found[-1] == picture[-64:, -64:]).all()
    tiny = crops(picture[:20, :50], 64)
    assert tiny.shape == (1, 64, 64, 3)
    assert (tiny[0, 22:42, 7:57] == picture[:20, :50]).all()
    assert crops(picture[:1, :1], 64).shape == (1, 64, 64, 3)


def test_the_one_number_rises_where_fine_detail_is_lost():
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    doubled = picture[::2, ::2].repeat(2, 0).repeat(2, 1)
    assert power_gap(doubled) > power_gap(picture) + 0.5
    assert np.isfinite(power_gap(np.zeros((64, 64, 3), np.uint8)))


def test_calibration_undoes_a_wrong_scale_and_weighs_both_sides_alike():
    random = np.random.default_rng(0)
    generated = random.random(20_000) < 0.2
    true = np.where(generated, 1, -1) * 0.5 + random.normal(0, 1, len(generated))
    slope, offset = calibration(5 * true + 3, generated)
    # Two normal distributions 1 apart: the logit is the value itself.
    assert 5 * slope == pytest.approx(1, abs=0.06)
    assert 3 * slope + offset == pytest.approx(0, abs=0.06)
    with pytest.raises(UsageError, match="both"):
        calibration(true, np.ones(len(true), bool))


def test_sides_that_do_not_touch_calibrate_to_finite_numbers():
    logits = np.concatenate([np.full(40, -30.0), np.full(40, 30.0)])
    slope, offset = calibration(logits, logits > 0)
    assert np.isfinite([slope, offset]).all()
    assert slope > 0


def test_the_band_allows_five_per_cent_of_errors_a_side():
    random = np.random.default_rng(1)
    generated = np.repeat([True, False], 2000)
    chances = probability(np.where(generated, 1, -1) + random.normal(0, 1.5, 4000))
    thresholds = band(chances, generated)
    assert all(t["low"] <= t["value"] <= t["high"] for t in thresholds.values())
    told = np.array([verdict(c, thresholds) for c in chances])
    assert (told[~generated] == "generated").mean() == pytest.approx(0.05, abs=0.01)
    assert (told[generated] == "real").mean() == pytest.approx(0.05, abs=0.01)
    assert "undecided" in told
    apart = band(np.repeat([0.999, 0.001], 2000), generated)
    assert apart["generated"]["value"] == apart["real"]["value"] == 0.5


def test_scores_have_intervals_that_hold_them():
    random = np.random.default_rng(0)
    fake, real = random.normal(1, 1, 60), random.normal(0, 1, 60)
    found = auc_interval(fake, real)
    assert 0.5 < found["low"] < found["auc"] < found["high"] < 1
    assert balanced_accuracy(fake, real, 0.5) == pytest.approx(0.7, abs=0.1)
