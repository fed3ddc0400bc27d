"""What the judge of private distillation says follows from its rows alone."""

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from tools.judge_private import cells, claims, interval, name_of


def row(*values, **others):
    return {"holdout_accuracy": interval(values), **{k: interval(v) for k, v in others.items()}}


def test_every_row_has_a_name_of_its_own():
    names = [name_of(cell) for cell in cells(200)]
    assert len(set(names)) == len(names)
    assert {"none", "none noise", "selective eps 3", "response eps 0.5", "dp-sgd eps 3"} <= {*names}


def test_a_claim_is_proven_only_by_its_interval():
    rows = {"none": row(0.9, 0.85, 0.87), "none noise": row(0.1, 0.7, 0.12)}
    (claim,) = claims(rows)
    assert claim["holds"]
    assert not claim["proven"]
    (sure,) = claims({"none": row(0.9, 0.9, 0.91), "none noise": row(0.1, 0.1, 0.11)})
    assert sure["proven"]


def test_claims_of_the_mechanism_compare_seed_by_seed():
    rows = {
        "none": row(0.9, 0.9, 0.9),
        "response eps 3": row(0.8, 0.8, 0.8, label_error=(0.31, 0.32, 0.31)),
        "selective eps 3": row(0.82, 0.82, 0.82, label_error=(0.2, 0.2, 0.2)),
    }
    found = {claim["claim"][:3]: claim for claim in claims(rows)}
    assert found["10b"]["mean"] == pytest.approx(11.33, abs=0.01)
    assert found["10d"]["values"] == pytest.approx([0.8 / 0.9] * 3)
    assert not found["10d"]["holds"]
