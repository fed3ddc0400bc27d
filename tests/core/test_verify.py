import json

import pytest

from edgesdk.core.errors import UsageError
from edgesdk.core.verify import Verification, read_verification, write_verification


def example(**changes):
    values = {
        "verdict": "pass",
        "level": "host",
        "by": {"runtime": "ort", "kind": "native", "version": "1"},
        "samples": 64,
        "outputs": {"embedding": {"max_abs": 1e-6, "cosine_p1": 1.0}},
        "batch": {"b=1": 0.0, "nan-neighbour": None},
        "reasons": ("a sentence",),
    }
    return Verification(**(values | changes))


def test_round_trip(tmp_path):
    path = tmp_path / "verify.json"
    write_verification(path, example())
    assert read_verification(path) == example()
    assert json.loads(path.read_text())["schema_version"] == 1


def test_infinity_becomes_null(tmp_path):
    write_verification(tmp_path / "v.json", example(batch={"b=1": float("inf")}))
    assert read_verification(tmp_path / "v.json").batch == {"b=1": None}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [({}, False), ({"verdict": "fail"}, True), ({"verdict": "not-run", "proxy": "fail"}, True)],
)
def test_failed(changes, failed):
    assert example(**changes).failed is failed


@pytest.mark.parametrize("data", [{}, {"schema_version": 2}, [], {"schema_version": 1, "x": 1}])
def test_foreign_data_is_refused(data):
    with pytest.raises(UsageError, match="no verification"):
        Verification.from_json(data)


@pytest.mark.parametrize("field", ["verdict", "level"])
def test_unknown_words_are_refused(field):
    with pytest.raises(UsageError, match="'odd'"):
        Verification.from_json(example().to_json() | {field: "odd"})


def test_summary_is_what_the_manifest_holds():
    assert example().summary() == {"file": "verify.json", "level": "host", "verdict": "pass"}


@pytest.mark.parametrize(
    ("verdict", "level", "proxy", "words", "proven", "itself"),
    [
        ("pass", "host", "", "proven here", True, True),
        ("pass", "proxy", "", "proven here, by an interpreter", True, True),
        ("not-run", "proxy", "pass", "proven on the ONNX behind it", True, False),
        ("not-run", "proxy", "fail", "differs from its source", False, False),
        ("not-run", "host", "", "not proven here", False, False),
        ("skipped", "host", "", "not proven here, as asked", False, False),
        ("fail", "host", "", "differs from its source", False, False),
    ],
)
def test_only_a_proof_sounds_like_one(verdict, level, proxy, words, proven, itself):
    found = Verification(verdict=verdict, level=level, proxy=proxy)
    assert (found.proof, found.proven, found.proven_itself) == (words, proven, itself)
    half = Verification(verdict="pass", level="host", half={"not_run": "no onnx"})
    assert not half.proven_itself
