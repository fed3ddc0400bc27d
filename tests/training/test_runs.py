"""The table of runs tells what the committed result file holds."""

import json
import re
from pathlib import Path

HOME = Path(__file__).parents[2] / "training"
# Told from memory of their output; the README says so.
NOT_KEPT = {"first", "c_p2", "c_p8", "plus32"}


def test_the_table_of_runs_agrees_with_the_result_file():
    stored = json.loads((HOME / "results" / "runs.json").read_text())
    table = (HOME / "README.md").read_text().split("## All runs")[1].split("\n## ")[0]
    rows = re.findall(
        r"^\| \**(\w+)\** \|.*\| (\d+) \| \**([\d.]+ / [\d.]+|stopped)\** \|", table, re.M
    )
    assert {name for name, *_ in rows} == {*stored, *NOT_KEPT}
    for name, epochs, told in rows:
        if name not in NOT_KEPT:
            found = stored[name]["metrics"]
            auc = f"{found['holdout_auc']:.4f}".removeprefix("0")
            assert told == f"{100 * found['holdout_accuracy']:.1f} / {auc}", name
            assert int(epochs) == stored[name]["settings"]["epochs"], name


def test_the_cosines_of_the_table_are_those_of_the_result_file():
    stored = json.loads((HOME / "results" / "runs.json").read_text())
    table = (HOME / "README.md").read_text().split("## All runs")[1].split("\n## ")[0]
    told = re.findall(r"^\| \**(\w+)\** \|[^\n]*?cosine (\.\d{3})", table, re.M)
    assert len(told) > 15
    for name, cosine in told:
        found = stored[name]["metrics"]
        measured = found.get("holdout_cosine", found.get("holdout_cos_held"))
        assert f"{measured:.3f}" == f"0{cosine}", name
