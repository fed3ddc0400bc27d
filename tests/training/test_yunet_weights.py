"""YuNet's weights in our own layers: the file of the extra `teachers` is what they are held to."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnx", reason="needs the onnx extra")

from edgesdk.core.bundle import read_checkpoint  # noqa: E402
from edgesdk.core.errors import MissingDependencyError  # noqa: E402
from edgesdk.detect import weights_path  # noqa: E402
from edgesdk_training.nets.common import fold  # noqa: E402
from edgesdk_training.nets.face_detector import FaceDetector  # noqa: E402
from edgesdk_training.students.face_detector import PLUGIN  # noqa: E402
from tools.yunet_weights import apart, layers, leave, put, units  # noqa: E402


@pytest.fixture(scope="module")
def file():
    try:
        return weights_path()
    except MissingDependencyError as error:
        pytest.skip(str(error))


def test_the_whole_network_says_what_yunet_says(file):
    given = layers(file)
    whole = put(fold(FaceDetector(whole=True)), given)
    assert len(given) == 53
    assert apart(whole, file) < 1e-4
    spoiled = [(kernel * 1.01, bias) for kernel, bias in given]
    assert apart(put(fold(FaceDetector(whole=True)), spoiled), file) > 1e-3


def test_what_training_begins_with_keeps_all_layers(file, tmp_path):
    given = layers(file)
    assert leave(given, file, tmp_path) < 0.1e6
    checkpoint = read_checkpoint(tmp_path / "checkpoint")
    own = units(PLUGIN.load(checkpoint))
    pairs = zip(own, given[1:29:2], strict=True)
    assert all(np.array_equal(unit[0].weight, kernel) for unit, (kernel, _) in pairs)
    assert checkpoint.provenance["taken_from"]["file"] == file.name
