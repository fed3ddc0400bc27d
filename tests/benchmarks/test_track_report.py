"""Trackers side by side: judged in turns, and drawn by `edgesdk report`."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_json
from edgesdk.sequences import read_tracks
from tools import judge_trackers
from tools.judge_trackers import by_template, judged, renewed


@pytest.fixture
def tracks(tmp_path):
    """Two sequences in OTB's layout, each with an attribute, whose square goes to the right."""
    for name in ("Car", "Dog"):
        home = tmp_path / "set" / name
        (home / "img").mkdir(parents=True)
        rows = []
        for i in range(5):
            picture = np.random.default_rng(1).integers(0, 90, (60, 90, 3), np.uint8)
            picture[20:32, 10 + 3 * i : 22 + 3 * i] = (250, 40, 40)
            picture[24:28, 14 + 3 * i : 18 + 3 * i] = (40, 250, 40)
            Image.fromarray(picture).save(home / "img" / f"{i:04d}.png")
            rows.append(f"{10 + 3 * i},20,12,12")
        (home / "groundtruth_rect.txt").write_text("\n".join(rows))
        (home / "attributes.txt").write_text("FM" if name == "Car" else "SV")
    return read_tracks(tmp_path / "set")


def still(frames, box, text):
    """Follow nothing: the first box stays."""
    return np.tile(box, (len(frames), 1))


@pytest.fixture
def judgement(tracks, tmp_path):
    pytest.importorskip("cv2", reason="template matching needs OpenCV")
    rivals = {"template": by_template, "<still>": still}
    found = judged(rivals, tracks.tracks, noise=True, kept=True)
    told = {"kind": "trackers", "data": tracks.name, "bundle": "b", "threads": 1, "trackers": found}
    write_json(tmp_path / "trackers.json", told)
    return tmp_path / "trackers.json"


def test_trackers_follow_in_turns_and_are_measured(judgement):
    found = json.loads(judgement.read_text())["trackers"]
    better, worse = found["template"], found["<still>"]
    assert better["auc"] > 0.9 > worse["auc"]
    assert set(better["sequences"]) == {"Car", "Dog"}
    assert set(better["by_attribute"]) == {"FM", "SV"}
    assert better["cpu_ratios"] == [1.0, 1.0]
    assert len(worse["cpu_ratios"]) == 2
    assert worse["overlaps"]["Car"][0] == 1.0 > worse["overlaps"]["Car"][-1]
    assert "auc_noisy_box" in worse


def test_of_several_passes_the_quickest_counts(tracks, monkeypatch):
    clock = iter([0, 9, 20, 22, 30, 31, 40, 45])  # begin and end of two passes of two sequences
    monkeypatch.setattr(judge_trackers.time, "perf_counter", lambda: next(clock))
    found = judged({"still": still}, tracks.tracks, noise=False, kept=False, passes=2)["still"]
    assert found["frames_s"] == 10 / (2 + 1)


def test_a_report_draws_success_sequences_and_attributes(judgement, tmp_path):
    page = edgesdk.report(judgement, output_dir=tmp_path / "out")
    html, text = page.read_text(), page.with_suffix(".md").read_text()
    assert "Success curves" in html
    assert max(map(len, re.findall("<th[^>]*>([^<]*)", html))) <= 20  # the last column was cut off
    assert html.count("overlap by frame") == 2
    assert "AUC by attribute" in html
    assert "<still>" not in html
    assert "&lt;still>" in text
    data = json.loads(page.with_suffix(".json").read_text())
    assert [row["tracker"] for row in data["trackers"][0]["rows"]] == ["template", "<still>"]
    # A folder that holds the file is as good as the file.
    assert edgesdk.report(judgement.parent, output_dir=tmp_path / "again").is_file()


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "x.json"
    for trackers in ([], {"a": 3}, {"a": {"curve": [1]}}):
        write_json(path, {"kind": "trackers", "trackers": trackers})
        with pytest.raises(UsageError, match="judge_trackers"):
            edgesdk.report(path, output_dir=tmp_path)


def test_trackers_that_are_judged_anew_keep_their_times():
    times = {"frames_s": 9, "cpu_ms": 1, "cpu_ratio": 2, "cpu_ratios": [2]}
    slow = {**times, "frames_s": 1, "cpu_ms": 5}
    about = {"data": "set", "data_sha256": "d", "threads": 1, "load": 0.1, "entry_sha256": "one"}
    old = {**about, "trackers": {"edgesdk": {"auc": 0.5, **times}, "kcf": {"auc": 0.4, **times}}}
    new = {**about, "load": 9, "entry_sha256": "two", "trackers": {"edgesdk": {"auc": 0.6, **slow}}}
    found = renewed(old, new)
    assert found["trackers"]["edgesdk"] == {"auc": 0.6, **times}
    assert found["trackers"]["kcf"] == old["trackers"]["kcf"]
    assert (found["entry_sha256"], found["timed_entry_sha256"], found["load"]) == (
        "two", "one", 0.1,
    )  # fmt: skip
    assert renewed(found, new)["timed_entry_sha256"] == "one"
    with pytest.raises(UsageError, match="judge all anew"):
        renewed(old, {**new, "data_sha256": "e"})
