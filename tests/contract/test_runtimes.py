"""Every runtime that can run on a build machine, on a real artefact of the shipped student."""

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle, read_checkpoint
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint
from edgesdk.testing.runtime import RuntimeContract
from edgesdk_export._pipeline import ExportOptions, export_bundle

COVERED = {"ort", "litert", "coreml", "openvino", "executorch", "reference", "torch"}
# Opened by tests/runtimes with fakes: no build machine has a GPU.
FAKED = {"tensorrt"}


def test_every_runtime_is_covered():
    local = {n for n, p in plugins.every(plugins.RUNTIMES) if p.kind != "remote"}
    assert local == COVERED | FAKED


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Return a function that exports the shipped student once per target and precision."""
    made = {}

    def export(target, precision="fp32"):
        if (target, precision) not in made:
            exporter = plugins.load(plugins.EXPORTERS, target)
            if plugins.missing(exporter):
                pytest.skip(f"{target} needs {', '.join(plugins.missing(exporter))}")
            onnx = "onnx" in exporter.accepts
            home = (shipped_bundle if onnx else shipped_checkpoint)("bridge-face")
            source = (read_bundle if onnx else read_checkpoint)(home)
            out = tmp_path_factory.mktemp(f"{target}-{precision}")
            made[target, precision] = export_bundle(source, ExportOptions(target, precision), out)
        return made[target, precision]

    return export


class TestOrt(RuntimeContract):
    runtime = "ort"

    @pytest.fixture
    def bundle(self):
        return read_bundle(shipped_bundle("bridge-face"))


class TestOrtInt8(TestOrt):
    # An activation that rounds the other way moves the row by a step.
    row_tolerance = 0.02

    @pytest.fixture
    def bundle(self, exported):
        return exported("onnx", "int8")


class TestReference(RuntimeContract):
    runtime = "reference"

    @pytest.fixture
    def bundle(self, exported):
        return exported("reference")


class TestOpenvino(RuntimeContract):
    runtime = "openvino"
    # Another batch size may take another kernel, which adds in another order.
    row_tolerance = 1e-5

    @pytest.fixture
    def bundle(self, exported):
        return exported("openvino")


class TestOpenvinoInt8(TestOpenvino):
    row_tolerance = 0.02

    @pytest.fixture
    def bundle(self, exported):
        return exported("openvino", "int8")


@pytest.mark.slow
class TestExecutorch(RuntimeContract):
    runtime = "executorch"
    # Another batch size may take another kernel, which adds in another order.
    row_tolerance = 1e-5

    @pytest.fixture
    def bundle(self, exported):
        return exported("executorch")


@pytest.mark.slow
class TestExecutorchInt8(TestExecutorch):
    row_tolerance = 0.02

    @pytest.fixture
    def bundle(self, exported):
        return exported("executorch", "int8")


@pytest.mark.slow
class TestLitert(RuntimeContract):
    runtime = "litert"

    @pytest.fixture
    def bundle(self, exported):
        return exported("tflite")


@pytest.mark.slow
class TestLitertInt8(RuntimeContract):
    runtime = "litert"
    row_tolerance = 0.02

    @pytest.fixture
    def bundle(self, exported):
        return exported("tflite", "int8")


@pytest.mark.slow
class TestCoreMl(RuntimeContract):
    runtime = "coreml"

    @pytest.fixture
    def bundle(self, exported):
        return exported("coreml")


@pytest.mark.slow
class TestCoreMlFp16(TestCoreMl):
    @pytest.fixture
    def bundle(self, exported):
        return exported("coreml", "fp16")


class TestTorch(RuntimeContract):
    """A checkpoint has no golden vectors of its own: those of the ONNX bundle serve."""

    runtime = "torch"

    @pytest.fixture
    def bundle(self):
        pytest.importorskip("torch", reason="needs the train extra")
        from edgesdk_runtimes.torch import as_bundle

        return as_bundle(read_checkpoint(shipped_checkpoint("bridge-face")))

    @pytest.fixture
    def golden(self):
        from edgesdk.core.golden import read_golden

        return read_golden(read_bundle(shipped_bundle("bridge-face")))


@pytest.mark.device("cuda")
class TestOrtOnGpu(TestOrt):
    device = "cuda:0"
    # Another batch size may take another kernel, which adds in another order.
    row_tolerance = 1e-5


@pytest.mark.device("cuda")
class TestTorchOnGpu(TestTorch):
    device = "cuda:0"
    row_tolerance = 1e-5
