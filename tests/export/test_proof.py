import pytest

from edgesdk.core.verify import Verification
from edgesdk_export._proof import settle


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
