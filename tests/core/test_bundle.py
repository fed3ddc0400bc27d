"""A bundle is whole and unaltered, or it is refused in one sentence."""

import json
import shutil
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk.core.bundle import (
    MANIFEST,
    Bundle,
    bundle_name,
    parse_manifest,
    read_bundle,
    read_checkpoint,
    seal,
)
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    """A copy of the shipped bundle that a test may spoil."""
    folder = tmp_path / "bridge-face-onnx-fp32"
    shutil.copytree(shipped_bundle("bridge-face"), folder)
    return read_bundle(folder)


def rewrite(folder, **changes):
    """Edit the manifest and give it a fitting hash, as a careful forger would."""
    data = json.loads((folder / MANIFEST).read_text())
    data.pop("manifest_sha256")
    data |= changes
    data = {k: v for k, v in data.items() if v != "remove"}
    data["manifest_sha256"] = sha256_bytes(canonical(data))
    (folder / MANIFEST).write_text(json.dumps(data))


def test_reading_gives_back_what_was_sealed(bundle):
    assert read_bundle(bundle.path) == bundle == seal(bundle)
    assert bundle.name == bundle.path.name
    assert bundle.bytes == bundle.entry_path.stat().st_size
    assert len(bundle.sha256) == 64


def test_names_leave_out_an_absent_profile():
    assert bundle_name("a", "onnx", "fp32") == "a-onnx-fp32"
    assert bundle_name("a", "tensorrt", "int8", "orin") == "a-tensorrt-int8-orin"


def test_one_flipped_byte_is_refused_with_both_hashes(bundle):
    content = bytearray(bundle.entry_path.read_bytes())
    content[100] ^= 1
    bundle.entry_path.write_bytes(content)
    with pytest.raises(EdgeSdkError, match=r"was altered: expected SHA-256 \w{64}, found \w{64}"):
        read_bundle(bundle.path)


def test_an_edited_threshold_is_refused(bundle):
    text = (bundle.path / MANIFEST).read_text()
    (bundle.path / MANIFEST).write_text(text.replace('"far_1e-2"', '"far_1e-3x"', 1))
    with pytest.raises(EdgeSdkError, match="was altered after the export"):
        read_bundle(bundle.path)


def test_a_missing_file_is_named(bundle):
    (bundle.path / "verify.json").unlink()
    with pytest.raises(EdgeSdkError, match=r"lacks its file verify\.json"):
        read_bundle(bundle.path)


def test_a_half_written_folder_is_no_bundle(bundle):
    (bundle.path / MANIFEST).unlink()
    with pytest.raises(UsageError, match="was never finished"):
        read_bundle(bundle.path)


def test_a_rejected_bundle_opens_only_when_forced(bundle):
    rejected = bundle.path.rename(bundle.path.with_name("x.rejected"))
    with pytest.raises(EdgeSdkError, match="was rejected by its verification"):
        read_bundle(rejected)
    assert read_bundle(rejected, allow_rejected=True).model == "bridge-face"


def test_a_newer_schema_asks_for_an_upgrade(bundle):
    rewrite(bundle.path, schema_version=99)
    with pytest.raises(UsageError, match=r"has schema 99.*pip install -U edgesdk"):
        read_bundle(bundle.path)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd"])
def test_a_file_outside_the_folder_is_refused(bundle, name):
    rewrite(bundle.path, files={name: {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(UsageError, match="outside itself"):
        read_bundle(bundle.path)


def test_an_entry_that_is_not_listed_is_refused(bundle):
    rewrite(bundle.path, entry="other.onnx")
    with pytest.raises(UsageError, match="names an entry it does not hold"):
        read_bundle(bundle.path)


@pytest.mark.parametrize("field", ["inputs", "preprocess", "model", "verify"])
def test_a_missing_field_is_refused(bundle, field):
    rewrite(bundle.path, **{field: "remove"})
    with pytest.raises(UsageError, match="lacks or has unknown fields"):
        read_bundle(bundle.path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema_version": "1"}']
)
def test_a_garbage_manifest_is_refused(bundle, content):
    (bundle.path / MANIFEST).write_bytes(content)
    with pytest.raises(UsageError):
        read_bundle(bundle.path)


def test_what_is_no_folder_is_refused(tmp_path):
    for path in (tmp_path / "nothing", tmp_path / "file"):
        (tmp_path / "file").write_text("x")
        with pytest.raises(UsageError, match="is not a folder"):
            read_bundle(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(sorted(Bundle.__slots__)), value=JSON)
def test_any_value_of_any_field_parses_or_is_refused_in_a_sentence(tmp_path, key, value):
    data = json.loads((shipped_bundle("bridge-face") / MANIFEST).read_text())
    data.pop("manifest_sha256")
    data[key] = value
    with suppress(ValueError):
        data["manifest_sha256"] = sha256_bytes(canonical(data))
    try:
        said = parse_manifest(data, tmp_path).path
    except EdgeSdkError as error:
        said = error
    assert str(tmp_path) in str(said)


def test_a_checkpoint_with_altered_weights_is_refused(tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(shipped_checkpoint("bridge-face"), folder)
    assert read_checkpoint(folder).cost["parameters"] == 213_696
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(EdgeSdkError, match="was altered after training"):
        read_checkpoint(folder)
    weights.unlink()
    with pytest.raises(UsageError, match=r"lacks model\.safetensors"):
        read_checkpoint(folder)


@pytest.mark.parametrize("content", ["{}", "[]", '{"schema_version": 2}', "x"])
def test_garbage_is_no_checkpoint(tmp_path, content):
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(UsageError):
        read_checkpoint(tmp_path)


def test_a_bundle_sealed_by_hand_need_not_be_judged(make_face_bundle):
    """Whoever brings a file of their own has no verdict to tell."""
    bundle = make_face_bundle(verify={})
    assert read_bundle(bundle.path).verify == {}
    with pytest.raises(UsageError, match=r"verify\.level 'heaven'"):
        read_bundle(make_face_bundle("b", verify={"level": "heaven"}).path)
