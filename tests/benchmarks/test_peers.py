"""MobileFaceNet and dlib's network as models to judge; their files are never downloaded here."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.biometrics import unit
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.samples import synthetic_faces
from edgesdk.images import read_image
from edgesdk_benchmarks._peers import chip, dlib_model, mobilefacenet_model
from edgesdk_benchmarks.accuracy import main

WEIGHTS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)
MOBILE = os.environ.get("EDGESDK_MOBILEFACENET", "")
needs_litert = pytest.mark.skipif(find_spec("ai_edge_litert") is None, reason="needs extra litert")
needs_mobile = pytest.mark.skipif(
    not Path(MOBILE).is_file(), reason="set EDGESDK_MOBILEFACENET to MobileFaceNet.tflite"
)
needs_dlib = pytest.mark.skipif(
    find_spec("dlib") is None or find_spec("face_recognition_models") is None,
    reason="needs the extra peers",
)


def tensor(schema, name, shape, buffer, kind):
    made = schema.TensorT()
    made.name, made.shape, made.buffer, made.type = name, shape, buffer, kind
    return made


def operator(schema, code, inputs, outputs, kind, options):
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
    made.builtinOptionsType, made.builtinOptions = kind, options
    return made


def small_network(path, side=112, batch=2):
    """Write a .tflite of the mean colour times WEIGHTS: [batch, side, side, 3] to [batch, 4]."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kinds, options = schema.TensorType, schema.BuiltinOptions
    model, graph = schema.ModelT(), schema.SubGraphT()
    buffers = [b"", np.array([1, 2], np.int32).tobytes(), WEIGHTS.tobytes()]
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], [], []
    for data in buffers:
        model.buffers.append(schema.BufferT())
        model.buffers[-1].data = np.frombuffer(data, np.uint8) if data else None
    for number in (schema.BuiltinOperator.MEAN, schema.BuiltinOperator.FULLY_CONNECTED):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1
        model.operatorCodes.append(code)
    graph.tensors = [
        tensor(schema, "input", [batch, side, side, 3], 0, kinds.FLOAT32),
        tensor(schema, "axes", [2], 1, kinds.INT32),
        tensor(schema, "mean", [batch, 3], 0, kinds.FLOAT32),
        tensor(schema, "weights", [4, 3], 2, kinds.FLOAT32),
        tensor(schema, "embeddings", [batch, 4], 0, kinds.FLOAT32),
    ]
    mean, full = schema.ReducerOptionsT(), schema.FullyConnectedOptionsT()
    graph.operators = [
        operator(schema, 0, [0, 1], [2], options.ReducerOptions, mean),
        operator(schema, 1, [2, 3, -1], [4], options.FullyConnectedOptions, full),
    ]
    graph.inputs, graph.outputs = [0], [4]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


@needs_litert
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_fixed_batch_is_filled_up(tmp_path, count):
    model = mobilefacenet_model(str(small_network(tmp_path / "m.tflite")), threads=1)
    faces = synthetic_faces(count, seed=1, size=112)
    means = np.stack([face.mean((0, 1)) for face in faces])
    np.testing.assert_allclose(model.embed(faces), (means - 127.5) / 128 @ WEIGHTS.T, atol=1e-4)
    assert (model.side, model.batch) == (112, 2)
    assert (model.facts["parameters"], model.facts["macs"]) == (12, 12)


@needs_litert
def test_a_peer_gets_its_rows(tmp_path, faces, capsys):
    network, output = small_network(tmp_path / "MobileFaceNet.tflite"), tmp_path / "a.json"
    words = ["--pairs", faces, "--mobilefacenet", network, "--sizes", "8,16", "-o", output]
    assert main([str(word) for word in words]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [(r["model"], r["runtime"], r["face_px"]) for r in rows] == [
        ("mobilefacenet", "litert", size) for size in (8, 16, 112)
    ]
    assert all(row["ms_per_face"] > 0 for row in rows)
    assert capsys.readouterr().out.count("faces/s") == 3


@needs_litert
@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "does not exist; give MobileFaceNet.tflite"), (b"text", "cannot open"), (64, "112 px")],
)
def test_a_wrong_file_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "m.tflite"
    if isinstance(content, int):
        small_network(path, content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as error:
        mobilefacenet_model(str(path), threads=1)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("open_it", "module", "extra"),
    [
        (dlib_model, "dlib", "peers"),
        (lambda: mobilefacenet_model("m", 1), "ai_edge_litert", "litert"),
    ],
)
def test_an_absent_package_is_named_with_its_extra(monkeypatch, open_it, module, extra):
    monkeypatch.setattr(plugins, "installed", lambda name: name != module)
    with pytest.raises(MissingDependencyError, match=f"{module}.*edgesdk.{extra}") as error:
        open_it()
    assert error.value.exit_code == 3


def test_a_chip_has_the_eyes_where_dlib_has_them():
    crop = np.zeros((112, 112, 3), np.uint8)
    # The middle of the picture's left eye by dlib's predictor, see _peers.
    crop[51:57, 35:41] = 255
    rows, columns = np.nonzero(chip(crop)[..., 0] > 128)
    template = 100 * (0.25 + np.array([(0.1206 + 0.3341) / 2, (0.2137 + 0.2291) / 2]))
    assert abs(columns.mean() - template[0]) < 1.5
    assert abs(rows.mean() - template[1]) < 1.5


def test_a_chip_is_black_below_the_crop():
    made = chip(np.full((16, 16, 3), 200, np.uint8))
    assert made.shape == (150, 150, 3)
    assert (made[:132] == 200).all()
    assert (made[132:] == 0).all()


def known_from_nobody(model, face):
    mirrored = np.ascontiguousarray(face[:, ::-1])
    rows = unit(model.embed([face, mirrored, *synthetic_faces(3, seed=0, size=112)]))
    return float(rows[0] @ rows[1]), float((rows[2:] @ rows[0]).max())


@needs_litert
@needs_mobile
def test_mobilefacenet_tells_the_portrait_from_nobody(examples):
    model = mobilefacenet_model(MOBILE, threads=1)
    same, others = known_from_nobody(model, read_image(examples / "astronaut_aligned.png"))
    assert same > 0.7 > 0.5 > others
    assert 1.1e6 < model.facts["parameters"] < 1.4e6
    assert 2e8 < model.facts["macs"] < 5e8


@needs_dlib
def test_dlib_tells_the_portrait_from_nobody(examples):
    model = dlib_model()
    same, others = known_from_nobody(model, read_image(examples / "astronaut_aligned.png"))
    assert same > others
    assert (model.facts["parameters"], model.facts["macs"]) == (None, None)
