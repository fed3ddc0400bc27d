"""The same numbers on ARM64 kernels: exported files, run by edgesdk itself under qemu.

`make phones` prepares what this needs. Numbers only: qemu says nothing about speed.
"""

import shutil
from dataclasses import replace

import numpy as np
import pytest

import edgesdk
from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.compare import cosine
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.golden import read_golden
from edgesdk.core.shipped import shipped_bundle
from tools import arm64

pytestmark = pytest.mark.slow

FILES = {
    "onnx fp32": None,
    "onnx fp16": ("onnx", "fp16"),
    "onnx int8": ("onnx", "int8"),
    "tflite fp32": ("tflite", "fp32"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return name -> bundle folder of the shipped model's exports."""
    why = arm64.missing()
    if why is not None:
        pytest.skip(why)
    for module in ("torch", "onnx", "litert_torch"):
        pytest.importorskip(module, reason="exports the bundles")
    out, made = tmp_path_factory.mktemp("bundles"), {}
    for name, how in FILES.items():
        if how is None:
            made[name] = shipped_bundle("bridge-face")
        else:
            bundle = edgesdk.export("bridge-face", target=how[0], precision=how[1], output_dir=out)
            made[name] = bundle.path
    return made


@pytest.fixture(scope="module")
def here(folders):
    """Return name -> [N, D] of this machine."""
    return {name: answer(read_bundle(folder)) for name, folder in folders.items()}


def answer(bundle):
    ((name, prepare),) = bundle.preprocess.items()
    with edgesdk.load(bundle) as session:
        outputs = session.run({name: prepare(read_golden(bundle).pictures)})
    return next(iter(outputs.values()))


@pytest.fixture(scope="module", params=arm64.CPUS)
def there(request, folders):
    """Return name -> [N, D] of an ARM64 CPU."""
    found, versions, _ = arm64.answers(list(folders.values()), request.param)
    assert versions["machine"] == "aarch64"
    assert set(versions) == {"machine", "ort", "litert"}
    return dict(zip(folders, found, strict=True))


def test_arm64_gives_the_numbers_of_this_machine(here, there):
    assert all(len(rows) >= 4 and np.isfinite(rows).all() for rows in there.values())
    assert np.abs(there["onnx fp32"] - here["onnx fp32"]).max() <= 1e-5
    assert cosine(there["onnx int8"], here["onnx int8"]).min() >= 0.99
    # On a CPU with half-precision arithmetic this drift is real; here fp16 is computed in fp32.
    assert cosine(there["onnx fp16"], here["onnx fp32"]).min() >= 0.999
    assert np.abs(there["onnx fp16"] - here["onnx fp32"]).max() <= 1e-2
    span = np.ptp(here["tflite fp32"])
    assert np.abs(there["tflite fp32"] - here["tflite fp32"]).max() <= 1e-5 * span


def test_the_golden_vectors_pass_on_arm64(folders, there):
    for name, folder in folders.items():
        golden = read_golden(read_bundle(folder))
        (output,) = golden.outputs
        assert golden.reasons({output: there[name]}) == [], name


def test_swapped_preprocessing_is_named_by_its_stage_on_arm64(folders, tmp_path):
    swaps = {"onnx fp32": {"color": "BGR"}, "tflite fp32": {"mean": (123.7, 116.3, 103.5)}}
    swapped = [shutil.copytree(folders[name], tmp_path / name) for name in swaps]
    for folder, how in zip(swapped, swaps.values(), strict=True):
        bundle = read_bundle(folder)
        prepare = {name: replace(p, **how) for name, p in bundle.preprocess.items()}
        seal(replace(bundle, preprocess=prepare))
    _, _, golden = arm64.answers(swapped, arm64.CPUS[0])
    right = {"align": "pass", "infer": "pass", "post": "pass"}
    assert golden == [{**right, "pre": "fail"}] * len(swaps)


def test_a_bundle_that_cannot_run_there_is_an_error(folders, tmp_path):
    with pytest.raises(EdgeSdkError, match="exit code 1"):
        arm64.answers([tmp_path], arm64.CPUS[0])
