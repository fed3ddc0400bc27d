"""A bundle whose pre-processing was swapped is named by its stage, on the command line.

The app's core, the page and the ARM64 kernels have the same test in their own suites.
"""

import shutil
from dataclasses import replace

import pytest

import edgesdk
from edgesdk.cli import main
from edgesdk.core.bundle import read_bundle, seal
from edgesdk.core.shipped import shipped_bundle

SWAPS = {"colour order": {"color": "BGR"}, "mean": {"mean": (123.7, 116.3, 103.5)}}


@pytest.mark.parametrize("what", SWAPS)
@pytest.mark.parametrize("target", ["onnx", pytest.param("tflite", marks=pytest.mark.slow)])
def test_verify_names_the_stage_of_swapped_preprocessing(target, what, tmp_path, capsys):
    folder = tmp_path / f"bridge-face-{target}-fp32"
    if target == "onnx":
        shutil.copytree(shipped_bundle("bridge-face"), folder)
    else:
        for module in ("torch", "litert_torch", "ai_edge_litert"):
            pytest.importorskip(module, reason="exports the bundle")
        folder = edgesdk.export("bridge-face", target=target, output_dir=tmp_path).path
    bundle = read_bundle(folder)
    assert main(["verify", str(folder)]) == 0
    capsys.readouterr()
    swapped = {name: replace(p, **SWAPS[what]) for name, p in bundle.preprocess.items()}
    seal(replace(bundle, preprocess=swapped))
    assert main(["verify", str(folder)]) == 4
    told = "".join(capsys.readouterr())
    assert "golden stage 'pre' (pre-processing): input 'image' is off by" in told
    assert not any(f"stage '{other}'" in told for other in ("align", "infer", "post"))
