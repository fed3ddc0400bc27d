"""Sources: each kind is found like a plug-in and answers the same questions."""

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle, read_checkpoint
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint
from edgesdk.core.source import FORMS, ONNX, TORCH
from edgesdk_export._source import own_sha256, source_of

# What bundles that were shared or shipped before hold; a change would part them from their source.
ROOT = "450e66bbbd18d8d48ac647ccf54e003dc08f92c7b1bddad9f3db0fc77f2a3aa0"
OWN = {
    "checkpoint": "e46b3aa8dc2912ce4e7a853dcd23d5d1144a16e633de1d86e2e53fb7224baf07",
    "bundle": "ed253a5e02e40bed5d1a6b5bbe114528b0335d635384a929c9ea35512f4e458e",
}


def test_every_kind_is_a_plug_in():
    assert {"checkpoint", "bundle"} <= set(plugins.names(plugins.SOURCES))
    for _, kind in plugins.every(plugins.SOURCES):
        assert isinstance(kind.holds, type)


def test_one_kind_opens_a_folder(source):
    opened = [n for n, kind in plugins.every(plugins.SOURCES) if kind.opens(source.path)]
    assert opened == ["bundle"]
    folder = shipped_checkpoint("bridge-face")
    opened = [n for n, kind in plugins.every(plugins.SOURCES) if kind.opens(folder)]
    assert opened == ["checkpoint"]


def test_the_hashes_of_the_shipped_model_stay_what_they_were():
    held = {
        "checkpoint": source_of(read_checkpoint(shipped_checkpoint("bridge-face"))),
        "bundle": source_of(read_bundle(shipped_bundle("bridge-face"))),
    }
    assert {source.sha256 for source in held.values()} == {ROOT}
    assert {name: own_sha256(source) for name, source in held.items()} == OWN


def test_a_bundle_is_had_as_onnx_alone(source):
    held = source_of(source)
    assert [held.lacks(form) is None for form in FORMS] == [True, False]
    assert "start from the checkpoint" in held.lacks(TORCH)


@pytest.mark.torch
def test_a_checkpoint_is_had_in_every_form(checkpoint):
    held = source_of(checkpoint)
    assert not any(held.lacks(form) for form in FORMS)
    assert held.specs()[0][0].shape[0] is None


def test_a_coded_bundle_is_had_in_no_form(export):
    held = source_of(export(precision="int8"))
    assert "start from a checkpoint" in held.lacks(ONNX)


def test_a_source_is_its_own_source(source):
    held = source_of(source)
    assert source_of(held) is held
