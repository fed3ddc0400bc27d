"""Every exporter of the project keeps the public contract, with its real converter."""

import pytest

from edgesdk.core import plugins
from edgesdk.core.target import read_target
from edgesdk.testing.exporter import ExporterContract
from edgesdk_export._pipeline import ExportOptions, export_bundle

pytestmark = pytest.mark.slow


class CheckpointContract(ExporterContract):
    @pytest.fixture
    def source(self, checkpoint):
        pytest.importorskip("onnxscript", reason="needs the export extra")
        return checkpoint


class TestOnnx(CheckpointContract):
    target = "onnx"


class TestReference(CheckpointContract):
    target = "reference"


class TestTensorrt(CheckpointContract):
    target = "tensorrt"

    @pytest.fixture
    def source(self, checkpoint):
        pytest.importorskip("tensorrt_rtx", reason="needs the tensorrt-rtx extra")
        return checkpoint


class TestOpenvino(CheckpointContract):
    target = "openvino"

    @pytest.fixture
    def source(self, checkpoint):
        pytest.importorskip("openvino", reason="needs the openvino extra")
        return checkpoint


class TestExecutorch(CheckpointContract):
    target = "executorch"

    @pytest.fixture
    def source(self, checkpoint):
        pytest.importorskip("executorch", reason="needs the executorch extra")
        return checkpoint


class TestTflite(CheckpointContract):
    target = "tflite"

    @pytest.fixture
    def source(self, checkpoint):
        pytest.importorskip("litert_torch", reason="needs the tflite extra")
        return checkpoint


class TestCoreml(CheckpointContract):
    target = "coreml"

    @pytest.fixture
    def source(self, checkpoint):
        pytest.importorskip("coremltools", reason="needs the coreml extra")
        return checkpoint


class TestOnnxWithoutTorch(ExporterContract):
    """The same from a shipped ONNX bundle."""

    target = "onnx"

    @pytest.fixture
    def source(self, make_face_bundle):
        return make_face_bundle(bias=0.1)


@pytest.mark.parametrize("target", plugins.names(plugins.EXPORTERS))
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_plus_student_converts_to_every_target(plus_checkpoint, target, precision, tmp_path):
    absent = plugins.missing(plugins.load(plugins.EXPORTERS, target))
    if absent:
        pytest.skip(f"target {target} needs {', '.join(absent)}")
    if precision not in read_target(target).precisions:
        pytest.skip(f"target {target} has no {precision}")
    bundle = export_bundle(plus_checkpoint, ExportOptions(target, precision), tmp_path)
    # A TensorRT engine is not run where no GPU is.
    assert bundle.verify["verdict"] in ("pass", "not-run")
    assert bundle.cost["parameters"] == 209_168
