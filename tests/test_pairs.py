import contextlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgesdk import pairs as module
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.pairs import embed_pictures, evaluate, judge, read_pairs, shrunk

LFW = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nBob\t1\t2\nBob\t2\tCid\t1\n"
PEOPLE = {"Ann": 2, "Bob": 2, "Cid": 1}


def colour(person, number):
    return (60 * ord(person[0]) % 256, 40 * number, 128)


def make(folder: Path, text: str = LFW, name: str = "pairs.txt", suffix: str = "png") -> Path:
    """Write a tiny set whose people differ in their red."""
    for person, count in PEOPLE.items():
        (folder / person).mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            picture = Image.new("RGB", (20, 24), colour(person, number))
            picture.save(folder / person / f"{person}_{number:04d}.{suffix}")
    (folder / name).write_text(text)
    return folder


def red(pictures):
    """Embed a flat picture by its red alone: a perfect model of the tiny set."""
    angle = np.array([p[..., 0].mean() for p in pictures]) / 255 * np.pi
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def test_lfw_form(tmp_path):
    found = read_pairs(make(tmp_path))
    assert found.pictures[0] == "Ann/Ann_0001.png"
    assert found.pairs.tolist() == [[0, 0, 2, 3], [1, 2, 3, 4]]
    assert found.same.tolist() == [True, False, True, False]
    assert found.fold.tolist() == [0, 0, 1, 1]
    assert found.people.tolist() == [0, 0, 1, 1, 2]
    assert tuple(found.read(2)[0, 0]) == pytest.approx(colour("Bob", 1), abs=2)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp", "bmp"])
def test_picture_suffixes(tmp_path, suffix):
    assert read_pairs(make(tmp_path, suffix=suffix)).pictures[4] == f"Cid/Cid_0001.{suffix}"


@pytest.mark.parametrize("suffix", ["JPG", "jfif", "Jpe"])
def test_pictures_are_found_as_training_finds_them(tmp_path, suffix):
    folder = make(tmp_path)
    for file in sorted(folder.rglob("*.png")):
        Image.open(file).save(file.with_suffix(f".{suffix}"), "JPEG")
        file.unlink()
    assert read_pairs(folder).pictures[4] == f"Cid/Cid_0001.{suffix}"


def test_a_list_written_on_another_system(tmp_path):
    text = "1,Ann\\Ann_0001.PNG,./ann/ann_0002\r\n0,Ann\\Ann_0001.png,Bob/Bob_0001\r\n"
    found = read_pairs(make(tmp_path, text, "Pairs.CSV"))
    assert set(found.pictures) == {"Ann/Ann_0001.png", "Ann/Ann_0002.png", "Bob/Bob_0001.png"}


def test_a_folder_around_the_set_is_no_hindrance(tmp_path):
    make(tmp_path / "outer/set")
    (tmp_path / "outer/readme.txt").write_text("hello")
    assert read_pairs(tmp_path / "outer").pictures[0] == "set/Ann/Ann_0001.png"


def test_all_damaged_and_missing_pictures_are_told_before_any_work(tmp_path):
    folder = make(tmp_path)
    (folder / "Ann/Ann_0001.png").write_bytes(b"")
    (folder / "Bob/Bob_0002.png").write_bytes(b"text")
    with pytest.raises(UsageError, match=r"2 of 5 .*Ann_0001\.png \(empty\), .*Bob_0002\.png"):
        read_pairs(folder)
    (folder / "Ann/Ann_0001.png").unlink()
    (folder / "Ann/Ann_0002.png").unlink()
    with pytest.raises(UsageError, match="lacks the picture 'Ann/Ann_0001' and 1 more"):
        read_pairs(folder)


def test_a_list_without_first_line_is_one_fold(tmp_path):
    found = read_pairs(make(tmp_path, "Ann 1 Bob 2\nAnn 1 2\n\nBob 1 2\n"))
    assert found.fold.tolist() == [0, 0, 0]
    assert found.same.tolist() == [False, True, True]


def test_a_single_number_in_the_first_line_is_one_fold(tmp_path):
    found = read_pairs(make(tmp_path, "1\nAnn\t1\t2\nAnn\t1\tBob\t2\n"))
    assert found.fold.tolist() == [0, 0]


CSV = "same,a,b,fold\n1,Ann/Ann_0001.png,Ann/Ann_0002.png,3\n0,Ann/Ann_0001.png,Cid/Cid_0001,4\n"


def test_csv_form(tmp_path):
    found = read_pairs(make(tmp_path, CSV, "pairs.csv"))
    assert (found.same.tolist(), found.fold.tolist(), found.people) == ([True, False], [3, 4], None)
    assert found.pictures[-1] == "Cid/Cid_0001.png"
    assert judge(embed_pictures(red, found), found).tar_all == {}


def test_a_list_beside_its_pictures(tmp_path):
    make(tmp_path, "0,Ann/Ann_0001.png,Bob/Bob_0001.png\n", "other.csv")
    assert read_pairs(tmp_path / "other.csv").same.tolist() == [False]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_reads_like_its_folder(tmp_path, mode):
    folder = make(tmp_path / "set")
    with tarfile.open(tmp_path / "set.tar", mode) as archive:
        archive.add(folder, ".")
    packed, open_ = read_pairs(tmp_path / "set.tar"), read_pairs(folder)
    assert packed.pictures == open_.pictures
    assert packed.sha256 == open_.sha256
    assert np.array_equal(packed.read(1), open_.read(1))


def test_the_hash_follows_pairs_and_pictures(tmp_path):
    first = read_pairs(make(tmp_path / "a")).sha256
    assert read_pairs(make(tmp_path / "b")).sha256 == first
    assert read_pairs(make(tmp_path / "c", LFW.replace("Ann\t1\t2", "Ann\t2\t1"))).sha256 != first
    Image.new("RGB", (20, 24)).save(tmp_path / "b/Cid/Cid_0001.png")
    assert read_pairs(tmp_path / "b").sha256 != first


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "pairs.txt", "lists no pairs"),
        ("0\t0\n", "pairs.txt", "lists no pairs"),
        (LFW.replace("2\t1", "2\t2", 1), "pairs.txt", r"promises 2 x 2 x 2 .* lists 4"),
        ("Ann 1\n", "pairs.txt", "line 1: 'Ann 1' is neither"),
        ("Ann 1 2\nAnn one Bob 1\n", "pairs.txt", "line 2"),
        ("Ann 1 7\n", "pairs.txt", "lacks the picture 'Ann/Ann_0007'"),
        ("same,a,b\nyes,x,y\n", "pairs.csv", "line 2: 'yes,x,y' is not"),
        ("1,Ann/Ann_0001.png\n", "pairs.csv", "line 1"),
        ("1,Ann/Ann_0001.png,Bob/Bob_0001.png,x\n", "pairs.csv", "line 1"),
        ("1,../secret.png,Bob/Bob_0001.png\n", "pairs.csv", "lacks the picture"),
    ],
)
def test_a_bad_list_is_one_sentence(tmp_path, text, name, message):
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    with pytest.raises(UsageError, match=message):
        read_pairs(make(tmp_path / "set", text, name))


def test_a_place_without_a_list(tmp_path):
    with pytest.raises(UsageError, match=r"holds neither pairs\.txt nor pairs\.csv"):
        read_pairs(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        read_pairs(tmp_path / "nowhere")
    (tmp_path / "x.tar").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="neither a folder nor a tar"):
        read_pairs(tmp_path / "x.tar")
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_pairs(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text("AnBob 01239\t\n,same/._\"'\0", max_size=80)))
def test_any_list_gives_pairs_or_one_sentence(content):
    data = content.encode() if isinstance(content, str) else content
    for name in ("pairs.txt", "pairs.csv"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        path = Path(os.environ["EDGESDK_FUZZ_FOLDER"]) / "set.tar"
        path.write_bytes(archive.getvalue())
        with contextlib.suppress(EdgeSdkError):  # any other exception fails the test
            assert len(read_pairs(path))


@pytest.fixture(autouse=True)
def _fuzz_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EDGESDK_FUZZ_FOLDER", str(tmp_path_factory.mktemp("fuzz")))


def test_a_perfect_and_a_blind_model(tmp_path):
    found = read_pairs(make(tmp_path))
    perfect = evaluate(red, found)
    assert (perfect.auc, perfect.genuine, perfect.impostor) == (1.0, 2, 2)
    # Within a fold: Ann 1, 2 with Bob 1, and Bob 1, 2 with Cid 1.
    assert perfect.impostor_all == 4
    blind = evaluate(lambda pictures: np.ones((len(pictures), 3)), found)
    assert blind.auc == 0.5


def test_pictures_are_shrunk_to_uint8_before_the_model_sees_them(tmp_path):
    found, seen = read_pairs(make(tmp_path)), []
    evaluate(lambda pictures: (seen.extend(pictures), red(pictures))[1], found, size=8)
    assert {p.shape for p in seen} == {(8, 8, 3)}
    assert {p.dtype for p in seen} == {np.dtype(np.uint8)}


def test_shrinking_averages_areas():
    board = np.zeros((4, 4, 3), np.uint8)
    board[::2, ::2] = 201
    assert (shrunk(board, 2) == 50).all()
    assert shrunk(board, None) is board
    assert shrunk(board, 4) is board


def test_blocks_are_small(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 2)
    sizes = []
    found = read_pairs(make(tmp_path))
    whole = embed_pictures(lambda p: (sizes.append(len(p)), red(p))[1], found)
    assert sizes == [2, 2, 1]
    assert np.linalg.norm(whole, axis=1) == pytest.approx(1.0)


def test_mirrored_joins_both_views(tmp_path):
    found = read_pairs(make(tmp_path))

    def corner(pictures):
        return np.array([[float(p[0, 0, 0]), float(p[0, -1, 0]) / 2] for p in pictures]) + 1

    image = Image.open(tmp_path / "Ann/Ann_0001.png")
    image.putpixel((0, 0), (255, 0, 0))
    image.save(tmp_path / "Ann/Ann_0001.png")
    plain, joined = (embed_pictures(corner, found, mirrored=m)[0] for m in (False, True))
    left, right = colour("Ann", 1)[0], 255
    views = np.array([[right + 1, left / 2 + 1], [left + 1, right / 2 + 1]])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    assert plain == pytest.approx(views[0], abs=1e-5)
    assert joined == pytest.approx(views.sum(0) / np.linalg.norm(views.sum(0)), abs=1e-5)


def test_judging_a_part_of_the_pairs(tmp_path):
    found = read_pairs(make(tmp_path))
    part = judge(embed_pictures(red, found), found, keep=np.array([True, True, False, False]))
    assert (part.genuine, part.impostor, len(part.folds)) == (1, 1, 1)


@pytest.mark.parametrize("answer", [np.ones((2, 3)), np.full((5, 3), np.nan), np.ones(5)])
def test_a_model_that_answers_nonsense(tmp_path, answer):
    with pytest.raises(UsageError, match=r"expected finite \[5, D\]"):
        evaluate(lambda pictures: answer, read_pairs(make(tmp_path)))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "faces"),
    [("lfw_folds1to5_aligned112.tar", 3000, 3811), ("mfr2_dev.tar", 325, 127)],
)
def test_research_sets(name, count, faces):
    folder = os.environ.get("EDGESDK_DATA")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"set EDGESDK_DATA to a folder with {name}")
    found = read_pairs(Path(folder) / name)
    assert (len(found), len(found.pictures)) == (count, faces)
    assert found.read(0).shape[2] == 3
