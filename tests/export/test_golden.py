"""Opening 11: the golden vectors name the stage that differs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgesdk.core.bundle import list_files
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import Preprocess
from edgesdk_export._golden import check_golden
from edgesdk_export._pipeline import verify_bundle
from edgesdk_export._proof import Opened, opened


@pytest.fixture
def bundle(export):
    return export()


def stages(bundle):
    with opened(bundle) as here:
        assert isinstance(here, Opened)
        return check_golden(bundle, here.run)


def with_preprocess(bundle, **changes):
    return replace(bundle, preprocess={"image": replace(bundle.preprocess["image"], **changes)})


def rewrite(bundle, name, change):
    path = bundle.path / "golden" / name
    array = np.frombuffer(path.read_bytes(), np.float32).copy()
    path.write_bytes(change(array).astype(np.float32).tobytes())


def test_a_sound_bundle_passes_every_stage(bundle):
    assert stages(bundle) == (
        {"align": "pass", "pre": "pass", "infer": "pass", "post": "pass"},
        [],
    )


@pytest.mark.parametrize(
    "change",
    [
        {"color": "BGR"},
        {"mean": (0.0, 0.0, 0.0)},
        {"std": (128.0, 128.0, 128.0)},
        {"layout": "NHWC"},
        {"size": (20, 20)},
    ],
)
def test_other_preprocessing_fails_in_its_own_stage_alone(bundle, change):
    found, reasons = stages(with_preprocess(bundle, **change))
    assert [stage for stage, verdict in found.items() if verdict == "fail"] == ["pre"]
    assert all(
        reason.startswith("golden stage 'pre' (pre-processing): input 'image'")
        for reason in reasons
    )


def test_other_outputs_fail_in_infer(bundle):
    rewrite(bundle, "embedding.f32", lambda a: a[::-1])
    found, reasons = stages(bundle)
    assert found["infer"] == "fail"
    assert found["pre"] == "pass"
    assert any("'infer'" in reason for reason in reasons)


def test_another_alignment_fails_in_align(bundle):
    index = bundle.path / "golden" / "index.json"
    data = json.loads(index.read_text())
    data["align"][0]["points"][0][0] += 9
    index.write_text(json.dumps(data))
    found, _ = stages(bundle)
    assert [stage for stage, verdict in found.items() if verdict == "fail"] == ["align"]


def test_a_verify_of_swapped_colours_fails_and_says_where(bundle):
    found = verify_bundle(with_preprocess(bundle, color="BGR"))
    assert found.verdict == "fail"
    assert found.reasons[0].startswith("golden stage 'pre'")


def test_files_are_plain_and_small(bundle):
    folder = bundle.path / "golden"
    index = json.loads((folder / "index.json").read_text())
    entries = [index["pre"][0]["pictures"], index["pre"][0]["tensor"]]
    entries += [*index["infer"]["inputs"].values(), *index["infer"]["outputs"].values()]
    entries += [e for case in index["align"] for e in (case["picture"], case["crop"])]
    for entry in entries:
        size = int(np.prod(entry["shape"])) * np.dtype(entry["dtype"]).itemsize
        assert (folder / entry["file"]).stat().st_size == size
    assert sum(f["bytes"] for n, f in bundle.files.items() if n.startswith("golden/")) < 1_000_000


@pytest.mark.parametrize("side", [96, 112, 224])
def test_large_inputs_keep_below_a_megabyte(tmp_path, make_face_bundle, side):
    from edgesdk.core.target import Tolerance
    from edgesdk.core.tensors import TensorSpec
    from edgesdk_export._golden import write_golden
    from edgesdk_export._source import source_of

    source = make_face_bundle()
    image = TensorSpec("image", (None, 3, side, side), layout="NCHW", kind="image")
    large = replace(source, inputs=(image,), preprocess={"image": Preprocess((side, side))})

    def run(arrays):
        return {"embedding": arrays["image"].mean((2, 3))}

    write_golden(tmp_path, source_of(large), run, Tolerance(atol=1e-5))
    assert sum(f["bytes"] for f in list_files(tmp_path).values()) < 1_500_000
    if side <= 112:
        assert sum(f["bytes"] for f in list_files(tmp_path).values()) < 1_000_000


@pytest.mark.parametrize("text", ["[]", "{}", "no json", '{"infer": {"tolerance": {"odd": 1}}}'])
def test_a_damaged_index_is_one_sentence(bundle, text):
    (bundle.path / "golden" / "index.json").write_text(text)
    with pytest.raises(UsageError, match="golden"):
        stages(bundle)


def test_the_index_cannot_point_out_of_its_folder(bundle):
    index = bundle.path / "golden" / "index.json"
    data = json.loads(index.read_text())
    data["infer"]["inputs"]["image"]["file"] = "../../../../etc/passwd"
    index.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="are damaged"):
        stages(bundle)
