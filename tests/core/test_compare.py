import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgesdk.core.compare import EQUAL_DB, cosine, judge, measure
from edgesdk.core.target import Tolerance

ARRAYS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=6),
    elements=st.floats(-100, 100, width=32),
)


def unit(rows, dim=16, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@given(ARRAYS)
def test_equal_arrays_are_equal_in_every_measure(array):
    found = measure(array, array.copy())
    assert found.max_abs == 0
    assert found.snr_db == EQUAL_DB
    assert found.cosine_p1 == pytest.approx(1, abs=1e-9)
    assert judge("x", array, array, Tolerance(atol=0.0, cosine_p1=0.999, snr_db=100))[1] == []


@given(ARRAYS, st.integers(0, 2**32 - 1))
def test_measures_keep_to_their_ranges(array, seed):
    other = np.random.default_rng(seed).permutation(array.ravel()).reshape(array.shape)
    found = measure(array, other)
    assert 0 <= found.max_abs <= 200
    assert -1 <= found.cosine_p1 <= found.cosine_p50 <= 1
    assert found.items == len(array)


def test_known_difference():
    reference = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    found = measure(reference, reference + np.array([[0.0, 0.5], [0.0, 0.0]], np.float32))
    assert found.max_abs == pytest.approx(0.5)
    assert found.max_reference == 4
    assert found.snr_db == pytest.approx(10 * np.log10(29 / 0.25))


def test_cosine_of_zero_rows():
    zero, one = np.zeros((1, 3)), np.ones((1, 3))
    assert cosine(zero, zero) == 1
    assert cosine(zero, one) == 0


def test_one_bad_item_is_seen_by_the_first_percentile():
    reference = unit(64)
    found = reference.copy()
    found[5] = -found[5]
    distance, reasons = judge("embedding", reference, found, Tolerance(cosine_p1=0.97))
    assert distance.cosine_p50 == pytest.approx(1)
    assert reasons == [f"embedding: cosine p1 {distance.cosine_p1:.4f}, at least 0.97 wanted"]


@pytest.mark.parametrize(
    ("tolerance", "words"),
    [
        (Tolerance(atol=1e-3), "differ by more than 0.001"),
        (Tolerance(relative_to_max=1e-2), "largest difference"),
        (Tolerance(snr_db=60), "SNR"),
    ],
)
def test_each_rule_gives_its_reason(tolerance, words):
    reference = unit(8)
    noisy = reference + np.float32(0.02)
    assert words in judge("embedding", reference, noisy, tolerance)[1][0]
    assert judge("embedding", reference, reference, tolerance)[1] == []


def test_shape_and_nan_are_reasons_not_exceptions():
    reference = unit(4)
    assert judge("e", reference, reference[:2], Tolerance())[1] == [
        "e has shape (2, 16), the source has (4, 16)"
    ]
    broken = reference.copy()
    broken[0, 0] = np.nan
    assert judge("e", reference, broken, Tolerance()) == (None, ["e holds NaN or infinity"])
    assert judge("e", broken, reference, Tolerance(cosine_p1=0.9)) == (
        None,
        ["e of the source itself holds NaN or infinity"],
    )


def test_single_numbers_are_taken_as_one_vector_for_they_have_no_direction():
    want = np.array([[4.0], [-3.0], [1e-4]])
    assert measure(want, want + 2e-4).cosine_p1 > 0.999
    assert measure(want, -want).cosine_p1 == pytest.approx(-1)


def test_large_outputs_are_rounded_by_more():
    reference = 30 * unit(8)
    noisy = reference + np.float32(5e-5)
    limit = Tolerance(atol=1e-5, rtol=1e-7)
    assert judge("logits", reference, noisy, limit)[1] == []
    assert judge("logits", reference / 30, noisy / 30 + np.float32(5e-5), limit)[1]
