"""Made-up files are read, or refused in a sentence; tools/fuzz.py runs many more of them."""

import json
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError
from tests.fuzz.cases import CASES, NEEDS, forget
from tests.fuzz.choices import Choices, changed_bytes, changed_json
from tests.fuzz.engine import LONGEST

FEW, MANY = 25, 400


@pytest.fixture(scope="module", autouse=True)
def _folder():
    yield
    forget()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sorted(CASES))
@settings(max_examples=FEW, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=LONGEST))
def test_a_file_is_read_or_refused_in_a_sentence(name, data):
    if not plugins.installed(NEEDS.get(name, "numpy")):
        pytest.skip(f"needs {NEEDS[name]}")
    with suppress(EdgeSdkError):
        CASES[name](Choices(data))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["chance", "atheris"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_many_files_are_read_or_refused(name, engine):
    for module in (NEEDS.get(name, "numpy"), *(["atheris"] * (engine == "atheris"))):
        if not plugins.installed(module):
            pytest.skip(f"needs {module}")
    words = [sys.executable, "-m", "tests.fuzz.engine", name, str(MANY), "1", engine]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["faults"] == {}
    assert found["cases"] == found["read"] + found["refused"] == MANY


def test_equal_bytes_make_equal_files():
    document = {"a": [1, {"b": "c"}], "d": None}
    for data in (b"", b"\x01\x02\x03" * 9, bytes(range(64))):
        one, two = (changed_json(Choices(data), document) for _ in range(2))
        assert repr(one) == repr(two)
        assert changed_bytes(Choices(data), b"seed") == changed_bytes(Choices(data), b"seed")
    assert document == {"a": [1, {"b": "c"}], "d": None}
