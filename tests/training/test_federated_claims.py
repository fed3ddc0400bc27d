"""What the judge of federated methods says follows from its rows; its tables from its files."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core.errors import UsageError
from tools import federated as judge

RESULTS = Path(__file__).parents[2] / "training" / "results"
FEDLMD = ("8a", "global_accuracy", "fedlmd", "fedavg", 8.0)
SILENT = ("8b", "global_accuracy", "fedlmd, no teacher", "fedlmd", -3.0)


def row(*values, **more):
    return {"global_accuracy": {"by_seed": dict(enumerate(values))}, **more}


def test_a_claim_compares_seed_by_seed_and_its_interval_proves_it():
    rows = {"fedavg": row(0.30, 0.20, 0.40), "fedlmd": row(0.40, 0.31, 0.49)}
    found = judge.claim(rows, FEDLMD)
    assert found["points"]["mean"] == pytest.approx(10)
    assert (found["holds"], found["proven"]) == (True, False)  # 10 +- 2.5, of 8
    rows["fedlmd"] = row(0.45, 0.351, 0.549)
    assert judge.claim(rows, FEDLMD)["proven"]
    assert judge.claim({"fedlmd": rows["fedlmd"]}, FEDLMD) is None


def test_without_a_teacher_no_picture_may_be_shown_to_one():
    rows = {"fedlmd": row(0.4, 0.4, 0.41), "fedlmd, no teacher": row(0.4, 0.4, 0.41)}
    for asked, holds in ((0, True), (20, False)):
        rows["fedlmd, no teacher"]["teacher_pictures"] = asked
        found = judge.silence(rows, judge.claim(rows, SILENT))
        assert (found["holds"], found["proven"]) == (holds, holds)


def test_what_fedbsd_sends_is_its_backbone_to_the_byte(federated):
    run = federated("fedbsd")
    found = judge.bytes_claim({"fedbsd": {0: run}})
    assert found["holds"]
    assert found["bytes"]["sent_by_a_client"] == found["bytes"]["of_its_backbone"] > 0
    whole = federated(method="fedavg", out="whole")
    assert not judge.bytes_claim({"fedbsd": {0: whole}})["holds"]


def test_methods_of_a_stored_result_stand_beside_those_of_equal_settings(tmp_path):
    path = tmp_path / "stored.json"
    rows = {"fedavg": row(0.3, 0.2)}
    path.write_text(json.dumps({"settings": {"a": 1}, "data": {"sha256": "x"}, "methods": rows}))
    assert judge.standing(None, {}, "x") == {}
    found = judge.standing(path, {"a": 1}, "x")
    told = {"fedlmd": {"global_accuracy": {"by_seed": {"0": 0.4, "1": 0.3}}}, **found}
    assert judge.claim(told, FEDLMD)["points"]["mean"] == pytest.approx(10)
    for settings, sha256 in (({"a": 2}, "x"), ({"a": 1}, "y")):
        with pytest.raises(UsageError, match="nothing to stand beside"):
            judge.standing(path, settings, sha256)


def test_methods_are_asked_for_by_name():
    methods = {"fedavg": 1, "fedlmd": 2}
    assert judge.chosen(methods, []) == methods
    assert judge.chosen(methods, ["fedlmd"]) == {"fedlmd": 2}
    with pytest.raises(UsageError, match=r"no method 'fedlm'. Valid: fedavg, fedlmd"):
        judge.chosen(methods, ["fedlm"])


@pytest.mark.parametrize("path", sorted(RESULTS.glob("federated-*-*.json")), ids=lambda p: p.stem)
def test_stored_verdicts_are_those_of_the_stored_figures(path):
    found = json.loads(path.read_text())
    told = {claim["id"]: claim for claim in found["claims"] if "points" in claim}
    again = [judge.claim(found["methods"], claim) for claim in judge.CLAIMS]
    assert {claim["id"] for claim in again if claim} == set(told)
    for claim in filter(None, again):
        stored = told[claim["id"]]
        assert stored["points"]["mean"] == pytest.approx(claim["points"]["mean"])
        assert stored["holds"] <= claim["holds"]
