import numpy as np
import pytest

from edgesdk.core.target import Tolerance
from edgesdk_export._rounding import MOST, TIMES, allowing, own_rounding

ITEMS = {"image": np.random.default_rng(0).normal(size=(4, 100)).astype(np.float32)}


def steep(times):
    return lambda arrays: {"out": np.sin(arrays["image"] * np.float32(times))}


def test_a_calm_source_keeps_the_tolerance_of_its_target():
    limit = Tolerance(atol=1e-5, rtol=1e-3)
    assert allowing(limit, steep(1), ITEMS) == (limit, ())


def test_a_source_that_rounding_moves_is_allowed_what_moves_it():
    own = own_rounding(steep(300), ITEMS)
    found, (said,) = allowing(Tolerance(atol=1e-5, rtol=1e-3), steep(300), ITEMS)
    assert found == Tolerance(atol=pytest.approx(TIMES * own), rtol=1e-3)
    assert 1e-5 < found.atol < MOST
    assert "not 1e-05: rounding its inputs otherwise moves the source itself" in said


def test_a_source_without_firm_answers_is_allowed_no_more_than_a_thousandth():
    assert allowing(Tolerance(atol=1e-5), steep(1e7), ITEMS)[0].atol == MOST


def test_other_tolerances_and_whole_numbers_stay():
    limit = Tolerance(cosine_p1=0.97)
    assert allowing(limit, steep(1e7), ITEMS) == (limit, ())
    tokens = {"tokens": np.arange(8).reshape(2, 4)}
    assert own_rounding(lambda arrays: {"out": arrays["tokens"] * 1e9}, tokens) == 0
