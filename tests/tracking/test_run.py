"""`edgesdk run` with a model for tracking: frames in, boxes, files and plain data out."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk import cli, videos
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.shipped import shipped
from edgesdk.worlds import Scene, make_world
from tests.drawn import film

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


def test_why_a_frame_is_skipped_is_one_sentence(folder):
    (folder / "002.png").write_text("no picture")
    (skipped,) = edgesdk.run("tracker", folder, box="10,10,20,20")["skipped"]
    assert skipped["why"].startswith("it is not a picture; ")


def test_frames_of_several_folders_are_told(folder, tmp_path, caplog):
    """A set of sequences was followed as one film without a word."""
    caplog.set_level("INFO", "edgesdk")
    (tmp_path / "other").mkdir()
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "other" / "1.png")
    edgesdk.run("tracker", folder, box=(10, 10, 20, 20))
    assert "folders" not in caplog.text
    edgesdk.run("tracker", tmp_path, box="10,10,20,20")
    assert "holds frames in 2 folders" in caplog.text


def test_names_with_commas_keep_the_table_whole(world, tmp_path):
    for name in ("1, left.png", '2 "right".png'):
        Image.fromarray(world.frames[0]).save(tmp_path / name)
    edgesdk.run("tracker", tmp_path, box="10,10,20,20", output=tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["frame"] for row in rows] == ["1, left.png", '2 "right".png']
    assert float(rows[0]["width"]) == 20


def test_a_place_that_cannot_be_written_is_told_before_the_work(folder, monkeypatch):
    monkeypatch.setattr("edgesdk_runtimes._open.open_session", lambda *_: pytest.fail("worked"))
    below = folder / "000.png"
    for suffix in ("csv", "mp4"):
        with pytest.raises(EdgeSdkError, match=r"cannot write .*: Not a directory"):
            edgesdk.run("tracker", folder, box="1,1,9,9", output=below / f"t.{suffix}")


def test_a_written_film_keeps_the_rate_and_the_length_of_what_it_shows(world, tmp_path):
    """All ran at 25 frames per second, and a frame that could not be read was left out."""
    av = pytest.importorskip("av", reason="needs the video extra")
    film(tmp_path / "slow.mp4", list(world.frames), 5)
    frames = tmp_path / "frames"
    frames.mkdir()
    for n in range(3):
        Image.fromarray(world.frames[n]).save(frames / f"{n}.png")
    (frames / "1.png").write_bytes(b"broken")
    box = ",".join(map(str, world.boxes[0]))
    for source, rate, count in ((tmp_path / "slow.mp4", 5, len(world.frames)), (frames, 25, 3)):
        edgesdk.run("tracker", source, box=box, output=tmp_path / "t.mp4")
        with av.open(str(tmp_path / "t.mp4")) as made:
            assert made.streams.video[0].average_rate == rate
            assert len(list(made.decode(video=0))) == count


def test_the_rows_are_written_as_json(world, folder, tmp_path):
    box = ",".join(map(str, world.boxes[0]))
    found = edgesdk.run("tracker", folder, box=box, output=tmp_path / "new" / "t.json")
    assert json.loads((tmp_path / "new" / "t.json").read_text())["frames"] == found["frames"]


def test_frames_are_counted_as_numbers(world, tmp_path):
    for number in (1, 2, 10):
        Image.fromarray(world.frames[0]).save(tmp_path / f"shot{number}.png")
    found = edgesdk.run("tracker", tmp_path, box="10,10,20,20")
    assert [row["frame"] for row in found["frames"]] == ["shot1.png", "shot2.png", "shot10.png"]


def test_frames_of_other_sizes_are_followed_and_fit_the_video(world, folder, tmp_path):
    pytest.importorskip("av", reason="needs the video extra")
    for name, frame in (("003.png", world.frames[3][:90]), ("004.png", world.frames[4])):
        Image.fromarray(frame).resize((200, 90)).save(folder / name)
    box = ",".join(map(str, world.boxes[0]))
    edgesdk.run("tracker", folder, box=box, output=tmp_path / "new" / "t.avi")
    assert len(edgesdk.run("tracker", tmp_path / "new" / "t.avi", box=box)["frames"]) == 6


class FakeCamera:
    """Gives the frames of a world, then is unplugged or stopped by Ctrl-C."""

    shown, stopped, released = (), False, False

    def __init__(self, number):
        self.left = list(self.shown) if number == 0 else []

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return bool(self.left)

    def read(self):
        if self.left:
            return True, self.left.pop(0)[..., ::-1]
        if self.stopped:
            raise KeyboardInterrupt
        return False, None

    def release(self):
        type(self).released = True


@pytest.mark.parametrize("stopped", [False, True])
def test_a_camera_is_followed_until_it_stops(world, tmp_path, monkeypatch, stopped):
    cv2 = pytest.importorskip("cv2", reason="a camera needs OpenCV")
    monkeypatch.setattr(FakeCamera, "shown", world.frames)
    monkeypatch.setattr(FakeCamera, "stopped", stopped)
    monkeypatch.setattr(FakeCamera, "released", False)
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    box = ",".join(map(str, world.boxes[0]))
    found = edgesdk.run("tracker", camera=0, box=box, output=tmp_path / "t.csv")
    assert len(found["frames"]) == 6
    assert FakeCamera.released
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 7
    for number in (3, -1):
        with pytest.raises(UsageError, match=f"finds no camera {number}"):
            edgesdk.run("tracker", camera=number, box=box)
    with pytest.raises(UsageError, match="leave the files out"):
        edgesdk.run("tracker", tmp_path, camera=0, box=box)


def test_a_broken_first_frame_is_refused(folder):
    (folder / "000.png").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="first frame cannot be read"):
        edgesdk.run("tracker", folder, box="1,1,9,9")


def test_a_video_of_boxes_is_written_and_read(world, folder, tmp_path):
    pytest.importorskip("av", reason="needs the video extra")
    box = ",".join(map(str, world.boxes[0]))
    edgesdk.run("tracker", folder, box=box, output=tmp_path / "t.mp4")
    found = edgesdk.run("tracker", tmp_path / "t.mp4", box=box)
    assert [row["frame"] for row in found["frames"]] == [f"{n:06d}" for n in range(1, 7)]


def test_a_film_with_a_damaged_picture_is_followed_to_its_end(world, tmp_path, monkeypatch):
    monkeypatch.setattr(videos, "is_video", lambda path: True)
    shown = [*world.frames[:2], None, *world.frames[3:]]
    monkeypatch.setattr(videos, "whole_film", lambda path: iter(shown))
    box = ",".join(map(str, world.boxes[0]))
    found = edgesdk.run("tracker", tmp_path / "film", box=box)
    assert len(found["frames"]) == 6
    assert found["skipped"] == [{"frame": "000003", "why": "it is damaged"}]


def test_places_that_are_no_frames_get_a_sentence(folder, tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    for places, told in (
        ([tmp_path / "gone.mp4"], "does not exist; give a folder of frames or a video"),
        ([tmp_path / "text.mp4"], "neither a video nor a folder"),
        ([folder, tmp_path / "text.mp4"], "is no picture; give one folder, one video"),
    ):
        with pytest.raises(UsageError, match=told):
            edgesdk.run("tracker", places, box="1,1,9,9")


def test_boxes_and_outputs_that_make_no_sense_are_refused(folder, tmp_path):
    for box in (
        "",
        None,
        5,
        (1, 2, 3),
        (1, 2, 3, "x"),
        "1,2,3",
        "a,b,c,d",
        "900,900,5,5",
        "1,1,0,5",
        "1,1,1e9,5",
    ):
        with pytest.raises(UsageError):
            edgesdk.run("tracker", folder, box=box)
    for files in (5, [None], "", [folder, 5]):
        with pytest.raises(UsageError, match="is no file's name"):
            edgesdk.run("tracker", files, box="1,1,9,9")
    with pytest.raises(UsageError, match="must end in"):
        edgesdk.run("tracker", folder, box="1,1,9,9", output=tmp_path / "t.gif")
    (tmp_path / "t.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder; give the name of a file"):
        edgesdk.run("tracker", folder, box="1,1,9,9", output=tmp_path / "t.mp4")
    film = tmp_path / "film.mp4"
    with pytest.raises(UsageError, match="is what is followed"):
        edgesdk.run("tracker", film, box="1,1,9,9", output=film)


def test_the_public_tracker_follows_frame_by_frame(world):
    with edgesdk.Tracker() as tracker:
        assert tracker.start(world.frames[0], world.boxes[0], world.text).score == 1.0
        found = tracker.update(world.frames[1])
        assert not found.lost
        assert len(found.box) == 4
    for wrong, says in (
        ({"bundle": "bridge-face"}, "for face-embedding"),
        ({"bundle": None}, "a bundle is a name"),
        ({"policy": {"window": 0.1}}, "a policy is an"),
    ):
        with pytest.raises(UsageError, match=says):
            edgesdk.Tracker(**wrong)


def test_a_value_that_begins_with_a_minus_is_told_how_to_be_written(folder, capsys):
    assert cli.main(["run", "tracker", str(folder), "--box", "-5,-5,20,20"]) == 2
    assert "is written --box=-..." in capsys.readouterr().err
    assert cli.main(["run", "tracker", str(folder), "--box=-5,-5,20,20", "-q"]) == 0
