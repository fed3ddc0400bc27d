"""What the judge of private distillation says follows from its rows alone."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import edgesdk
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_json

pytest.importorskip("torch", reason="needs the train extra")

from tools import private_attacks
from tools.judge_private import asked_cells, begun, cells, claims, interval, name_of, settle


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


def test_rows_of_equal_settings_stay_and_those_of_others_do_not(tmp_path):
    output = tmp_path / "found.json"
    asked = Namespace(set=["size=16"], finished=False, output=output, data=Path("a.npz"), seeds=3)
    assert begun(asked, {"size": "16"})["rows"] == {}
    write_json(output, {**begun(asked, {"size": "16"}), "rows": {"none": row(0.9)}})
    assert begun(asked, {"size": "16"})["rows"] == {"none": row(0.9)}
    assert begun(asked, {"size": "28"})["rows"] == {}


def test_what_an_attack_proves_stands_beside_what_is_proven():
    told = {"fpr": 0.01, "others": 1000, "low": 0.05}
    bare = private_attacks._bounds(told, {})
    assert bare["epsilon_at_most"] is None
    assert 0.8 < bare["epsilon_at_least"] < 1.61  # below log(0.05 / 0.01), for 1 % is a guess too
    noised = private_attacks._bounds(told, {"epsilon": 3.0, "delta": 0.04})
    assert noised["epsilon_at_least"] == 0
    assert noised["epsilon_at_most"] == 3


def test_attacks_stand_in_the_report_of_the_attacked_run(tmp_path):
    run = tmp_path / "dpdf-class-net-1"
    run.mkdir()
    write_json(run / "settings.json", {"recipe": "dpdf", "settings": {}, "data": {}})
    write_json(run / "result.json", {"metrics": {}, "tables": {"before": [{"a": 1}]}})
    told = {
        "tpr": 0.0123, "low": 0.01, "high": 0.02, "auc": 0.5, "epsilon_at_least": 0.25,
        "epsilon_at_most": None, "reconstruction": {"correlation": 0.75, "other": 0.1},
    }  # fmt: skip
    private_attacks.tell(run, {"dpdf: student": told})
    assert set(read_json(run / "result.json", "result")["tables"]) == {"before", "Attacks"}
    edgesdk.report(run, output_dir=tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<h3>Attacks</h3>" in page
    assert "<td>0.0123</td>" in page
    assert "<td>not bounded</td>" in page


def test_a_row_of_fewer_seeds_takes_the_place_of_none():
    found = {"rows": {"none": {"seeds": 3, **row(0.9, 0.8, 0.85)}}, "claims": []}
    settle(found, "none", {"seeds": 1, **row(0.1)})
    settle(found, "none noise", {"seeds": 1, **row(0.1)})
    assert [r["seeds"] for r in found["rows"].values()] == [3, 1]
    assert [claim["claim"][:3] for claim in found["claims"]] == ["10a"]
    settle(found, "response eps 3", {"seeds": 1, **row(0.1)})
    assert list(found["rows"]) == ["none", "response eps 3", "none noise"]  # as they are asked for


def test_rows_are_asked_for_by_name_or_from_the_first():
    given = {"pate_queries": 200, "cells": 2}
    named = asked_cells(Namespace(only=["pate eps 3", "none"], **given))
    assert [name_of(cell) for cell in named] == ["none", "pate eps 3"]
    assert len(asked_cells(Namespace(only=[], **given))) == 2
    with pytest.raises(UsageError, match="no row 'pat'"):
        asked_cells(Namespace(only=["pat"], **given))


def test_what_a_network_draws_is_compared_with_its_class_and_a_flat_picture_is_like_nothing():
    torch = pytest.importorskip("torch")

    class Halves(torch.nn.Module):
        def forward(self, x):
            half = x[:, 0, :, :4].mean((1, 2)) - x[:, 0, :, 4:].mean((1, 2))
            return torch.stack([half, -half], 1) * 50

    pictures = np.zeros((4, 8, 8, 3), np.uint8)
    pictures[:2, :, :4] = 200
    pictures[2:, :, 4:] = 200
    labels = np.array([0, 0, 1, 1])
    found = private_attacks._inverted(Halves(), pictures, labels)
    assert found["correlation"] > 0.7
    assert found["other"] < -0.7
    flat = private_attacks._inverted(Halves(), pictures * 0, labels)
    assert flat == {"correlation": 0.0, "other": 0.0}
