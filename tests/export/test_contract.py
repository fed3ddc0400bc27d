"""Every exporter of the project keeps the public contract, with its real converter."""

import pytest

from edgesdk.testing.exporter import ExporterContract

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
