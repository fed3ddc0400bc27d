"""Sequences in the layouts of OTB, LaSOT, GOT-10k, TNL2K, VL-SOT and with an index."""

import json

import numpy as np
import pytest
from PIL import Image

from edgesdk.core.errors import UsageError
from edgesdk.sequences import measures, overlaps, read_tracks, success_curve

BOXES = [[1, 2, 10, 8], [2, 2, 10, 8], [3, 2, 10, 8]]


def frames(folder, count=3, digits=4):
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        picture = np.full((20, 30, 3), number * 20, np.uint8)
        Image.fromarray(picture).save(folder / f"{number:0{digits}d}.png")


def rows(path, separator=","):
    path.write_text("\n".join(separator.join(map(str, box)) for box in BOXES))


LAYOUTS = {
    "otb": ("groundtruth_rect.txt", "img", "\t", {}),
    "lasot": ("groundtruth.txt", "img", ",", {"nlp.txt": "a red car", "out_of_view.txt": "0,1,0",
              "full_occlusion.txt": "0,0,0"}),
    "got10k": ("groundtruth.txt", ".", ",", {"absence.label": "0\n1\n0", "cover.label": "8\n8\n8"}),
    "tnl2k": ("groundtruth.txt", "imgs", ",", {"language.txt": "a red car"}),
    "vlsot": ("groundtruth_rect.txt", "img", " ", {"language.txt": "a red car",
              "absent.txt": "0\n1\n0", "attributes.txt": "SV, FM"}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read(layout, tmp_path):
    truth, inside, separator, more = LAYOUTS[layout]
    home = tmp_path / "set" / "Car-1"
    frames(home / inside if inside != "." else home)
    rows(home / truth, separator)
    for name, text in more.items():
        (home / name).write_text(text)
    (track,) = read_tracks(tmp_path / "set").tracks
    assert (track.name, len(track)) == ("Car-1", 3)
    assert track.boxes[0].tolist() == BOXES[0]
    assert track.read(1)[0, 0, 0] == 40
    assert np.isnan(track.boxes[1]).all() == any("abs" in n or "out" in n for n in more)
    assert track.text == ("a red car" if {"nlp.txt", "language.txt"} & set(more) else "")
    assert track.attributes == (("SV", "FM") if layout == "vlsot" else ())


def test_an_index_is_read_and_a_broken_one_refused(tmp_path):
    frames(tmp_path / "dog")
    told = {"dog": {"boxes_xywh": BOXES, "description": "the  dog"}}
    (tmp_path / "sequences.json").write_text(json.dumps(told))
    found = read_tracks(tmp_path)
    assert found.tracks[0].text == "the dog"
    assert len(found.sha256) == 64
    assert len(found.hashes()) == 3
    (tmp_path / "sequences.json").write_text('{"dog": 3}')
    with pytest.raises(UsageError, match="no index of sequences"):
        read_tracks(tmp_path)


def test_a_folder_without_sequences_is_refused(tmp_path):
    frames(tmp_path / "just" / "pictures")
    with pytest.raises(UsageError, match="no labelled sequence"):
        read_tracks(tmp_path)


def test_measures_of_a_perfect_and_a_lost_tracker():
    truth = np.array([*BOXES, [np.nan] * 4], float)
    found = np.nan_to_num(truth, nan=5.0)
    assert measures(found, truth) == {
        "auc": pytest.approx(20 / 21), "precision": 1.0, "normalised_precision": 1.0
    }  # fmt: skip
    away = np.array([100, 0, 0, 0])
    assert success_curve(found + away, truth).max() == 0
    half = overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 10, 10]]))
    assert half[0] == pytest.approx(1 / 3)
