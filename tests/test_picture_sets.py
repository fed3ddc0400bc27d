"""One rule for every set of pictures: folders, tar and zip archives as people have them."""

import io
import json
import os
import socket
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgesdk.core.errors import UsageError
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.kinds import is_picture
from edgesdk.picture_sets.names import key, plain, shown, stem

RAMP = np.linspace(0, 255, 6 * 4 * 3).reshape(6, 4, 3).round().astype(np.uint8)


def encode(image, kind="PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(grey=0, kind="PNG", **options) -> bytes:
    return encode(Image.new("RGB", (8, 8), (grey, 10, 200)), kind, **options)


def write(folder: Path, *names: str, data: bytes | None = None) -> Path:
    """Write pictures of unlike content."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number) if data is None else data)
    return folder


def packed(folder: Path, form: str) -> Path:
    """Return the folder itself, or an archive of it."""
    if form == "folder":
        return folder
    path = folder.with_suffix(f".{form}")
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                archive.write(file, file.relative_to(folder))
        return path
    with tarfile.open(path, f"w:{form.partition('.')[2]}") as archive:
        archive.add(folder, ".")
    return path


def why(pictures: Pictures) -> dict[str, str]:
    return {s.name: s.kind for s in pictures.skipped}


FORMS = pytest.mark.parametrize("form", ["folder", "tar", "tar.gz", "tar.xz", "zip"])


def make_set(folder):
    (folder / "a").mkdir(parents=True)
    for name in ("a/1.png", "2.PNG", ".hidden.png", "a/._1.png"):
        (folder / name).write_bytes(encode(Image.fromarray(RAMP)))
    (folder / "list.txt").write_text("hello")
    return folder


@pytest.mark.parametrize("mode", [None, "w", "w:gz", "w:xz"])
def test_a_set_of_pictures(tmp_path, mode):
    path = make_set(tmp_path / "set")
    if mode:
        with tarfile.open(tmp_path / "set.tar", mode) as archive:
            archive.add(path, ".")
        path = tmp_path / "set.tar"
    pictures = Pictures(path)
    assert pictures.names == ["2.PNG", "a/1.png"]
    assert len(pictures) == 2
    assert np.array_equal(pictures.read("a/1.png"), RAMP)
    assert pictures.bytes("list.txt") == b"hello"
    assert "list.txt" in pictures
    assert "a" not in pictures


def test_a_plain_archive_is_not_held_in_memory(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(make_set(tmp_path / "set"), ".")
    pictures = Pictures(tmp_path / "set.tar")
    (tmp_path / "set.tar").write_bytes(b"")
    with pytest.raises(UsageError, match=r"set\.tar: 2\.PNG: .*empty"):
        pictures.read("2.PNG")


def test_bad_sets_are_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        Pictures(tmp_path / "none")
    (tmp_path / "x.tar").write_bytes(b"text")
    with pytest.raises(UsageError, match="neither a folder nor a tar"):
        Pictures(tmp_path / "x.tar")
    with tarfile.open(tmp_path / "y.tar.gz", "w:gz") as archive:
        archive.add(make_set(tmp_path / "set"), ".")
    whole = (tmp_path / "y.tar.gz").read_bytes()
    (tmp_path / "y.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="neither a folder nor a tar"):
        Pictures(tmp_path / "y.tar.gz")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "a/../../secret.txt", "x.png"])
def test_a_set_gives_nothing_from_outside(tmp_path, name):
    (tmp_path / "secret.txt").write_text("x")
    pictures = Pictures(make_set(tmp_path / "set"))
    with pytest.raises(UsageError, match="holds no file"):
        pictures.bytes(name)


def test_a_damaged_picture_of_a_set_is_named(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match=r"bad\.jpg: the picture is not a picture"):
        Pictures(tmp_path).read("bad.jpg")


@FORMS
def test_a_picture_is_one_by_its_content(tmp_path, form):
    folder = tmp_path / "set"
    kinds = ["JPEG", "GIF", "WEBP", "BMP", "PPM", "TIFF", "PNG"]
    names = ["a/1.jfif", "a/2.JPE", "a/3", "a/4.dat", "b/5.pnm", "b/6.jpg.bak", "b/7.JPG"]
    for name, kind in zip(names, kinds, strict=True):
        write(folder, name, data=picture(kind=kind))
    write(folder, "b/page.html", "readme", data=b"<html>BM II* P1 text, no picture")
    write(folder, "b/nothing", data=b"")
    pictures = Pictures(packed(folder, form))
    pictures.check()
    assert pictures.names == names
    assert why(pictures) == {
        "b/page.html": "no picture", "readme": "no picture", "b/nothing": "empty",
    }  # fmt: skip


def test_heif_is_a_picture_even_where_it_cannot_be_opened():
    assert is_picture(b"\0\0\0\x18ftypheic" + bytes(50))
    assert is_picture(b"\0\0\0\x20ftypavif" + bytes(50))
    assert not is_picture(b"\0\0\0\x20ftypmp42" + bytes(50))


@FORMS
def test_what_is_hidden_or_the_systems_is_no_picture(tmp_path, form):
    folder = write(
        tmp_path / "set", "anna/1.png", ".ipynb_checkpoints/1.png", ".Trash-1000/files/1.png",
        "anna/@eaDir/SYNOFILE_THUMB_M.jpg", "__MACOSX/anna/1.png", "anna/Thumbs.db",
        "lost+found/1.png", "anna/._1.png",
    )  # fmt: skip
    pictures = Pictures(packed(folder, form))
    assert pictures.names == ["anna/1.png"]
    assert set(why(pictures)) == {
        ".ipynb_checkpoints", ".Trash-1000", "anna/@eaDir", "__MACOSX", "anna/Thumbs.db",
        "lost+found", "anna/._1.png",
    }  # fmt: skip


@FORMS
@pytest.mark.parametrize("strict", [False, True])
def test_all_damaged_pictures_are_named_at_once(tmp_path, form, strict):
    folder = write(tmp_path / "set", "a/1.png", "a/2.png")
    write(folder, "a/cut.jpg", data=picture(kind="JPEG")[:300])
    write(folder, "a/empty.jpg", data=b"")
    write(folder, "a/text.jpg", data=b"<html>404</html>")
    pictures = Pictures(packed(folder, form))
    if strict:
        with pytest.raises(UsageError, match=r"3 of 5 .*cut\.jpg .*empty\.jpg .*text\.jpg"):
            pictures.check(strict=True)
        return
    pictures.check()
    assert pictures.names == ["a/1.png", "a/2.png"]
    assert why(pictures) == {
        "a/cut.jpg": "damaged", "a/empty.jpg": "empty", "a/text.jpg": "no picture"
    }  # fmt: skip
    assert "2 pictures; skipped 3: " in pictures.line()
    assert json.dumps(pictures.report())


def test_copies_are_named(tmp_path):
    folder = write(tmp_path, "a/1.png", "a/2.png", "b/3.png")
    (folder / "b/3.png").write_bytes((folder / "a/1.png").read_bytes())
    pictures = Pictures(folder)
    assert pictures.twins() == []
    pictures.check()
    assert pictures.twins() == [["a/1.png", "b/3.png"]]
    assert "1 in several copies (a/1.png = b/3.png)" in pictures.line()


def test_links_are_followed_once_and_loops_left_out(tmp_path):
    write(tmp_path / "outside", "cid/1.png")
    folder = write(tmp_path / "set", "anna/1.png", "bert/1.png")
    (folder / "anna/up").symlink_to(folder)
    (folder / "cid").symlink_to(tmp_path / "outside/cid")
    (folder / "again").symlink_to(tmp_path / "outside/cid")
    (folder / "self").symlink_to("self")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "bert/2.png").symlink_to(folder / "anna/1.png")
    pictures = Pictures(folder)
    assert pictures.names == ["again/1.png", "anna/1.png", "bert/1.png", "bert/2.png"]
    assert why(pictures) == dict.fromkeys(["anna/up", "cid", "self", "gone.png"], "link")


def test_pipes_and_sockets_are_never_opened(tmp_path):
    folder = write(tmp_path, "a/1.png")
    os.mkfifo(folder / "a/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s.jpg"))
        pictures = Pictures(folder)
    assert pictures.names == ["a/1.png"]
    assert why(pictures) == {"a/pipe.jpg": "no file", "s.jpg": "no file"}


def test_an_unreadable_folder_or_file_is_told(tmp_path, monkeypatch):
    folder = write(tmp_path, "a/1.png", "b/2.png", "b/dark")
    scandir, opened = os.scandir, open

    def refuse(path, *rest):
        if str(path).endswith(("/a", "dark")):
            raise PermissionError(13, "Permission denied")
        return scandir(path) if not rest else opened(path, *rest)

    monkeypatch.setattr("edgesdk.picture_sets.stores.os.scandir", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    pictures = Pictures(folder)
    assert pictures.names == ["b/2.png"]
    assert why(pictures) == {"a": "unreadable", "b/dark": "unreadable"}


def add(archive, name, data=b"", kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(data), kind, link
    archive.addfile(member, io.BytesIO(data))


def test_names_in_a_tar_lead_nowhere_and_the_last_of_two_counts(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        add(archive, "/abs/1.png", picture(1))
        add(archive, "../up/2.png", picture(2))
        add(archive, "a\\3.png", picture(3))
        add(archive, "./a/4.png", picture(4))
        add(archive, "a/4.png", picture(5))
        add(archive, "a/hard.png", kind=tarfile.LNKTYPE, link="./a/4.png")
        add(archive, "a/soft.png", kind=tarfile.SYMTYPE, link="hard.png")
        add(archive, "a/out.png", kind=tarfile.SYMTYPE, link="../../etc/passwd")
        add(archive, "a/x.png", kind=tarfile.SYMTYPE, link="y.png")
        add(archive, "a/y.png", kind=tarfile.SYMTYPE, link="x.png")
        add(archive, "a/pipe.png", kind=tarfile.FIFOTYPE)
    pictures = Pictures(tmp_path / "set.tar")
    assert pictures.names == ["a/3.png", "a/4.png", "a/hard.png", "a/soft.png", "abs/1.png"]
    assert {pictures.bytes(f"a/{n}.png") for n in ("4", "hard", "soft")} == {picture(5)}
    assert why(pictures) == {
        "../up/2.png": "outside", "a/4.png": "replaced", "a/pipe.png": "no file",
        **dict.fromkeys(["a/out.png", "a/x.png", "a/y.png"], "link"),
    }  # fmt: skip


def test_an_encrypted_or_torn_zip_is_told(tmp_path):
    path = packed(write(tmp_path / "set", "a/1.png", "a/2.png"), "zip")
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\3\4") + 40
    data[place : place + 8] = b"xxxxxxxx"
    path.write_bytes(data)
    pictures = Pictures(path)
    pictures.check()
    assert pictures.names == ["a/2.png"]
    assert why(pictures) == {"a/1.png": "unreadable"}
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UsageError, match="neither a folder nor a tar"):
        Pictures(path)


def test_a_large_file_that_is_no_picture_is_not_read_to_its_end(tmp_path, monkeypatch):
    folder, asked = write(tmp_path, "a/1.jpg", data=bytes(5000)), []
    write(folder, "a/2.png")
    monkeypatch.setattr("edgesdk.picture_sets.LARGE", 64)
    pictures = Pictures(folder)
    read = pictures._store.read
    monkeypatch.setattr(
        pictures._store, "read", lambda raw, most: asked.append((raw, most)) or read(raw, most)
    )
    pictures.check()
    assert pictures.names == ["a/2.png"]
    assert [most for raw, most in asked if raw == "a/1.jpg"] == [64]


@pytest.mark.parametrize("place", ["/dev/null", "text.txt"])
def test_what_is_neither_a_folder_nor_an_archive(tmp_path, place):
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(UsageError, match="is neither a folder nor a tar or zip archive") as told:
        Pictures(tmp_path / place)
    assert "\n" not in str(told.value)


def test_a_picture_is_no_set(tmp_path):
    with pytest.raises(UsageError, match=r"1\.jpg is one picture; give the folder"):
        Pictures(write(tmp_path, "1.jpg") / "1.jpg")


@FORMS
def test_names_that_are_odd_are_read_and_shown(tmp_path, form):
    folder = tmp_path / "set"
    odd = ["new\nline.jpg", "x" * 251 + ".png", " ", "ünï.png", "tab\t.JPG"]
    write(folder, *(f"p/{name}" for name in odd))
    bad = os.fsdecode(b"p/caf\xe9.jpg")
    if form != "zip":  # its names are UTF-8
        write(folder, bad)
    pictures = Pictures(packed(folder, form))
    pictures.check()
    assert len(pictures) == len(odd) + (form != "zip")
    assert "p/caf\\xe9.jpg" in pictures.names or form == "zip"
    assert all(pictures.read(name).shape == (8, 8, 3) for name in pictures.names)
    text = json.dumps(pictures.report(), ensure_ascii=False).encode()
    assert text
    assert "\n" not in shown("new\nline.jpg")


@pytest.mark.parametrize("listed", [
    "Jose\u0301/JOSE\u0301_0001", "José\\José_0001.JPG", "./josé/José_0001",
    unicodedata.normalize("NFD", "José/José_0001.jpg"),
])  # fmt: skip
def test_a_list_finds_its_pictures_however_it_spells_them(tmp_path, listed):
    pictures = Pictures(write(tmp_path, "José/José_0001.JPG", "José/José_0002.JPG"))
    assert pictures.find(listed) == "José/José_0001.JPG"
    assert pictures.find("José/José_0003") is None


def test_of_several_spellings_the_nearest_is_found(tmp_path):
    pictures = Pictures(write(tmp_path, "a/x_1.JPG", "a/X_1.png", "a/x_2.txt"))
    assert pictures.find("a/X_1") == "a/X_1.png"
    assert pictures.find("a/x_1") == "a/x_1.JPG"
    assert pictures.find("a/x_1.jpg") == "a/x_1.JPG"


def test_choosing_passes_damaged_pictures_over(tmp_path):
    folder = write(tmp_path, *(f"{i:02d}.png" for i in range(20)))
    whole = Pictures(folder).choose(8, 3)
    write(folder, whole[2], data=b"")
    chosen = Pictures(folder)
    assert set(whole) - set(chosen.choose(8, 3)) == {whole[2]}
    assert len(chosen.choose(8, 3)) == 8
    assert why(chosen) == {whole[2]: "empty"}
    assert len(chosen.choose(100, 3)) == 19


NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(NAME, NAME), max_size=6))
@example({("..", "a.png"), (".", "b.png")})
def test_any_tree_reads_alike_from_folder_and_archives(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("tree") / "set"
    folder.mkdir()
    for number, (person, file) in enumerate(sorted(tree)):
        if person not in (".", "..") and file not in (".", ".."):
            write(folder, f"{person}/{file}", data=picture(number))
    found = []
    for form in ("folder", "tar"):
        pictures = Pictures(packed(folder, form))
        pictures.check()
        assert len(set(pictures.names)) == len(pictures.names)
        assert json.dumps(pictures.report()), pictures.line().splitlines()
        found.append(sorted(pictures.hashes[name] for name in pictures.names))
    assert found[0] == found[1]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_names_have_one_spelling(name):
    assert plain(plain(name)) == plain(name)
    assert key(key(name)) == key(name)
    assert key(unicodedata.normalize("NFD", name)) == key(unicodedata.normalize("NFC", name))
    assert stem(name) in name
    assert "\n" not in shown(name)


def test_a_list_may_give_another_suffix(tmp_path):
    for name in ("anna/1.JPEG", "anna/2.png", "anna/2.webp", "x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = Pictures(tmp_path)
    assert found.find("Anna\\1.jpg") == "anna/1.JPEG"
    assert found.find("anna/2.webp") == "anna/2.webp"
    assert found.find("anna/2.jpg") == "anna/2.png"
    assert found.find("x.jpg") is None


def test_half_a_character_in_a_name_is_told_by_a_sign():
    from edgesdk.picture_sets.names import plain

    assert plain("a\ud800/\udcff.jpg") == "a\ufffd/\\xff.jpg"
