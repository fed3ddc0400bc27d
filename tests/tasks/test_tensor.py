"""Bare tensors: drawn within their ranges, read from .npz, run."""

import numpy as np
import pytest

from edgesdk.core.errors import UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.task import ModelInfo, is_known, task_of
from edgesdk.core.tensors import TensorSpec

TASK = task_of("tensor")
INFO = ModelInfo(
    model="mine",
    task="tensor",
    inputs=(
        TensorSpec("tokens", (None, 6), dtype="int64", kind="tokens", range=(1, 7)),
        TensorSpec("x", (None, 4), range=(5.0, 6.0)),
    ),
    outputs=(TensorSpec("y", (None, 2)),),
)


def test_drawn_inputs_keep_to_the_declared_ranges():
    arrays = TASK.draw(INFO, 200, 0).arrays
    assert set(np.unique(arrays["tokens"])) == set(range(1, 8))
    assert 5 <= arrays["x"].min() < arrays["x"].max() <= 6


def test_a_range_travels_with_the_manifest_and_is_left_out_where_it_is_not_told():
    told = TensorSpec.from_json(INFO.inputs[0].to_json())
    assert told == INFO.inputs[0]
    assert "range" not in INFO.outputs[0].to_json()
    with pytest.raises(ValueError, match="has range"):
        TensorSpec.from_json({**INFO.inputs[1].to_json(), "range": [6, 5]})


def test_samples_are_read_from_npz(tmp_path):
    tokens, x = np.ones((9, 6), np.int64), np.arange(36, dtype=np.float32).reshape(9, 4)
    np.savez(tmp_path / "in.npz", tokens=tokens, x=x)
    found = TASK.read(INFO, tmp_path / "in.npz", 4, 0)
    assert (len(found), found.total, len(found.hashes)) == (4, 9, 1)
    assert {tuple(row) for row in found.arrays["x"]} <= {tuple(row) for row in x}


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_what_is_no_npz_is_one_sentence(tmp_path, content):
    path = tmp_path / "in.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"in\.npz"):
        TASK.read(INFO, path, 4, 0)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "in.npz", x=np.array([{}], dtype=object))
    with pytest.raises(UsageError, match=r"no \.npz file of plain arrays"):
        TASK.read(INFO, tmp_path / "in.npz", 4, 0)


def test_run_gives_the_outputs_of_the_arrays(make_face_bundle, tmp_path):
    bundle = make_face_bundle(task="tensor", postprocess={}, preprocess={})
    image = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "in.npz", image=image)
    job = RunJob(bundle, (tmp_path / "in.npz",), output=tmp_path / "out.npz")
    found = TASK.run(job)["runs"][0]["outputs"]["embedding"]
    assert found["shape"] == [3, 8]
    with np.load(tmp_path / "out.npz") as kept:
        assert np.allclose(kept["embedding"], found["values"])


def test_a_task_that_nobody_knows_is_served_as_bare_tensors():
    assert task_of("weather-forecast") is TASK
    assert not is_known("weather-forecast")
    assert is_known("tensor")
    assert is_known("face-embedding")
