"""ONNX Runtime's GPU build, as far as a machine without a GPU can tell."""

import os

import onnxruntime
import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.cuda import Gpu
from edgesdk.core.errors import UnsupportedError
from edgesdk.core.shipped import shipped_bundle
from edgesdk_runtimes import _open, ort


@pytest.fixture
def gpu_build(monkeypatch):
    """Make the installed ONNX Runtime look like its GPU build."""
    providers = [ort.CUDA, ort.CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)


def test_a_gpu_build_without_a_gpu_offers_the_cpu_alone(gpu_build, monkeypatch):
    monkeypatch.setattr(ort, "probe", lambda: (None, "no CUDA driver"))
    assert ort.PLUGIN.devices() == ("cpu",)
    monkeypatch.setattr(ort, "probe", lambda: (Gpu("SM90", "card", "13.0"), ""))
    assert ort.PLUGIN.devices() == ("cpu", "cuda:0")


def test_a_cpu_build_on_a_gpu_offers_the_cpu_alone(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [ort.CPU])
    monkeypatch.setattr(ort, "probe", lambda: (Gpu("SM90", "card", "13.0"), ""))
    with pytest.raises(UnsupportedError, match="'cuda:0' was asked, runtime 'ort' finds cpu here"):
        _open.open_session(read_bundle(shipped_bundle("bridge-face")), device="cuda:0")


def test_the_gpu_gets_exact_products_and_loaded_libraries(monkeypatch, capfd):
    asked = []

    def session(path, options, providers, enable_fallback):
        assert not enable_fallback
        asked.append(providers)
        return type("Session", (), {"get_providers": lambda self: [ort.CUDA]})()

    def preload():
        asked.append("libraries")
        os.write(1, b"Failed to load libcublasLt.so")

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    ort.PLUGIN.open(read_bundle(shipped_bundle("bridge-face")), "cuda:1", 1)
    assert asked[0] == "libraries"
    ((provider, options),) = asked[1]
    assert (provider, options["device_id"], options["use_tf32"]) == (ort.CUDA, "1", "0")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("providers", "says"),
    [([ort.CUDA, ort.CPU], "onnxruntime-gpu 2"), ([ort.CPU], "onnxruntime 1")],
)
def test_of_two_distributions_the_imported_one_is_named(monkeypatch, providers, says):
    both = {"onnxruntime": "onnxruntime 1", "onnxruntime-gpu": "onnxruntime-gpu 2"}
    monkeypatch.setattr(ort, "distribution_version", lambda name: both.get(name, ""))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert ort.PLUGIN.version() == says
