"""What several test modules share."""

import signal
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from edgesdk.core.bundle import Bundle, seal
from edgesdk.core.preprocess import Align, Preprocess
from edgesdk.core.tensors import TensorSpec

# On a busy machine any example may take long: times are compared, never asserted.
hypothesis.settings.register_profile("edgesdk", deadline=None)
hypothesis.settings.load_profile("edgesdk")

# A shell that starts tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_face_bundle(tmp_path):
    """Return a function that makes a tiny face bundle: 4x4 means, a fixed projection to 8.

    It needs no weights, tells pictures apart by their coarse colours, and leaves the
    vector's length to its caller.
    """
    onnx = pytest.importorskip("onnx", reason="builds the test bundle with onnx")

    def make(
        name: str = "tiny-face-onnx-fp32",
        *,
        batch: int | None = None,
        bias: float = 0.0,
        align: Align | None = Align(),  # noqa: B008
        **values,
    ) -> Bundle:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(_graph(onnx, batch, bias))
        image = TensorSpec("image", (batch, 3, 16, 16), layout="NCHW", kind="image")
        fields = {
            "model": "tiny-face",
            "task": "face-embedding",
            "target": "onnx",
            "precision": "fp32",
            "format": "onnx",
            "thresholds": {"far_1e-2": {"value": 0.6, "low": 0.55, "high": 0.65}},
            "cost": {"parameters": 384, "macs": 384},
            "verify": {"level": "host", "verdict": "skipped"},
            "preprocess": {"image": Preprocess(size=(16, 16), align=align)},
            "postprocess": {"kind": "embedding", "dim": 8, "normalised": False},
        }
        return seal(
            Bundle(
                path=folder,
                entry="model.onnx",
                inputs=(image,),
                outputs=(TensorSpec("embedding", (batch, 8), layout="NC", kind="embedding"),),
                licence={"weights": "CC0-1.0", "data": "none"},
                source_sha256="0" * 64,
                runtimes=("ort",),
                **(fields | values),
            )
        )

    return make


def _graph(onnx, batch: int | None, bias: float) -> bytes:
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    projection = np.random.default_rng(0).normal(size=(48, 8)).astype(np.float32)
    arrays = {"w": projection, "b": np.full(8, bias, np.float32)}
    size = batch or "batch"
    graph = onnx.helper.make_graph(
        [
            node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
            node("Flatten", ["cells"], ["flat"]),
            node("Gemm", ["flat", "w", "b"], ["embedding"]),
        ],
        "tiny-face",
        [value("image", 1, [size, 3, 16, 16])],
        [value("embedding", 1, [size, 8])],
        [onnx.numpy_helper.from_array(a, name) for name, a in arrays.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model: bytes = onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=8
    ).SerializeToString()
    return model


@pytest.fixture(scope="session")
def examples() -> Path:
    """Return the folder of example pictures."""
    return Path(__file__).parents[1] / "examples"


class CoarseTeacher:
    """Projects coarse colours to 32 dimensions; tells drawn people apart."""

    name, sha256, dim = "fake", "0" * 64, 32

    def __init__(self):
        self.calls = 0
        self._map = np.random.default_rng(0).normal(size=(48, 32)).astype(np.float32)

    def __call__(self, pictures):
        self.calls += 1
        cells = [p[:48, :48].reshape(4, 12, 4, 12, 3).mean((1, 3)).ravel() for p in pictures]
        return (np.stack(cells) / 127.5 - 1).astype(np.float32) @ self._map


@pytest.fixture
def coarse_teacher(monkeypatch):
    """Make every training run ask a teacher that needs no weights."""
    from edgesdk_training import context

    fake = CoarseTeacher()
    monkeypatch.setattr(context, "open_teacher", lambda *_: fake)
    return fake


@pytest.fixture
def drawn_set(tmp_path):
    """Return a folder of drawn photos, soft photos and fakes."""
    from tests.drawn import labelled_set

    return labelled_set(tmp_path / "drawn")


@pytest.fixture
def photos_and_faces(tmp_path, monkeypatch):
    """Folders of drawn photos and faces, and a teacher that finds a face in every second one."""
    from PIL import Image

    from edgesdk.core.samples import synthetic_faces
    from edgesdk.tasks._inputs import textures

    for role, pictures in (("images", textures(12, 0, 96)), ("public", synthetic_faces(6, 0, 48))):
        for number, picture in enumerate(pictures):
            path = tmp_path / role / f"person{number}" / f"photo-{number}.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(picture).save(path)
    monkeypatch.setattr("edgesdk_training.photo_data.FaceTeacher", CoarseFinder)
    return {role: [tmp_path / role] for role in ("images", "public")}


class CoarseFinder:
    """A teacher that takes no looking: bright pictures show a face."""

    name, sha256 = "coarse", "0" * 64

    def __init__(self, threads=1, scales=(), turns=()):
        self._all = turns == ()

    def __call__(self, picture):
        import numpy as np

        if not self._all and picture.mean() < 127:
            return np.empty((0, 15), np.float32)
        eyes = [0.4, 0.4, 0.6, 0.4, 0.5, 0.5, 0.42, 0.62, 0.58, 0.62]
        row = np.array([0.3, 0.25, 0.4, 0.5, 0, *eyes]) * len(picture)
        row[4] = 0.9
        return row[None].astype(np.float32)
