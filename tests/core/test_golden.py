"""Golden vectors are read from files of the bundle only, and say what is wrong."""

import json
import shutil

import pytest

from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.errors import UsageError
from edgesdk.core.golden import read_golden
from edgesdk.core.shipped import shipped_bundle


@pytest.fixture
def bundle(tmp_path):
    shutil.copytree(shipped_bundle("bridge-face"), tmp_path / "b")
    return read_bundle(tmp_path / "b")


def spoil(bundle, change):
    path = bundle.path / "golden" / "index.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return seal(bundle)


def test_the_shipped_vectors_hold_pictures_tensors_and_outputs(bundle):
    golden = read_golden(bundle)
    assert golden.pictures
    assert golden.inputs["image"].shape[1:] == (3, 16, 16)
    assert golden.outputs["embedding"].shape[1] == 128
    assert golden.reasons(golden.outputs) == []


def test_wrong_outputs_are_named(bundle):
    golden = read_golden(bundle)
    assert golden.reasons({"embedding": golden.outputs["embedding"] + 0.01})


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["infer"]["inputs"]["image"].update(file="../../secret"),
        lambda d: d["infer"]["inputs"]["image"].update(shape=[1, 2]),
        lambda d: d["infer"]["outputs"]["embedding"].update(dtype="O"),
        lambda d: d.pop("infer"),
        lambda d: d["infer"].update(tolerance={"nothing": 1}),
    ],
)
def test_damaged_vectors_are_refused_in_a_sentence(bundle, change):
    with pytest.raises(UsageError, match=r"golden vectors of .* are damaged"):
        read_golden(spoil(bundle, change))


def test_a_bundle_without_vectors_says_so(bundle):
    shutil.rmtree(bundle.path / "golden")
    with pytest.raises(UsageError, match="golden index"):
        read_golden(seal(bundle))
