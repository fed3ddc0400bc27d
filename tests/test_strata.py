import csv

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.task import task_of
from edgesdk.pairs import read_pairs
from edgesdk.strata import LEAST_SHARE, mask_shares, split

CROPS = synthetic_faces(8, seed=3, size=112)


def with_mask(crop):
    masked = crop.copy()
    masked[66:108, 24:88] = (110, 160, 205)
    return masked


@pytest.fixture
def place(tmp_path):
    pictures = [*CROPS[:4], *(with_mask(crop) for crop in CROPS[:4])]
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    rows = [("same", "path_a", "path_b", "fold", "stratum", "light")]
    for a, b in [(0, 1), (0, 4), (1, 5), (2, 6), (4, 5), (3, 7), (2, 3), (6, 7)]:
        kind = ["bare", "mixed", "masked"][(a > 3) + (b > 3)]
        rows.append((int(a % 4 == b % 4), f"{a}.png", f"{b}.png", a % 2, kind, "dim"))
    with (tmp_path / "pairs.csv").open("w") as stream:
        csv.writer(stream).writerows(rows)
    return tmp_path


def test_a_column_splits_the_pairs(place):
    pairs = read_pairs(place)
    assert list(pairs.columns) == ["stratum", "light"]
    found = split(pairs, "stratum")
    assert {name: int(keep.sum()) for name, keep in found.items()} == {
        "bare": 2, "masked": 2, "mixed": 4,
    }  # fmt: skip
    assert split(pairs, "light")["dim"].all()
    with pytest.raises(UsageError, match=r"no column 'ligth'.*light"):
        split(pairs, "ligth")


def test_the_segmenter_splits_masked_and_bare(place):
    shares = mask_shares([*CROPS, *map(with_mask, CROPS)])
    assert (shares[:8] < LEAST_SHARE).all()
    assert (shares[8:] >= LEAST_SHARE).all()
    found = split(read_pairs(place), "mask")
    assert {name: int(keep.sum()) for name, keep in found.items()} == {
        "bare x bare": 2, "masked x bare": 4, "masked x masked": 2,
    }  # fmt: skip


def test_a_line_that_lacks_a_column_is_refused(place):
    with (place / "pairs.csv").open("a") as stream:
        stream.write("1,0.png,4.png,0\n")
    with pytest.raises(UsageError, match="line 10"):
        read_pairs(place)


def test_the_gate_judges_each_stratum(place, make_face_bundle):
    bundle = make_face_bundle()
    pairs = task_of("face-embedding").evaluation(place)
    from edgesdk.core.task import info_of

    session = edgesdk.load(bundle)
    (judged,) = task_of("face-embedding").judge(info_of(bundle), [session.run], pairs)
    strata = {m.key: len(m.items) for m in judged.metrics if m.key.startswith("accuracy, ")}
    assert strata == {"accuracy, bare": 2, "accuracy, masked": 2, "accuracy, mixed": 4}
    whole = next(m for m in judged.metrics if m.key == "accuracy")
    parts = [m.items for m in judged.metrics if m.key in strata]
    assert np.concatenate(parts).sum() == whole.items.sum()


def test_accuracy_tells_the_strata(place, make_face_bundle, tmp_path):
    from edgesdk.core.files import read_json
    from edgesdk_benchmarks.accuracy import main

    bundle = make_face_bundle()
    words = ["--pairs", str(place), "--bundle", str(bundle.path), "--sizes", "16"]
    assert main([*words, "--split", "mask", "-o", str(tmp_path / "out.json")]) == 0
    row = read_json(tmp_path / "out.json", "result")["rows"][0]
    assert row["strata"]["masked x bare"]["pairs"] == 4
    whole = sum(s["pairs"] * s["accuracy"] for s in row["strata"].values()) / 8
    assert whole == pytest.approx(row["accuracy"], abs=0.3)
    assert main([*words, "--split", "nothing", "-o", str(tmp_path / "out.json")]) == 2


def test_run_draws_mask_and_completion(tmp_path):
    for name, picture in (("a", CROPS[0]), ("b", with_mask(CROPS[0]))):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    edgesdk.run("masked-face", files, aligned=True, output=tmp_path / "view.png")
    view = edgesdk.read_image(tmp_path / "view.png").astype(int)
    assert view.shape[1] > 3 * 160
    # The second face's middle part is red where the mask is, its right part no longer blue.
    masked = view[10 + 192 : 170 + 192]
    middle, right = masked[115, 10 + 160 + 80], masked[115, 10 + 320 + 80]
    assert middle[0] > middle[2]
    assert right[2] - right[0] < 60
    assert read_bundle(edgesdk.load("masked-face").bundle.path).outputs[1].name == "mask"
