"""Every task of the project keeps the public contract."""

import json

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.jobs import RunJob
from edgesdk.core.preprocess import Align, Preprocess
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.task import ModelInfo
from edgesdk.core.tensors import TensorSpec
from edgesdk.testing.task import TaskContract

IMAGE = TensorSpec("image", (None, 3, 16, 16), layout="NCHW", kind="image")


def model(task, outputs, **values):
    preprocess = {"image": Preprocess((16, 16), align=values.pop("align", None))}
    return ModelInfo(
        model="mine", task=task, inputs=(IMAGE,), outputs=outputs, preprocess=preprocess, **values
    )


def save(picture, path):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


class TestFaceEmbedding(TaskContract):
    task = "face-embedding"

    @pytest.fixture
    def info(self):
        outputs = (TensorSpec("embedding", (None, 8), layout="NC", kind="embedding"),)
        post = {"kind": "embedding", "dim": 8, "normalised": False, "metric": "cosine"}
        return model("face-embedding", outputs, postprocess=post, align=Align())

    @pytest.fixture
    def place(self, tmp_path):
        faces = synthetic_faces(8, 0, 32)
        for number, face in enumerate(faces):
            save(face, tmp_path / "set" / f"{number}_0.png")
            save(np.clip(face + 9, 0, 255).astype(np.uint8), tmp_path / "set" / f"{number}_1.png")
        rows = [f"1,{i}_0.png,{i}_1.png\n0,{i}_0.png,{(i + 1) % 8}_1.png" for i in range(8)]
        (tmp_path / "set" / "pairs.csv").write_text("\n".join(rows))
        return tmp_path / "set"

    @pytest.fixture
    def job(self, make_face_bundle, tmp_path):
        files = (tmp_path / "a.png", tmp_path / "b.png")
        for path, face in zip(files, synthetic_faces(2, 0), strict=True):
            save(face, path)
        return RunJob(make_face_bundle(), files)


class TestFaceDetection(TaskContract):
    task = "face-detection"

    @pytest.fixture
    def info(self):
        outputs = tuple(
            TensorSpec(f"{head}_{s}", (None, n, 32 // s, 32 // s), layout="NCHW")
            for s in (8, 16, 32)
            for head, n in (("score", 1), ("box", 4), ("points", 10))
        )
        return ModelInfo(
            model="mine",
            task="face-detection",
            inputs=(TensorSpec("image", (None, 3, 32, 32), layout="NCHW", kind="image"),),
            outputs=outputs,
            preprocess={"image": Preprocess((32, 32))},
            postprocess={"kind": "faces", "score": 0.5, "overlap": 0.3},
        )

    @pytest.fixture
    def place(self, tmp_path):
        faces = {f"{n}.png": [[4, 5, 20 + n, 22], [*range(1, 15)]][: n % 3] for n in range(5)}
        for number, face in enumerate(synthetic_faces(5, 0, 40)):
            save(face, tmp_path / "set" / f"{number}.png")
        (tmp_path / "set" / "faces.json").write_text(json.dumps(faces))
        return tmp_path / "set"


class TestImageClassification(TaskContract):
    task = "image-classification"

    @pytest.fixture
    def info(self):
        outputs = (TensorSpec("scores", (None, 3), layout="NC"),)
        return model("image-classification", outputs, labels=("blue", "green", "red"))

    @pytest.fixture
    def place(self, tmp_path):
        for channel, label in enumerate(("red", "green", "blue")):
            for number in range(4):
                picture = np.full((20, 20, 3), 30 + number, np.uint8)
                picture[..., channel] = 200
                save(picture, tmp_path / "set" / label / f"{number}.png")
        return tmp_path / "set"

    @pytest.fixture
    def job(self, make_face_bundle, place, tmp_path):
        bundle = make_face_bundle(
            task="image-classification", postprocess={"kind": "classes"}, labels=("a", "b")
        )
        return RunJob(bundle, (place,), output=tmp_path / "sheet.png")


class TestTensor(TaskContract):
    task = "tensor"

    @pytest.fixture
    def info(self):
        outputs = (TensorSpec("out", (None, 8)),)
        return model("tensor", outputs)

    @pytest.fixture
    def job(self, make_face_bundle):
        return RunJob(make_face_bundle(task="tensor", postprocess={}))


class TestGeneratedImageDetection(TaskContract):
    task = "generated-image-detection"

    @pytest.fixture
    def info(self):
        outputs = (TensorSpec("logit", (None, 1), layout="NC"),)
        return model("generated-image-detection", outputs)

    @pytest.fixture
    def place(self, tmp_path):
        rng = np.random.default_rng(0)
        for side in ("real", "fake"):
            for number in range(4):
                picture = rng.integers(0, 256, (40, 60, 3), np.uint8)
                save(picture, tmp_path / "set" / side / f"{number}.png")
        return tmp_path / "set"


class TestTracking(TaskContract):
    task = "tracking"

    @pytest.fixture
    def info(self):
        image = TensorSpec("image", (None, 3, 32, 32), layout="NCHW", kind="image")
        memory = TensorSpec("memory", (None, 2, 2, 2), layout="NCHW", kind="features")
        text = TensorSpec("text", (None, 4, 16), kind="features")
        maps = (("score", 1), ("box", 4), ("features", 2))
        return ModelInfo(
            model="mine",
            task="tracking",
            inputs=(image, memory, text),
            outputs=tuple(TensorSpec(name, (None, n, 4, 4)) for name, n in maps),
            preprocess={"image": Preprocess((32, 32))},
            postprocess={"kind": "tracking", "stride": 8},
        )

    @pytest.fixture
    def place(self, tmp_path):
        rng = np.random.default_rng(0)
        for name in ("a", "b", "c"):
            for number in range(3):
                save(
                    rng.integers(0, 256, (40, 60, 3), np.uint8),
                    tmp_path / "set" / name / "img" / f"{number}.png",
                )
            rows = "\n".join(["10,10,20,15"] * 3)
            (tmp_path / "set" / name / "groundtruth_rect.txt").write_text(rows)
        return tmp_path / "set"


def test_every_task_is_covered():
    covered = {c.task for c in TaskContract.__subclasses__()}
    assert set(plugins.names(plugins.TASKS)) <= covered
