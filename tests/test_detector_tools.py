"""Detectors beside each other: advice, averages over seeds, the reliability plot."""

from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core.files import write_json
from edgesdk.generated import kind_of
from tests.drawn import photo
from tools import detector_claims, exported_accuracy, judge_detectors, reliability, teach_detectors
from tools.ship_detector import advice, of_all_sets


def row(auc):
    return {"auc": auc, "low": auc - 0.1, "high": auc + 0.1}


def test_advice_names_the_best_detector_of_the_command():
    unseen = {
        name: {"mean against photos": auc, "mean against soft": auc}
        for name, auc in {"f2c": 0.9, "npr": 0.8}.items()
    }
    assert advice(unseen, "f2c").startswith("recommended: the best")
    assert advice(unseen, "npr").startswith("recommended is f2c, the best")
    assert "f2c 0.90, npr 0.80" in advice(unseen, "npr")
    assert advice(unseen, "npr").endswith("it is shipped as f2c-detector")
    raw = {"raw": unseen["f2c"], "npr": unseen["npr"]}
    assert advice(raw, "npr").endswith("edgesdk train f2c --set clue=raw")
    begun = {"f2c begun": unseen["f2c"], "npr": unseen["npr"]}
    assert advice(begun, "npr").endswith("it is shipped as f2c-detector")
    earlier = {"f2c earlier": unseen["f2c"], "npr": unseen["npr"]}
    assert advice(earlier, "npr").endswith("npr 0.80)")


def test_a_set_of_few_pictures_says_little_of_unseen_generators():
    """Twelve pictures stood for as much as two hundred in the card's figure."""
    rows = [{"auc": 0.5, "fakes": 180}, {"auc": 0.1, "fakes": 20}]
    assert of_all_sets(rows) == pytest.approx(0.46)


def test_families_left_out_are_averaged_over_seeds():
    both = {"against photos": row(0.8), "against soft": row(0.6)}
    other = {"against photos": row(0.6), "against soft": row(0.6)}
    found = judge_detectors.averaged({"ae": [both, other], "vq": [both]})
    assert found["families"]["ae"]["against photos"]["auc"] == pytest.approx(0.7)
    assert found["families"]["ae"]["against photos"]["seeds"] == 2
    assert found["families"]["ae"]["against photos"]["values"] == [0.8, 0.6]
    assert found["mean against photos"] == pytest.approx(0.75)


def test_a_claim_is_judged_by_its_interval_over_seeds_or_over_families():
    rows = {
        name: {"against photos": {"auc": auc, "values": [auc - 0.01, auc, auc + 0.01]}}
        for name, auc in {"a": 0.9, "b": 0.8}.items()
    }
    found = detector_claims.by_seed(rows, "against photos")
    assert found.shape == (3, 2)
    mean, low, high = detector_claims.interval(found)
    assert mean == pytest.approx(0.85)
    assert high - low == pytest.approx(2 * 4.303 * 0.01 / 3**0.5)
    _, low, high = detector_claims.interval(np.array([[0.8, 0.9]]))
    assert (low, high) == pytest.approx((0.8, 0.9))
    verdicts = [detector_claims.verdict(0.8, 0.9, least) for least in (0.8, 0.85, 0.95)]
    assert verdicts == ["holds", "not proven", "missed"]


def test_runs_that_left_families_out_are_judged_on_these_in_the_order_of_their_seeds():
    about = {
        f"f2c without ae seed {seed}": {"seed": seed, "settings": {"without": "ae"}}
        for seed in (2, 0)
    }
    scorers = {
        name: lambda pictures, seed=told["seed"]: np.arange(len(pictures)) * (1 - seed)
        for name, told in about.items()
    }
    kinds = [kind_of(k) for k in ("real", "soft/median", "fake/vq", "fake/ae-nearest")]
    pictures = [photo(number, 64, 64) for number in range(len(kinds))]
    found = judge_detectors.left_out(scorers, about, pictures, kinds)["f2c"]["families"]
    assert list(found) == ["ae-nearest"]
    assert found["ae-nearest"]["against photos"]["values"] == [1.0, 0.0]


def test_a_detector_that_tells_the_truth_lies_on_the_diagonal():
    kinds = [kind_of("real")] * 40 + [kind_of("fake/a")] * 40
    chance = 1 / (1 + np.exp(-2))
    logits = np.where(np.random.default_rng(0).permutation(40) < 40 * chance, 2.0, -2.0)
    bins = judge_detectors.reliability(np.concatenate([-logits, logits]), kinds)
    for one in bins:
        assert one["true"] == pytest.approx(one["told"], abs=0.02)
    svg = ElementTree.fromstring(reliability.plot({"f2c <b>": bins}))
    assert len(svg.findall(".//{*}circle")) == len(bins)


@pytest.mark.parametrize("one", ["ae-nearest", "diffusion"])
def test_one_family_alone_is_taught_with_every_seed(one):
    assert one in teach_detectors.ALONE
    asked = SimpleNamespace(one=one, seeds=2, epochs=3, out=Path("runs"))
    found = list(teach_detectors.runs(asked))
    assert len(found) == 2 * len(teach_detectors.CLUES)
    for _, _, settings in found:
        left_out = tuple(settings["without"].split("+"))
        kept = [name for name in teach_detectors.FAMILIES if not name.startswith(left_out)]
        assert kept == [one]


def test_families_left_out_of_several_seeds_are_joined():
    def row(*values):
        cell = {"seeds": len(values), "values": list(values), "auc": 0.0, "low": 0.1, "high": 0.9}
        return {against: dict(cell) for against in judge_detectors.AGAINST}

    one = {"f2c": {"families": {"a": row(0.5), "b": row(0.7)}}}
    more = judge_detectors.joined(one, {"f2c": {"families": {"a": row(0.7, 0.9), "b": row(1, 1)}}})
    assert list(more) == ["f2c"]
    found = more["f2c"]["families"]["a"]["against photos"]
    assert (found["values"], found["seeds"]) == ([0.5, 0.7, 0.9], 3)
    assert (found["auc"], found["low"]) == (pytest.approx(0.7), pytest.approx(0.1))
    assert more["f2c"]["mean against soft"] == pytest.approx((0.7 + 0.9) / 2)


def test_taught_apart_whole_seeds_come_first():
    asked = SimpleNamespace(
        one="", apart=True, clues=["f2c", "raw"], seeds=2, short=1, out=Path("runs")
    )
    found = list(teach_detectors.runs(asked))
    assert [seed for _, seed, _ in found] == [0] * 8 + [1] * 8
    assert {(s["clue"], s["without"]) for _, _, s in found[:8]} == {
        (clue, group) for clue in asked.clues for group in teach_detectors.GROUPS.values()
    }


def proof(verdict="pass", **more):
    return {
        "verdict": verdict, "level": "host", "by": {"runtime": "ort"}, "reasons": [],
        "task": {"metric": "AUC", "source": 0.9, "artefact": 0.89, "drop": 0.01,
                 "interval": [-0.001, 0.02], "pictures": 9}, **more,
    }  # fmt: skip


def test_the_row_of_an_export_holds_what_it_lost(tmp_path):
    write_json(tmp_path / "verify.json", proof())
    answer = {
        "path": str(tmp_path),
        "files": {"model.onnx": {"bytes": 5}, "golden/x": {"bytes": 9}},
        "decisions": ["batch 1: a free one does not hold", "precision int8: asked"],
    }
    row = exported_accuracy.row_of(answer, tmp_path)
    assert (row["bytes"], row["drop"], row["metric"]) == (5, 0.01, "AUC")
    assert exported_accuracy.cell(row) == "+0.0100 (-0.0010 to +0.0200), batch 1"


def test_what_was_rejected_keeps_its_numbers_and_what_was_refused_its_reason(tmp_path):
    answer = {"error": f"{tmp_path}/x differs", "exit_code": 4}
    assert exported_accuracy.row_of(answer, tmp_path) == {"error": "x differs", "exit_code": 4}
    write_json(tmp_path / "x.rejected" / "verify.json", proof("fail"))
    row = exported_accuracy.row_of(answer, tmp_path)
    assert exported_accuracy.cell(row).endswith(", fails")
    assert exported_accuracy.proof_of(row) == "proven here"
