"""What a file may put into a dataclass, and manifests that somebody made up."""

import json

import pytest

from edgesdk.core.bundle import read_bundle, read_checkpoint
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import canonical, read_json, sha256_bytes
from edgesdk.core.typed import fits
from edgesdk.face import FacePipeline

VALUES = [None, 0, -1, 1.5, True, "x/../y", [], {}, [1], {"a": 1}, [None], "\ud800", 10**30]


def test_values_fit_their_annotations():
    assert all([fits(1, float), fits(None, int | None), fits((1, 2), tuple[int, ...])])
    assert not any([fits(True, int), fits(float("nan"), float), fits("\ud800", str)])
    assert not any([fits((1,), tuple[int, int]), fits([1], tuple[int, ...]), fits(2**60, int)])


def places(data, path=()):
    """Yield the path of every value in nested dictionaries and lists."""
    if path:
        yield path
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def changed(data, path, value):
    copy = json.loads(json.dumps(data))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if value == "absent":
        del at[path[-1]]
    else:
        at[path[-1]] = value
    copy.pop("manifest_sha256", None)
    return copy | {"manifest_sha256": sha256_bytes(canonical(copy))}


def test_no_manifest_breaks_more_than_itself(make_face_bundle):
    """A manifest whose hash is right, but whose values nobody's export wrote."""
    path = make_face_bundle().path
    manifest = path / "bundle.json"
    data = json.loads(manifest.read_text())
    opened = 0
    for place in places(data):
        for value in [*VALUES, "absent"]:
            manifest.write_text(json.dumps(changed(data, place, value)))
            try:
                bundle = read_bundle(path)
                assert bundle.name
                assert bundle.bytes >= 0
                if place[0] in ("inputs", "outputs", "preprocess", "task", "postprocess"):
                    with FacePipeline(bundle):
                        opened += 1
            except EdgeSdkError:
                continue
    assert opened  # such as another kind of tensor, which is only a word


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "../x"), ("model", "/x"), ("target", "a/b"), ("profile", "\\x"), ("proxy", "../x"),
     ("model", ".hidden")],
)  # fmt: skip
def test_a_name_cannot_lead_out_of_a_folder(make_face_bundle, field, value):
    path = make_face_bundle().path
    data = json.loads((path / "bundle.json").read_text())
    (path / "bundle.json").write_text(json.dumps(changed(data, (field,), value)))
    with pytest.raises(UsageError, match="unknown fields"):
        read_bundle(path)


@pytest.mark.parametrize("name", ["../x.onnx", "/etc/passwd", "..\\x", "C:x"])
def test_a_file_cannot_lie_outside(make_face_bundle, name):
    path = make_face_bundle().path
    data = json.loads((path / "bundle.json").read_text())
    files = data["files"] | {name: {"sha256": "", "bytes": 0}}
    (path / "bundle.json").write_text(json.dumps(changed(data, ("files",), files)))
    with pytest.raises(UsageError, match="outside itself"):
        read_bundle(path)


def test_deep_nesting_and_huge_files_are_one_sentence(make_face_bundle, tmp_path):
    path = make_face_bundle().path
    data = json.loads((path / "bundle.json").read_text())
    deep = json.dumps(data)[:-1] + ', "x": ' + "[" * 900 + "]" * 900 + "}"
    (path / "bundle.json").write_text(deep)
    with pytest.raises(UsageError, match="nested deeper than 32"):
        read_bundle(path)
    with (tmp_path / "huge.json").open("wb") as stream:
        stream.truncate(2**26 + 1)
    with pytest.raises(UsageError, match="are allowed"):
        read_json(tmp_path / "huge.json", "file")


def test_a_checkpoint_of_a_wrong_type_is_refused(tmp_path):
    (tmp_path / "meta.json").write_text('{"schema_version": 1, "preprocess": {}, "model": 3}')
    with pytest.raises(UsageError, match="is no checkpoint"):
        read_checkpoint(tmp_path)
