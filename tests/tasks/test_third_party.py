"""A third party's task enters by its entry point: metric in the gate, unit in the report."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.errors import GateFailedError
from edgesdk.core.question import Question
from edgesdk.core.task import Judged, Metric, Samples, measured, picture_inputs
from edgesdk.core.verify import read_verification
from edgesdk.images import read_image


class Brightness:
    """How bright a plant is, by the first output; the mean error is the metric."""

    aliases = ("plants",)
    extra = ""
    requires = ()
    item = "plant"
    live = ""

    def pictures(self, count, seed, side):
        rng = np.random.default_rng(seed)
        return list(rng.integers(0, 256, (count, side, side, 3), np.uint8))

    def draw(self, info, count, seed):
        pictures = self.pictures(count, seed, 16)
        arrays = picture_inputs(info, pictures)
        return Samples(arrays=arrays, what="drawn plants", pictures=tuple(pictures), total=count)

    def read(self, info, place, count, seed):
        return self.draw(info, count, seed)

    def evaluation(self, place):
        return Plants(place)

    def judge(self, info, runs, data):
        arrays = data.samples(info, len(data), 0).arrays
        name = info.outputs[0].name
        want = self.first(arrays["image"])
        return [self._judged(np.abs(run(arrays)[name][:, 0] - want)) for run in runs]

    def first(self, image):
        return image.mean((1, 2, 3))

    def _judged(self, errors):
        metric = Metric(
            key="mean error", value=float(errors.mean()), items=errors, higher_is_better=False
        )
        return Judged(metrics=(metric,))

    def headline(self, metrics):
        return measured(metrics)

    def questions(self, session, files):
        return [
            Question(
                name=str(path),
                picture=read_image(path),
                answers=("light", "shady"),
                ask=lambda many: np.array([[p.mean() / 255, 1 - p.mean() / 255] for p in many]),
            )
            for path in files
        ]

    def run(self, job, *, season="spring"):
        """Look at plants.

        Args:
            season: Time of the year.
        """
        return {"plants": [str(path) for path in job.files], "season": season}

    def show(self, result):
        return f"{len(result['plants'])} plants in {result['season']}"


class Plants:
    counted = "plants"

    def __init__(self, place):
        self.name, self.sha256 = place.name, "b" * 64

    def __len__(self):
        return 30

    def hashes(self):
        return {"c" * 64}

    def samples(self, info, count, seed):
        return PLUGIN.draw(info, min(count, len(self)), seed)


PLUGIN = Brightness()


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Register the task as a package of somebody else would."""
    point = EntryPoint("plant-brightness", f"{__name__}:PLUGIN", "edgesdk_tasks")
    real = plugins.entry_points
    monkeypatch.setattr(EntryPoint, "load", lambda self: PLUGIN)
    monkeypatch.setattr(
        plugins,
        "entry_points",
        lambda group: [point] if group == "edgesdk_tasks" else real(group=group),
    )


@pytest.fixture
def bundle(make_face_bundle):
    return make_face_bundle(
        model="tiny-plant", task="plant-brightness", postprocess={}, thresholds={}
    )


def test_its_metric_is_in_the_gate_and_its_unit_in_the_report(bundle, tmp_path):
    made = edgesdk.export(
        bundle.path, target="onnx", data=tmp_path / "garden", output_dir=tmp_path / "out"
    )
    task = read_verification(made.path / "verify.json").task
    assert (task["metric"], task["data"], task["plants"]) == ("mean error", "garden", 30)
    assert task["drop"] == 0
    results = edgesdk.bench(
        [made.path], iterations=20, duration=0.1, output_dir=tmp_path / "results"
    )
    assert results[0].item == "plant"
    page = edgesdk.report([tmp_path / "results"], output_dir=tmp_path / "report").read_text()
    assert "plants/s" in page
    assert "garden mean error" in page
    assert "faces" not in page


def test_a_rise_of_its_error_fails_the_gate(bundle, tmp_path, monkeypatch):
    calls = []

    def drifting(image):
        calls.append(1)
        return image.mean((1, 2, 3))

    monkeypatch.setattr(PLUGIN, "first", drifting, raising=False)
    monkeypatch.setattr(
        PLUGIN,
        "judge",
        lambda info, runs, data: [PLUGIN._judged(np.full(30, v)) for v in (0.1, 0.4)],
        raising=False,
    )
    with pytest.raises(GateFailedError, match=r"mean error rises from 0\.1000 to 0\.4000"):
        edgesdk.export(
            bundle.path, target="onnx", data=tmp_path / "garden", output_dir=tmp_path / "out"
        )


def test_its_own_option_reaches_run(bundle, tmp_path, capsys):
    from edgesdk.cli import main

    assert main(["run", str(bundle.path), "a.png", "--season", "winter"]) == 0
    assert capsys.readouterr().out.strip() == "1 plants in winter"


def test_its_decisions_are_explained(bundle, tmp_path):
    from PIL import Image

    picture = np.full((32, 32, 3), 40, np.uint8)
    picture[:8] = 250
    Image.fromarray(picture).save(tmp_path / "fern.png")
    found = edgesdk.explain(bundle, tmp_path / "fern.png", method="lime", queries=80)
    assert found["decision"] == "shady"
    saliency = np.array(found["saliency"])
    assert saliency[:4].mean() < saliency[4:].mean()
