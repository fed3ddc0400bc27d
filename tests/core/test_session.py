"""One border for all runtimes: what passes, what is refused, who may use it, who not."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.session import Session
from edgesdk.core.tensors import InputCheck, TensorSpec

SPECS = (TensorSpec("x", (None, 2)), TensorSpec("y", (None,), "int64"))


def inputs(count=1, fill=0.0):
    return {"x": np.full((count, 2), fill, np.float32), "y": np.zeros(count, np.int64)}


def opened(run, **postprocess):
    outputs = (TensorSpec("out", (None, 2)),)
    bundle = SimpleNamespace(inputs=SPECS, outputs=outputs, path="b", postprocess=postprocess)
    raw = SimpleNamespace(bundle=bundle, runtime="mine", run=run, close=lambda: None)
    return Session(raw, "cpu", 1)


def test_what_passed_before_is_checked_for_its_values_still():
    check = InputCheck(SPECS)
    for _ in range(3):
        good = inputs()
        assert check(good) is not None
        for fill in (np.nan, np.inf, -np.inf):
            with pytest.raises(UsageError, match="'x' holds NaN or infinity"):
                check(inputs(fill=fill))
        with pytest.raises(UsageError, match="disagree on the batch size"):
            check({**good, "y": np.zeros(2, np.int64)})


def test_the_same_arrays_go_on_and_others_become_contiguous():
    check = InputCheck(SPECS)
    good = inputs(4)
    stepped = {**good, "x": np.zeros((4, 4), np.float32)[:, ::2]}
    for _ in range(2):
        assert check(good)["x"] is good["x"]
        assert check(stepped)["x"].flags.c_contiguous


def test_batches_of_any_size_follow_each_other():
    check = InputCheck(SPECS)
    for count in (1, 3, 3, 1, 200, 1):
        assert len(check(inputs(count))["x"]) == count


def test_what_is_unlike_the_last_batch_is_checked_in_full():
    check = InputCheck(SPECS)
    good = inputs(2)
    wrong = [None, [], "x", np.zeros(2), {}, {"x": good["x"]}, {**good, "z": good["x"]},
             {**good, "x": good["x"].astype(">f4")}, {**good, "y": good["y"][:, None]}]  # fmt: skip
    for odd in wrong:
        for _ in range(2):
            with pytest.raises(UsageError, match=r"\w"):
                check(odd)
        assert check(good) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_names_output_item_and_range(value):
    rows = np.zeros((3, 2), np.float32)
    rows[1, 1] = value
    with opened(lambda _: {"out": rows}) as session:
        says = r"finite inputs \(x from 5 to 5, y from 0 to 0\).*output 'out', item 1"
        with pytest.raises(EdgeSdkError, match=says):
            session.run(inputs(3, 5.0))


@pytest.mark.parametrize("answer", [np.array(["a"]), np.array([None]), [{"a": 1}], None])
def test_an_answer_that_is_no_numbers_is_one_sentence(answer):
    said = pytest.raises(EdgeSdkError, match="fails on a batch of 2")
    with opened(lambda _: {"out": answer}) as session, said:
        session.run(inputs(2))


def test_what_a_runtime_raises_is_one_sentence():
    def fails(_):
        raise RuntimeError("two\nlines")

    with opened(fails) as session, pytest.raises(EdgeSdkError, match="batch of 3: two lines"):
        session.run(inputs(3))


FORKS = """
import os, numpy as np, edgesdk
session = edgesdk.load("bridge-face", threads=2)
x = {s.name: np.zeros((1, *s.shape[1:]), s.dtype) for s in session.bundle.inputs}
session.run(x)
if os.fork() == 0:
    try:
        session.run(x)
    except edgesdk.EdgeSdkError as error:
        print(error, flush=True)
    session.close()
    with edgesdk.load("bridge-face", threads=2) as mine:
        print(len(mine.run(x)), "output", flush=True)
    os._exit(0)
os.wait()
print(len(session.run(x)), "output")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_to_open_its_own():
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=True
    )
    said, *answers = done.stdout.splitlines()
    assert "opened before this process was forked" in said
    assert answers == ["1 output"] * 2


@pytest.mark.parametrize(("value", "refused"), [(0.0, True), (0.3, True), (0.98, False)])
def test_a_vector_promised_of_unit_length_is_one(value, refused):
    rows = np.array([[1, 0], [0, value]], np.float32)
    with opened(lambda _: {"out": rows}, normalised=True) as session:
        if refused:
            with pytest.raises(EdgeSdkError, match=r"not of unit length in output 'out', item 1"):
                session.run(inputs(2, 1e25))
        else:
            assert session.run(inputs(2, 1e25))["out"] is rows
