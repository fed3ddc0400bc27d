"""The tool that judges models on masked faces."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="pastes masks with torch")

from edgesdk.pairs import read_pairs
from edgesdk_training.occluders import draw_bank
from tools import masked_faces
from tools.drawn_pairs import packed
from tools.masked_pairs import written


@pytest.fixture
def faces(tmp_path):
    """Return a set of four people, two pictures each, whose colours tell them apart."""
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    kinds = []
    for person in range(4):
        (tmp_path / f"P{person}").mkdir()
        for number in (1, 2):
            picture = np.full((112, 112, 3), 40 * person + 30) + generator.integers(0, 9, 3)
            name = f"P{person}/P{person}_{number:04d}.png"
            image.fromarray(picture.astype(np.uint8)).save(tmp_path / name)
            kinds.append(f"P{person}, {number}, {'no-mask' if number == 1 else 'cloth'}")
    genuine = [f"P{n} 1 2" for n in range(4)]
    impostor = [f"P{n} 1 P{(n + 1) % 4} {k}" for n in range(4) for k in (1, 2)]
    (tmp_path / "pairs.txt").write_text("\n".join(genuine + impostor) + "\n")
    (tmp_path / "labels.txt").write_text("\n".join(kinds) + "\n")
    return read_pairs(tmp_path)


def bands(crops):
    """Return how bright a face's upper part is, as a vector."""
    level = np.array([crop[:40].mean() for crop in crops])[:, None]
    return np.hstack([np.cos(level / 60), np.sin(level / 60)]).astype(np.float32)


def test_pasted_masks_hide_the_lower_face_alone(faces):
    pictures = masked_faces.crops(faces, photos=False)
    bank = draw_bank([], 112, 20, 0).only(lambda kind: kind == "drawn-mask")
    rows = masked_faces.pasted_rows(bands, faces, pictures, bank)
    assert [r["faces"] for r in rows] == ["both bare", "one masked", "both masked"]
    assert all(r["accuracy"] == 1.0 and r["pairs"] == 12 for r in rows)
    behind = masked_faces.masked(pictures, bank, 0)
    changed = np.mean([np.abs(a.astype(int) - b) for a, b in zip(behind, pictures, strict=True)], 0)
    assert changed[80:].mean() > 10 * changed[:40].mean()


def test_strata_are_the_kinds_of_the_bank_and_the_sizes(faces):
    pictures = masked_faces.crops(faces, photos=False)
    bank = draw_bank([], 112, 40, 0)

    def chins(crops):
        return bands([crop[len(crop) * 2 // 3 :] for crop in crops])

    rows = masked_faces.stratified_rows(chins, faces, pictures, bank)
    kinds = [f"one masked, {kind}" for kind in sorted(set(bank.kinds))]
    sizes = [f"one masked, {side} px" for side in masked_faces.SIZES]
    assert [r["faces"] for r in rows] == kinds + sizes
    assert all(r["pairs"] == 12 for r in rows)
    by_kind = {r["faces"].removeprefix("one masked, "): r["auc"] for r in rows}
    assert by_kind["drawn-mask"] < 1.0 == by_kind["sunglasses"]


def test_real_masks_are_told_apart_by_how_many_faces_wear_one(faces):
    pictures = masked_faces.crops(faces, photos=False)
    rows = masked_faces.real_rows(bands, faces, pictures)
    assert [(r["faces"], r["pairs"]) for r in rows] == [("all", 12), ("one masked", 8)]
    assert masked_faces.labels(faces)[:2] == ["no-mask", "cloth"]


def test_a_part_of_the_pairs_keeps_their_pictures(faces):
    part = masked_faces.chosen(faces, 6)
    assert len(part) == 6
    for side in (0, 1):
        names = [part.pictures[i] for i in part.pairs[side]]
        assert names == [faces.pictures[i] for i in faces.pairs[side, ::2]]


def test_completed_pictures_are_embedded():
    seen = []
    embed = masked_faces.after(lambda crops: [255 - c for c in crops], seen.append)
    embed([np.zeros((2, 2, 3), np.uint8)])
    assert seen[0][0].min() == 255


def test_a_set_of_masked_pairs_is_read_with_its_strata(faces, tmp_path):
    bank = draw_bank([], 112, 20, 0).only(lambda kind: kind == "drawn-mask")
    place = tmp_path / "masked.tar"
    place.write_bytes(packed(written(faces, bank)))
    found = read_pairs(place)
    assert len(found) == 12
    assert found.same.tolist() == faces.same.tolist()
    strata = found.columns["stratum"]
    assert list(strata[:2]) == ["bare", "one masked"]
    bare, hidden = (found.read(found.pairs[1, n]).astype(int) for n in (0, 1))
    first, second = (faces.read(faces.pairs[1, n]).astype(int) for n in (0, 1))
    assert np.abs(bare - first).mean() < 3 < np.abs(hidden - second).mean()


def test_the_same_weights_in_another_form_have_rows_of_their_own():
    row = {"model": "m", "sha256": "a", "completed_by": "", "data": "d", "faces": "all"}
    assert masked_faces.key({**row, "run": "mirrored"}) != masked_faces.key(row)
    assert masked_faces.key({**row, "run": "", "accuracy": 1.0}) == masked_faces.key(row)
