"""`edgesdk bench --scenario pipeline`: from photos to embeddings."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import ARCFACE_112
from edgesdk.core.result import read_result
from edgesdk.detect import Detection
from edgesdk_benchmarks.report import report
from edgesdk_benchmarks.report.groups import split
from edgesdk_benchmarks.validity import judge
from edgesdk_runtimes._layer_share import layer_share


class TwoFaces:
    concurrent = True

    def __init__(self, *_, **__):
        pass

    def __call__(self, picture):
        return [Detection((x, 0, 112, 112), ARCFACE_112 + np.array([x, 0]), 0.99) for x in (0, 80)]


@pytest.fixture
def finder(monkeypatch):
    monkeypatch.setattr("edgesdk.detect.YuNet", TwoFaces)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        Image.new("RGB", (200, 150), (number, 90, 90)).save(tmp_path / f"photos/{number}.png")
    return tmp_path / "photos"


def measured(tmp_path, **options):
    return edgesdk.bench(
        "bridge-face", scenario="pipeline", iterations=1, duration=0.05,
        output_dir=tmp_path / "out", **options,
    )  # fmt: skip


def test_the_parts_and_the_whole_are_told(finder, photos, tmp_path):
    (result,) = measured(tmp_path, photos=photos)
    assert result.main.batch == 6
    assert result.main.stage == "overlapped"
    assert list(result.shares) == ["decode", "detect", "align", "infer"]
    assert sum(result.shares.values()) == pytest.approx(1)
    plain, parts = result.stage("plain")[0], [result.stage(p)[0] for p in result.shares]
    # The parts are of the plain passes and no more than these.
    assert sum(p.ms.min() for p in parts) <= plain.ms.max()
    assert all(len(p.samples) >= len(plain.samples) for p in parts)
    (path,) = (tmp_path / "out").glob("*-pipeline-*.json")
    assert read_result(path).shares == pytest.approx(result.shares)
    assert "overlapped" in split(result)
    assert judge(result.plan, result.measurements).verdict in ("VALID", "NOISY")


def test_the_report_shows_the_shares(finder, photos, tmp_path):
    measured(tmp_path, photos=photos)
    page = report([tmp_path / "out"], tmp_path / "report").read_text()
    assert "Pipeline, 1 thread" in page
    assert "of the time decode" in page
    assert "one after the other" in (tmp_path / "report/report.md").read_text()
    data = json.loads((tmp_path / "report/report.json").read_text())
    assert set(data["groups"][0]["results"][0]["shares"]) == {"decode", "detect", "align", "infer"}


def test_drawn_photos_do_without_any(finder, tmp_path):
    (result,) = measured(tmp_path)
    assert result.main.batch == 16


def test_a_result_without_the_whole_is_refused(finder, photos, tmp_path):
    (result,) = measured(tmp_path, photos=photos)
    kept = tuple(m for m in result.measurements if m.stage != "overlapped")
    with pytest.raises(UsageError, match="no inference times"):
        type(result).from_json(replace(result, measurements=kept).to_json())


def test_wrong_words_get_a_sentence(finder, photos, tmp_path):
    with pytest.raises(UsageError, match="are those of --scenario pipeline"):
        edgesdk.bench("bridge-face", photos=photos)
    with pytest.raises(UsageError, match="does not exist"):
        measured(tmp_path, photos=tmp_path / "gone")
    with pytest.raises(UsageError, match="runs here, not on browser"):
        measured(tmp_path, device="browser")
    with pytest.raises(UsageError, match="tracking does not have"):
        edgesdk.bench("tracker", scenario="pipeline", output_dir=tmp_path / "o")
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="holds no photo"):
        measured(tmp_path, photos=tmp_path / "none")


def test_detectors_of_generated_pictures_tell_the_share_of_their_filter(photos, tmp_path):
    options = {"scenario": "pipeline", "iterations": 1, "duration": 0.05, "photos": photos}
    results = edgesdk.bench(
        ["f2c-detector", "item-detector"], output_dir=tmp_path / "out", **options
    )
    spectral, captioned = results
    assert (spectral.item, spectral.main.batch) == ("picture", 3)
    assert list(spectral.shares) == ["decode", "prepare", "filter", "infer"]
    assert 0 < spectral.shares["filter"] < 1
    assert list(captioned.shares) == ["decode", "prepare", "infer"]


def test_a_bundle_that_names_no_layer_has_no_share():
    session = edgesdk.load("bridge-face")
    inputs = {"image": np.zeros((1, 3, 16, 16), np.float32)}
    assert layer_share(session, inputs, 1, "SpectrumFilter") == 0
