"""Detectors beside each other: advice, averages over seeds, the reliability plot."""

from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.generated import kind_of
from tools import judge_detectors, reliability
from tools.ship_detector import advice


def row(auc):
    return {"auc": auc, "low": auc - 0.1, "high": auc + 0.1}


def test_advice_names_the_best_detector_of_the_command():
    unseen = {
        name: {"mean against photos": auc, "mean against soft": auc}
        for name, auc in {"f2c": 0.9, "npr": 0.8}.items()
    }
    assert advice(unseen, "f2c").startswith("recommended: the best")
    assert advice(unseen, "npr").startswith("f2c is the best")
    assert "f2c 0.90, npr 0.80" in advice(unseen, "npr")


def test_families_left_out_are_averaged_over_seeds():
    both = {"against photos": row(0.8), "against soft": row(0.6)}
    other = {"against photos": row(0.6), "against soft": row(0.6)}
    found = judge_detectors.averaged({"ae": [both, other], "vq": [both]})
    assert found["families"]["ae"]["against photos"]["auc"] == pytest.approx(0.7)
    assert found["families"]["ae"]["against photos"]["seeds"] == 2
    assert found["mean against photos"] == pytest.approx(0.75)


def test_a_detector_that_tells_the_truth_lies_on_the_diagonal():
    kinds = [kind_of("real")] * 40 + [kind_of("fake/a")] * 40
    chance = 1 / (1 + np.exp(-2))
    logits = np.where(np.random.default_rng(0).permutation(40) < 40 * chance, 2.0, -2.0)
    bins = judge_detectors.reliability(np.concatenate([-logits, logits]), kinds)
    for one in bins:
        assert one["true"] == pytest.approx(one["told"], abs=0.02)
    svg = ElementTree.fromstring(reliability.plot({"f2c <b>": bins}))
    assert len(svg.findall(".//{*}circle")) == len(bins)
