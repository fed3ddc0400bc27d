"""`edgesdk run` with a model for tracking: frames in, boxes, files and plain data out."""

import json

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.errors import UsageError
from edgesdk.core.shipped import shipped
from edgesdk.worlds import Scene, make_world

pytestmark = pytest.mark.skipif("tracker" not in shipped(), reason="no tracker is shipped")
SCENE = Scene(width=160, height=120, frames=6, smallest=24, largest=30, lookalikes=0,
              grey=False, occlusion=0)  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return make_world(5, SCENE)


@pytest.fixture
def folder(world, tmp_path):
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(world.frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number:03d}.png")
    return tmp_path / "frames"


def test_a_folder_of_frames_gives_a_box_for_each(world, folder, tmp_path):
    box = ",".join(map(str, world.boxes[0]))
    found = edgesdk.run("tracker", folder, box=box, text=world.text, output=tmp_path / "t.txt")
    json.dumps(found, allow_nan=False)
    rows = found["frames"]
    assert [row["frame"] for row in rows] == [f"{n:03d}.png" for n in range(6)]
    assert rows[0] == {"frame": "000.png", "box": list(world.boxes[0]), "score": 1.0, "lost": False}
    assert all(0 <= row["score"] <= 1 for row in rows)
    away = np.array(rows[-1]["box"][:2]) - world.boxes[-1][:2]
    assert np.abs(away).max() < 15
    assert found["fps"] > 0
    assert set(found["stages_ms"]) == {"crop", "network", "rest"}
    lines = (tmp_path / "t.txt").read_text().splitlines()
    assert len(lines) == 6
    assert len(lines[0].split(",")) == 4


def test_a_broken_frame_is_named_and_stops_nothing(world, folder, tmp_path):
    (folder / "002.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    box = ",".join(map(str, world.boxes[0]))
    found = edgesdk.run("tracker", folder, box=box, output=tmp_path / "t.csv")
    assert len(found["frames"]) == 6
    assert found["skipped"][0]["frame"] == "002.png"
    assert found["frames"][2]["box"] == found["frames"][1]["box"]
    assert (tmp_path / "t.csv").read_text().startswith("frame,x,y,width,height,score,lost\n")


def test_a_video_of_boxes_is_written_and_read(world, folder, tmp_path):
    pytest.importorskip("av", reason="needs the video extra")
    box = ",".join(map(str, world.boxes[0]))
    edgesdk.run("tracker", folder, box=box, output=tmp_path / "t.mp4")
    found = edgesdk.run("tracker", tmp_path / "t.mp4", box=box)
    assert [row["frame"] for row in found["frames"]] == [f"{n:06d}" for n in range(1, 7)]


def test_boxes_and_outputs_that_make_no_sense_are_refused(folder, tmp_path):
    for box in ("", "1,2,3", "a,b,c,d", "900,900,5,5"):
        with pytest.raises(UsageError):
            edgesdk.run("tracker", folder, box=box)
    with pytest.raises(UsageError, match="must end in"):
        edgesdk.run("tracker", folder, box="1,1,9,9", output=tmp_path / "t.gif")


def test_the_public_tracker_follows_frame_by_frame(world):
    with edgesdk.Tracker() as tracker:
        assert tracker.start(world.frames[0], world.boxes[0], world.text).score == 1.0
        found = tracker.update(world.frames[1])
        assert not found.lost
        assert len(found.box) == 4
    with pytest.raises(UsageError, match="for face-embedding"):
        edgesdk.Tracker("bridge-face")
