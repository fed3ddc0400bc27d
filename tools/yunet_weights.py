"""Bring YuNet's weights in as a checkpoint of `face-detector` to begin with.

    python tools/yunet_weights.py -o runs/yunet
    edgesdk train detect --set init=runs/yunet/checkpoint ...

The file is that of the extra `teachers`, whose weights are quantised by blocks. Before anything is
left, the copied layers are compared with the file; the network shrinks its maps elsewhere, so that
what is left finds faces only after training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import sha256_file
from edgesdk.core.tensors import Array
from edgesdk.detect import YuNet, weights_path
from edgesdk_training.checkpoint import save_checkpoint
from tools.command import told

if TYPE_CHECKING:
    from edgesdk_training.nets.face_detector import FaceDetector, Unit

SIDE = 320
MOST_APART = 1e-3
BRANCHES = ("score", "box", "object", "points")  # in the file's order, each at three strides
LICENCE = {
    "weights": "MIT, as YuNet's",
    "data": "WIDER FACE, which the file was trained on: research, non-commercial",
}


def layers(path: Path) -> list[tuple[Array, Array]]:
    """Return kernel and bias of the file's convolutions, in their order."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(str(path)).graph
    found = {t.name: to_array(t) for t in graph.initializer}
    for node in graph.node:
        known = [found[name] for name in node.input if name in found]
        if node.op_type == "DequantizeLinear":
            told = {a.name: a.i for a in node.attribute}
            scale, zero = (np.repeat(x, told["block_size"], told["axis"]) for x in known[1:])
            found[node.output[0]] = (known[0].astype(np.float32) - zero) * scale
        elif node.op_type == "Reshape" and node.input[0] in found:
            found[node.output[0]] = known[0].reshape(known[1])
    convolutions = (node for node in graph.node if node.op_type == "Conv")
    return [(found[n.input[1]], found[n.input[2]]) for n in convolutions]


def put(net: FaceDetector, given: list[tuple[Array, Array]]) -> FaceDetector:
    """Give a folded network the layers of the file."""
    (kernel, bias), *rest = given
    # The file reads 0..255 in BGR.
    _fill(net.stem.conv, kernel[:, ::-1] * 127.5, bias + kernel.sum((1, 2, 3)) * 127.5)
    for unit in units(net):
        _fill(unit[0], *rest.pop(0))
        _fill(unit[1].conv, *rest.pop(0))
    parts = {b: [(rest.pop(0), rest.pop(0)) for _ in net.heads] for b in BRANCHES}
    for level, head in enumerate(net.heads):
        _fill_head(head, [parts[branch][level] for branch in ("score", "object", "box", "points")])
    return net


def units(net: FaceDetector) -> list[Unit]:
    """Return the network's units in the file's order."""
    from edgesdk_training.nets.face_detector import Unit

    stages = (net.quarter, net.fine, net.medium, net.coarse, net.joined[::-1])
    return [part for stage in stages for part in stage if isinstance(part, Unit)]


def _fill_head(head: Any, parts: list[tuple[tuple[Array, Array], tuple[Array, Array]]]) -> None:
    """Join the branches of a stride; the score is the mean of the logits of both of YuNet's."""
    for layer, joined in zip(head.mixed, zip(*parts, strict=True), strict=True):
        kernels, biases = zip(*joined, strict=True)
        _fill(layer, np.concatenate(kernels), np.concatenate(biases))
    which = np.zeros((15, 16, 1, 1), np.float32)
    which[0, :2] = 0.5
    which[np.arange(1, 15), np.arange(2, 16)] = 1
    _fill(head.says, which, np.zeros(len(which), np.float32))


def _fill(layer: Any, kernel: Array, bias: Array) -> None:
    import torch

    layer.load_state_dict(
        {k: torch.from_numpy(np.array(v)) for k, v in (("weight", kernel), ("bias", bias))}
    )


def apart(net: FaceDetector, path: Path) -> float:
    """Return how far boxes and points of a network with YuNet's own strides are off, in cells."""
    import torch
    from torch.nn.functional import pad

    from edgesdk_training.nets.face_detector import STRIDES

    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, SIDE, SIDE)).astype(np.float32)
    names = [f"{head}_{stride}" for stride in STRIDES for head in ("bbox", "kps")]
    session = YuNet(path=path)._session
    wanted = session.run(names, {session.get_inputs()[0].name: pixels})
    net.stem.conv.padding = (0, 0)  # black lies around the file's pictures, grey around ours
    image = pad(torch.from_numpy(pixels[:, ::-1] / 127.5 - 1), (1, 1, 1, 1), value=-1.0)
    with torch.no_grad():
        maps = net(image)
    said = [m.flatten(2).mT.numpy() for i, m in enumerate(maps) if i % 3]
    return max(float(np.abs(a - b).max()) for a, b in zip(said, wanted, strict=True))


def leave(given: list[tuple[Array, Array]], source: Path, out: Path) -> int:
    """Write the checkpoint and return its number of parameters."""
    student = plugins.load(plugins.STUDENTS, "face-detector")
    model = put(student.folded(student.build(student.config())), given)
    out.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        out / "checkpoint", "face-detector", student, student.config(), model, licence=LICENCE,
        provenance={"taken_from": {"file": source.name, "sha256": sha256_file(source)}},
    )  # fmt: skip
    return sum(p.numel() for p in model.parameters())


def main() -> None:
    """Run the command line."""
    from edgesdk_training.nets.common import fold
    from edgesdk_training.nets.face_detector import FaceDetector

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    source = weights_path()
    given = layers(source)
    like = put(fold(FaceDetector(whole=True)), given)  # type: ignore[arg-type]
    far = apart(like, source)
    if far > MOST_APART:
        raise EdgeSdkError(f"{source}: the copy differs by {far:.2g}; nothing was written")
    count = leave(given, source, asked.out)
    print(f"{asked.out}: {count} parameters, apart {far:.2g}")


if __name__ == "__main__":
    told(main)
