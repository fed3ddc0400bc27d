"""Detectors of generated pictures are judged, run, drawn and listed."""

import csv
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.task import ModelInfo, task_of
from edgesdk.core.tensors import TensorSpec
from edgesdk.tasks import _verdict_sheet
from edgesdk.tasks._verdict_sheet import heat_map, in_short
from tests.drawn import film, labelled_set, photo

TASK = task_of("generated-image-detection")
INFO = ModelInfo(
    model="doubled",
    task="generated-image-detection",
    inputs=(TensorSpec("image", (None, 3, 32, 32), layout="NCHW", kind="image"),),
    outputs=(TensorSpec("logit", (None, 1), layout="NC"),),
    preprocess={"image": Preprocess((32, 32))},
    thresholds={"generated": {"value": 0.6}, "real": {"value": 0.4}},
)


def by_doubling(arrays):
    """Return a high logit where pixels equal their neighbours."""
    image = arrays["image"]
    equal = np.abs(image[..., ::2] - image[..., 1::2]).mean((1, 2, 3)) < 1e-6
    return {"logit": np.where(equal, 4.0, -4.0)[:, None].astype(np.float32)}


@pytest.fixture
def session(monkeypatch):
    class Session:
        runtime = "fake"
        run = staticmethod(by_doubling)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("edgesdk_runtimes._open.open_session", lambda *_: Session())
    return Session


def job(files, output=None, **metrics):
    names = ("model", "task", "inputs", "outputs", "preprocess", "postprocess", "labels")
    about = {name: getattr(INFO, name) for name in (*names, "thresholds")}
    bundle = SimpleNamespace(name="doubled-onnx-fp32", metrics=metrics, companions=(), **about)
    return RunJob(bundle=bundle, files=tuple(files), output=output)


def test_a_perfect_detector_is_judged_so(tmp_path):
    data = TASK.evaluation(labelled_set(tmp_path))
    assert (len(data), data.generated.sum(), data.counted) == (36, 12, "pictures")
    assert len(data.hashes()) == 24  # the soft photos are the photos again
    (found,) = TASK.judge(INFO, [by_doubling], data)
    assert [(m.key, m.value) for m in found.metrics] == [("AUC", 1.0), ("balanced accuracy", 1.0)]
    assert found.numbers == {"AUC against soft photos": 1.0}


def test_items_have_the_figure_as_their_mean(tmp_path):
    random = np.random.default_rng(0)

    def guessing(arrays):
        return {"logit": random.normal(0, 1, (len(arrays["image"]), 1))}

    (found,) = TASK.judge(INFO, [guessing], TASK.evaluation(labelled_set(tmp_path)))
    for metric in found.metrics:
        assert metric.items.mean() == pytest.approx(metric.value)
        assert 0.2 < metric.value < 0.8


def test_a_set_without_one_side_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    Image.fromarray(photo(0)).save(tmp_path / "real" / "a.png")
    with pytest.raises(UsageError, match="real and fake"):
        TASK.evaluation(tmp_path)


def test_samples_are_native_crops_by_seed(tmp_path):
    folder = labelled_set(tmp_path)
    first, again = (TASK.read(INFO, folder, 5, 1) for _ in range(2))
    assert first.arrays["image"].shape == (5, 3, 32, 32)
    assert (first.arrays["image"] == again.arrays["image"]).all()
    other = TASK.read(INFO, folder, 5, 2)
    assert (other.arrays["image"] != first.arrays["image"]).any()


def test_pictures_have_a_probability_a_verdict_and_a_row(tmp_path, session):
    folder = labelled_set(tmp_path / "set")
    (folder / "fake" / "broken.png").write_bytes(b"no picture")
    result = TASK.run(job([folder]), csv=str(tmp_path / "out.csv"))
    assert len(result["pictures"]) == 36
    assert {row["verdict"] for row in result["pictures"] if "/fake/" in row["picture"]} == {
        "generated"
    }
    assert {row["verdict"] for row in result["pictures"] if "/real/" in row["picture"]} == {"real"}
    assert [s["picture"] for s in result["skipped"]] == [str(folder / "fake" / "broken.png")]
    json.dumps(result)
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert len(rows) == 36
    assert float(rows[0]["probability"]) == pytest.approx(result["pictures"][0]["probability"])


def test_a_large_photo_costs_as_many_crops_as_a_middling_one(tmp_path, session):
    Image.fromarray(np.tile(photo(1), (16, 16, 1))).save(tmp_path / "large.png")
    Image.fromarray(photo(0)[:9, :20]).save(tmp_path / "tiny.png")
    large, tiny = TASK.run(job([tmp_path]))["pictures"]
    assert large["crops"] <= 64
    assert tiny["crops"] == 1
    assert (tiny["verdict"], tiny["note"]) == ("undecided", "smaller than a crop of 32 px")
    assert large["note"] == ""


def test_a_video_gives_a_row_per_second(tmp_path, session, caplog):
    pytest.importorskip("av", reason="needs the extra video")
    film(tmp_path / "clip.mp4", [photo(n, 64, 64) for n in range(9)], 4)
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    caplog.set_level("INFO", "edgesdk")
    result = TASK.run(job([tmp_path], tmp_path / "out"))
    assert "1 picture; 1 video" in caplog.text  # it was told to be no picture, and read
    names = ["a.png", "clip.mp4@0.0s", "clip.mp4@1.0s", "clip.mp4@2.0s"]
    assert [row["picture"] for row in result["pictures"]] == [str(tmp_path / n) for n in names]
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 4


def test_a_page_shows_where_the_clue_lies_the_likeliest_first(tmp_path, session):
    half = photo(3, 96, 128)
    half[:, :64] = half[::2, :64:2].repeat(2, 0).repeat(2, 1)
    Image.fromarray(half).save(tmp_path / "half<b>.png")
    Image.fromarray(photo(4)).save(tmp_path / "whole.png")
    result = TASK.run(job([tmp_path], tmp_path / "out"))
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.index("half&lt;b&gt;.png") < page.index("whole.png")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "0000.jpg", "0001.jpg", "index.html",
    ]  # fmt: skip
    assert "lose 10 to 20 points" in page
    assert "wrote" in TASK.show(result)


def test_the_heat_map_is_red_where_a_crop_was_generated():
    places = [(0, 0), (0, 32), (32, 0), (32, 32)]
    row = {"side": 32, "map": list(zip(places, [9, -9, -9, -9], strict=True))}
    shown = heat_map(np.full((64, 64, 3), 128, np.uint8), row).astype(int)
    assert shown.shape == (64, 128, 3)
    red, blue = shown[8, 64 + 8], shown[56, 64 + 56]
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_the_heat_map_is_grey_where_a_crop_is_flat():
    row = {"side": 32, "map": [((0, 0), 9.0)], "flat": [(0, 32), (32, 0), (32, 32)]}
    shown = heat_map(np.full((64, 64, 3), 128, np.uint8), row).astype(int)
    red, grey = shown[8, 64 + 8], shown[60, 64 + 60]
    assert red[0] > red[2] + 50
    assert np.ptp(grey) < 10


def test_flat_parts_do_not_count_and_a_flat_picture_gets_no_verdict(tmp_path, session):
    """A drawn border or a film's bars are no clue; they were taken for one."""
    whole = photo(5)
    barred = np.zeros((whole.shape[0] + 128, whole.shape[1], 3), np.uint8)
    barred[64:-64] = whole
    for name, picture in {"whole": whole, "barred": barred, "flat": barred[:64]}.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    result = TASK.run(job([tmp_path], tmp_path / "out"))
    rows = {Path(row["picture"]).stem: row for row in result["pictures"]}
    assert rows["barred"]["logit"] == pytest.approx(rows["whole"]["logit"], abs=1e-5)
    assert rows["flat"]["verdict"] == "undecided"
    assert rows["flat"]["note"] == "flat: it shows nothing"
    assert rows["flat"]["crops"] == 0
    assert rows["flat"]["probability"] == 0.5


def test_the_warning_holds_the_model_s_own_figure(tmp_path, session):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    result = TASK.run(job([tmp_path], unseen_auc=0.713))
    assert "0.71" in result["warning"]
    assert "50%" in TASK.show(result)


def test_what_cannot_be_run_is_told(tmp_path, session):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match="no picture can be read"):
        TASK.run(job([tmp_path]))
    (tmp_path / "file").write_text("")
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="is a file"):
        TASK.run(job([tmp_path / "a.png"], tmp_path / "file"))
    with pytest.raises(UnsupportedError, match="one picture"):
        TASK.judge(
            ModelInfo(model="x", task="y", inputs=INFO.inputs * 2, outputs=INFO.outputs),
            [by_doubling],
            TASK.evaluation(labelled_set(tmp_path / "set")),
        )


def test_nothing_of_the_user_s_is_replaced(tmp_path, session):
    """`-o` into a folder of frames wrote heat maps over the frames 0000.jpg, 0001.jpg and so on."""
    frames, own = tmp_path / "frames", tmp_path / "site"
    for folder in (frames, own):
        folder.mkdir()
    Image.fromarray(photo(0)).save(frames / "0000.jpg")
    (own / "index.html").write_text("<p>mine</p>")
    kept = (frames / "0000.jpg").read_bytes()
    for files, output, says in (
        ([frames], frames, "that are looked at"),
        ([frames / "0000.jpg"], frames, "holds 0000.jpg, which is of no page"),
        ([frames], own, "holds index.html"),
    ):
        with pytest.raises(UsageError, match=says):
            TASK.run(job(files, output))
    with pytest.raises(UsageError, match="a picture's name"):
        TASK.run(job([frames]), csv=str(frames / "0000.jpg"))
    assert (frames / "0000.jpg").read_bytes() == kept
    assert (own / "index.html").read_text() == "<p>mine</p>"


def test_a_page_takes_the_place_of_the_one_before(tmp_path, session):
    """Pictures of the page before stayed, and were judged where the page lies among the photos."""
    for n in range(3):
        Image.fromarray(photo(n)).save(tmp_path / f"{n}.png")
    out = tmp_path / "out"
    assert len(TASK.run(job([tmp_path], out))["pictures"]) == 3
    (out / "notes.txt").write_text("mine")
    (tmp_path / "2.png").unlink()
    assert len(TASK.run(job([tmp_path], out))["pictures"]) == 2
    names = ["0000.jpg", "0001.jpg", "index.html", "notes.txt"]
    assert sorted(path.name for path in out.iterdir()) == names


def test_an_interrupted_page_leaves_nothing_or_the_one_before(tmp_path, session, monkeypatch):
    """Some pictures lay there without a page, or a page with another one's pictures."""
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    made = _verdict_sheet.encoded

    def stopped(text):
        raise KeyboardInterrupt

    monkeypatch.setattr(_verdict_sheet, "encoded", stopped)
    with pytest.raises(KeyboardInterrupt):
        TASK.run(job([tmp_path / "a.png"], tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(_verdict_sheet, "encoded", made)
    TASK.run(job([tmp_path / "a.png"], tmp_path / "out"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    Image.fromarray(photo(9)).save(tmp_path / "a.png")
    monkeypatch.setattr(_verdict_sheet, "encoded", stopped)
    with pytest.raises(KeyboardInterrupt):
        TASK.run(job([tmp_path / "a.png"], tmp_path / "out"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, monkeypatch):
    """Hours of pictures were judged first, and their answers lost."""
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    monkeypatch.setattr("edgesdk_runtimes._open.open_session", lambda *_: pytest.fail("worked"))
    below = tmp_path / "a.png" / "out"
    with pytest.raises(EdgeSdkError, match=r"cannot write .*out: Not a directory"):
        TASK.run(job([tmp_path / "a.png"], below))
    with pytest.raises(EdgeSdkError, match=r"cannot write .*csv: Not a directory"):
        TASK.run(job([tmp_path / "a.png"]), csv=str(below / "t.csv"))
    with pytest.raises(UsageError, match="-o is empty"):
        edgesdk.run("f2c-detector", [tmp_path / "a.png"], output="")


def test_names_that_are_no_unicode_are_written_all_the_same(tmp_path, session):
    """The table of a folder with one such name could not be written."""
    (tmp_path / "set").mkdir()
    Image.fromarray(photo(0)).save(tmp_path / "set" / "a.png")
    try:
        (tmp_path / "set" / "a.png").rename(tmp_path / "set" / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this system has no such names")
    TASK.run(job([tmp_path / "set"], tmp_path / "out"), csv=str(tmp_path / "t.csv"))
    assert r"\\udcff.png" in (tmp_path / "t.csv").read_text()
    assert r"\\udcff.png" in (tmp_path / "out" / "index.html").read_text()


def test_texts_are_cut_whatever_their_letters():
    """A long caption without blanks was shown as nothing but dots."""
    assert in_short("a  dog\non a beach", 60) == "a dog on a beach"
    assert in_short("写" * 100, 10) == "写" * 9 + "…"


def test_the_shipped_detector_of_pixels_runs_end_to_end(tmp_path):
    for n in range(2):
        Image.fromarray(photo(n)).save(tmp_path / f"{n}.png")
    found = edgesdk.run("f2c-detector", [tmp_path])
    assert [Path(row["picture"]).name for row in found["pictures"]] == ["0.png", "1.png"]
    for row in found["pictures"]:
        assert 0 <= row["probability"] <= 1
        assert row["verdict"] in ("generated", "real", "undecided")
