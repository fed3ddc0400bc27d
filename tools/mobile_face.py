"""Bring a MobileFaceNet of a .tflite file in: as a checkpoint to begin with, and as a teacher.

    python tools/mobile_face.py MobileFaceNet.tflite -o runs/mobile-face

The checkpoint is a masked-face with nothing before its recogniser, untouched:

    edgesdk train deocclusion --set mobile=true --set init=runs/mobile-face/checkpoint \
        --teacher runs/mobile-face/teacher.onnx ...

The file must read [2, 112, 112, 3] as (x - 127.5) / 128 in RGB; `teacher.onnx` and the checkpoint
read what edgesdk's own networks do. Both are compared with the file before anything is left.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.biometrics import unit
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import sha256_file
from edgesdk.core.tensors import Array
from edgesdk_training.checkpoint import save_checkpoint
from tools.command import told

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk_training.nets.mobile_face import MobileFace

# The file divides by 128, our networks read what is divided by 127.5.
LIKE = 127.5 / 128
SIDE = 112
MOST_APART = 1e-4
LICENCE = {
    "weights": "as the file's, which others trained",
    "data": "not told with the file; treat it as research, non-commercial",
}


def interpreter(path: Path) -> Any:
    """Open the file."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        opened = Interpreter(str(path), num_threads=1)
        opened.allocate_tensors()
    except ValueError as error:
        raise UsageError(f"{path} is no .tflite file that runs ({error})") from None
    return opened


def layers(file: Any) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """Return kernel, bias and slopes of the file's convolutions, in their order.

    PReLU is stored as relu(x) + slope / 2 * (x - |x|), the slope already halved.
    """
    import torch

    found: list[Any] = []
    for operator in file._get_ops_details():
        name, inputs = operator["op_name"], operator["inputs"]
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            order = (0, 3, 1, 2) if name == "CONV_2D" else (3, 0, 1, 2)
            kernel = file.get_tensor(inputs[1]).transpose(order)
            found.append([kernel, file.get_tensor(inputs[2]), None])
        elif name == "MUL" and found[-1][2] is None:
            constants = [c for i in inputs if (c := constant(file, i)) is not None]
            found[-1][2] = next((2 * c for c in constants if c.size == len(found[-1][1])), None)
    found[0][0] = found[0][0] * LIKE
    as_tensor = [[None if x is None else torch.tensor(np.array(x)) for x in row] for row in found]
    return [tuple(row) for row in as_tensor]  # type: ignore[misc]


def constant(file: Any, index: int) -> Array | None:
    """Return a tensor that the file stores as one value a channel, None for others."""
    shape = file.get_tensor_details()[index]["shape"]
    return file.get_tensor(index) if len(shape) == 1 else None


def read(path: Path) -> MobileFace:
    """Return the network of the file.

    Raises:
        UsageError: it is another network.
    """
    from edgesdk_training.nets.mobile_face import MobileFace, put

    try:
        return put(MobileFace(), layers(interpreter(path))).eval()
    except (ValueError, IndexError, KeyError) as error:
        raise UsageError(f"{path} is no MobileFaceNet of 112 px and 192 values ({error})") from None


def apart(path: Path, net: MobileFace) -> float:
    """Return how far the network's answers are from the file's, at most."""
    import torch

    file, pixels = interpreter(path), np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3))
    file.set_tensor(file.get_input_details()[0]["index"], np.float32((pixels - 127.5) / 128))
    file.invoke()
    wanted = unit(file.get_tensor(file.get_output_details()[0]["index"]))
    image = torch.from_numpy(np.float32(pixels / 127.5 - 1).transpose(0, 3, 1, 2))
    with torch.no_grad():
        return float(np.abs(net(image).numpy() - wanted).max())


def leave(net: MobileFace, source: Path, out: Path) -> None:
    """Write the checkpoint and the teacher."""
    import torch

    student = plugins.load(plugins.STUDENTS, "masked-face")
    config = student.config(complete=False, deep=False, mobile=True)
    model = student.build(config)
    model.recogniser = net
    out.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        out / "checkpoint", "masked-face", student, config, model, licence=LICENCE,
        provenance={"taken_from": {"file": source.name, "sha256": sha256_file(source)}},
    )  # fmt: skip
    program = torch.onnx.export(
        net, (torch.zeros(2, 3, SIDE, SIDE),), input_names=["image"], output_names=["embedding"],
        dynamic_shapes=({0: torch.export.Dim("batch")},), dynamo=True, verbose=False,
    )  # fmt: skip
    program.save(str(out / "teacher.onnx"))  # type: ignore[union-attr]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    net = read(asked.file)
    far = apart(asked.file, net)
    if far > MOST_APART:
        raise EdgeSdkError(f"{asked.file}: the copy differs by {far:.2g}; nothing was written")
    leave(net, asked.file, asked.out)
    print(f"{asked.out}: {sum(p.numel() for p in net.parameters())} parameters, apart {far:.2g}")


if __name__ == "__main__":
    told(main)
