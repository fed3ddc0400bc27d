import pytest

from edgesdk.core.errors import LicenceError
from edgesdk.core.licence import allows_commercial, complete, require_commercial


@pytest.mark.parametrize("text", ["Apache-2.0", "MIT", "CC0-1.0 (face crops)", "MIT, see NOTICE"])
def test_free_licences(text):
    assert allows_commercial(text)


@pytest.mark.parametrize("text", ["research-only", "CC-BY-NC-4.0", "unknown", "", "mit-like"])
def test_anything_else_is_not_free(text):
    assert not allows_commercial(text)


def test_both_parts_are_always_there():
    assert complete({}) == {"weights": "unknown", "data": "unknown"}
    assert complete({"weights": "MIT", "data": ""}) == {"weights": "MIT", "data": "unknown"}


def test_free_weights_on_research_data_are_refused():
    with pytest.raises(LicenceError, match="licence of its data is 'research-only'") as caught:
        require_commercial({"weights": "MIT", "data": "research-only"}, "bridge-face")
    assert caught.value.exit_code == 6


def test_unknown_is_refused_and_free_passes():
    with pytest.raises(LicenceError, match="weights is 'unknown'"):
        require_commercial({}, "m")
    require_commercial({"weights": "MIT", "data": "CC0-1.0"}, "m")
