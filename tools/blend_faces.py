"""Make a face pack of blends of faces, labelled by the teacher.

    python tools/blend_faces.py generated0.npz generated1.npz --count 32768 -o blends.npz

A blend of two aligned faces is a face again, and labelling one costs far less than drawing a
face of nobody with `generate_faces.py`: so these are the cheapest new people of a kind. The
setting `morphs` of `edgesdk train` blends the pictures that are trained on; a pack is for
blends of one of the sets alone, and is made once for several runs.

The file is written after every 1,024 faces; a stopped command goes on there. Never blend a
set whose people are held out to judge by.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgesdk_training.answers import fingerprint
from edgesdk_training.data import decode, join
from edgesdk_training.morphs import draw_morphs
from edgesdk_training.teachers import open_teacher
from tools.command import told
from tools.face_pack import BLOCK, Array, arguments, asked_of, extended

KIND, SIDE = "blended", 112


def main() -> None:
    """Write the pack that was asked for, block by block."""
    import torch

    parser = arguments(__doc__, 32 * BLOCK)
    parser.add_argument("data", nargs="+", type=Path, help="face packs, folders or tars")
    asked = asked_of(parser, KIND)
    dataset = join(asked.data)
    pictures, _ = decode(dataset, SIDE, lambda done, total, label: None)
    faces, among = torch.from_numpy(pictures), np.arange(len(pictures))

    def block(number: int) -> Iterable[Array]:
        seed = int(np.random.default_rng((asked.seed, number)).integers(2**31))
        return draw_morphs(faces, among, BLOCK, seed).between(0, BLOCK)

    teacher = open_teacher("sface", device=asked.device)
    extended(asked, KIND, teacher, fingerprint(dataset), block)


if __name__ == "__main__":
    told(main)
