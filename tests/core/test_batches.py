"""Batches of one size, of any size, and filled up."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.core.batches import in_batches, repeated


@given(st.integers(1, 200), st.one_of(st.none(), st.integers(1, 70)), st.integers(1, 70))
def test_items_come_back_in_order_in_batches_that_fit(count, size, most):
    seen = []

    def run(arrays):
        seen.append(len(arrays["x"]))
        return {"y": arrays["x"] * 2}

    found = in_batches(run, {"x": np.arange(count)}, size, most)
    assert np.array_equal(found["y"], np.arange(count) * 2)
    assert set(seen) == {size} if size else max(seen) <= min(64, most)


def test_items_are_repeated_in_order():
    found = repeated({"x": np.arange(6).reshape(3, 2)}, 7)["x"]
    assert found[:, 0].tolist() == [0, 2, 4, 0, 2, 4, 0]
    assert repeated({"x": np.arange(3)}, 2)["x"].tolist() == [0, 1]
