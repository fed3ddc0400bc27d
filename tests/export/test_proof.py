import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.core.verify import Verification
from edgesdk_export._proof import in_batches, settle


@given(st.integers(1, 200), st.one_of(st.none(), st.integers(1, 70)), st.integers(1, 70))
def test_items_come_back_in_order_in_batches_that_fit(count, size, most):
    seen = []

    def run(arrays):
        seen.append(len(arrays["x"]))
        return {"y": arrays["x"] * 2}

    found = in_batches(run, {"x": np.arange(count)}, size, most)
    assert np.array_equal(found["y"], np.arange(count) * 2)
    assert set(seen) == {size} if size else max(seen) <= min(64, most)


@pytest.mark.parametrize(
    ("failures", "proxy", "verdict", "stand_in"),
    [
        ([], False, "pass", ""),
        (["x"], False, "fail", ""),
        ([], True, "not-run", "pass"),
        (["x"], True, "not-run", "fail"),
    ],
)
def test_failures_decide_the_verdict(failures, proxy, verdict, stand_in):
    base = Verification(verdict="pass", level="host", reasons=("note",))
    found = settle(base, failures, proxy)
    assert (found.verdict, found.proxy) == (verdict, stand_in)
    assert found.reasons == (*failures, "note")
    assert found.failed is bool(failures)


def test_a_failure_is_never_taken_back():
    failed = settle(Verification(verdict="pass", level="host"), ["x"], False)
    assert settle(failed, [], False).verdict == "fail"
