"""Claims about training, out of the rows of an accuracy result."""

import pytest

from edgesdk_benchmarks.claims import claims, small_losses, trained


def row(accuracy, model="m", size=16, kind=None, epochs=4, folds=(0.5, 0.7)):
    how = {"trained": {"kind": kind, "epochs": epochs, "pictures": 9}} if kind else {}
    return {
        "model": model, "face_px": size, "precision": "fp32", "accuracy": accuracy,
        "folds": list(folds), **how,
    }  # fmt: skip


def test_accuracy_grows_or_does_not():
    rows = [row(0.8), row(0.85, "m-32", 16), row(0.9, "m-32", 32), row(0.99, "teacher", 112)]
    (found,) = claims(rows)
    assert found["claim"] == "m: accuracy grows with the face"
    assert found["values"] == {"16": 0.8, "32": 0.9}
    assert found["holds"]
    assert not claims([row(0.9), row(0.8, "m-32", 32)])[0]["holds"]


def test_a_student_is_held_against_its_teacher_on_the_same_faces():
    student = row(0.93) | {"source_sha256": "of the weights"}
    rows = [student, row(0.92, "sface-2021dec", 16), row(0.99, "sface-2021dec", 112)]
    (found,) = claims(rows)
    assert found["claim"] == "m at 16 px beats its teacher on the same faces"
    assert found["points"] == pytest.approx(1)
    assert found["holds"]
    rows[1]["folds"] = [0.9, 0.2]
    assert not claims(rows)[0]["holds"]
    assert claims([row(0.93, "somebody else's"), *rows[1:]]) == []


def test_int8_rows_claim_nothing_of_the_size():
    assert claims([row(0.8), row(0.7, "m-32", 32) | {"precision": "int8"}]) == []


def test_distillation_must_beat_the_labels_by_three_points():
    rows = [row(0.80, kind="labels only"), row(0.82, kind="direct"), row(0.84, kind="bridge")]
    found = {claim["claim"]: claim for claim in claims(rows)}
    prefix = "m at 16 px, 4 epochs: "
    assert not found[prefix + "direct beats labels only by 3 points or more"]["holds"]
    assert found[prefix + "bridge beats labels only by 3 points or more"]["holds"]
    last = found[prefix + "bridge beats direct"]
    assert last["holds"]
    assert last["points"] == pytest.approx(2)
    assert last["standard_error"] == 0


def test_a_difference_within_its_noise_does_not_hold():
    above = row(0.84, kind="bridge", folds=(0.9, 0.7))
    (found,) = claims([row(0.82, kind="direct", folds=(0.6, 0.6)), above])
    assert found["standard_error"] == pytest.approx(10)
    assert not found["holds"]


def test_unlike_runs_are_never_compared():
    rows = [row(0.8, kind="labels only"), row(0.9, kind="direct", epochs=5)]
    assert claims(rows) == []
    assert claims([row(0.8), row(0.9)]) == []


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"labels_only": True, "direct": False, "mimic": 20.0}, "labels only"),
        ({"labels_only": False, "direct": True, "mimic": 20.0}, "direct"),
        ({"labels_only": False, "direct": False, "mimic": 0.0}, "direct"),
        ({"labels_only": False, "direct": False, "mimic": 20.0}, "bridge"),
    ],
)
def test_how_a_checkpoint_was_trained(settings, kind):
    origin = {"recipe": "bridge", "settings": settings | {"epochs": 7}, "pictures": 3}
    assert trained(origin) == {"kind": kind, "epochs": 7, "pictures": 3}
    assert trained({"recipe": "other", "settings": settings}) is None
    assert trained({}) is None


def test_int8_may_lose_a_little():
    def artefact(points, interval, precision="int8"):
        drop = {"drop": {"points": points, "interval": interval}}
        return {"model": "m", "target": "onnx", "precision": precision, **drop}

    left_out = {"model": "m", "target": "tensorrt", "precision": "int8", "reason": "no GPU"}
    rows = [artefact(0.2, [0.1, 0.29]), artefact(0.1, [-0.3, 0.5]), artefact(0.4, [0.1, 0.7])]
    found = small_losses([*rows, left_out, artefact(9, [8, 10], "fp16")])
    assert [(claim["holds"], claim["proven"]) for claim in found] == [
        (True, True), (True, False), (False, False),
    ]  # fmt: skip
    assert found[0]["claim"] == "m onnx int8 loses at most 0.3 points"
