r"""Train a small classifier of a folder per class and write it as ONNX with its labels.

    python tools/small_classifiers.py digits.tar -o build/digits.onnx
    edgesdk export build/digits.onnx --target onnx --task image-classification \
        --preprocess signed --labels build/digits.labels.txt --licence research-only

Black boxes for `tools/judge_explanations.py`: minutes on one core, good enough to be explained.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.files import write_atomic
from tools.command import told

SIDE, BATCH = 32, 64


def network(classes: int) -> Any:
    """Return three convolutions with BatchNorm and a linear layer."""
    from torch import nn

    def block(inputs: int, outputs: int) -> list[Any]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.MaxPool2d(2),
        ]  # fmt: skip

    layers = [*block(3, 16), *block(16, 32), *block(32, 64)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (SIDE // 8) ** 2, classes))


def learnt(pictures: Any, labels: Any, classes: int, epochs: int) -> Any:
    """Return the network after some epochs of Adam, in eval mode."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    net = network(classes)
    steps = epochs * (len(labels) // BATCH)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps)
    net.train()
    for _ in range(steps):
        chosen = torch.randint(len(labels), (BATCH,))
        loss = F.cross_entropy(net(tensor(pictures[chosen.numpy()])), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def tensor(pictures: Any) -> Any:
    """Return uint8 pictures as the network's input."""
    import torch

    return (
        torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 127.5 - 1
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    import torch

    from edgesdk_training.data import TreeDataset, decode

    data = TreeDataset(asked.data)
    pictures, _ = decode(data, SIDE, lambda *_: None)
    names = sorted(set(data.people))
    labels = torch.tensor([names.index(name) for name in data.people])
    held = np.arange(len(labels)) % 20 == 0
    net = learnt(pictures[~held], labels[~held], len(names), asked.epochs)
    with torch.inference_mode():
        right = (net(tensor(pictures[held])).argmax(1) == labels[held]).float().mean()
    print(f"accuracy on {held.sum()} pictures held out: {float(right):.4f}")
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    dim = torch.export.Dim("batch", min=1, max=4096)
    torch.onnx.export(
        net, (tensor(pictures[:2]),), asked.output, dynamo=True, dynamic_shapes=({0: dim},),
        external_data=False, verbose=False, input_names=["image"], output_names=["scores"],
    )  # fmt: skip
    labels_file = asked.output.with_suffix(".labels.txt")
    write_atomic(labels_file, "".join(f"{name}\n" for name in names).encode())


if __name__ == "__main__":
    told(main)
