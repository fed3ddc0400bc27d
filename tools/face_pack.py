"""Face packs that grow block by block: encoded faces with the teacher's embeddings."""

import argparse
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk.core.biometrics import unit
from edgesdk.core.files import check_target, write_atomic
from edgesdk.images import read_image
from edgesdk_training._train import device_here
from edgesdk_training.packs import read_pack
from tools.held_out import embedded

BLOCK = 1024

Array = NDArray[Any]


def arguments(text: str, count: int) -> argparse.ArgumentParser:
    """Return the command line of a tool that makes a pack, with `count` faces as the default."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=count, help="faces, in blocks of 1,024")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("-o", "--out", type=Path, required=True, help="face pack to write, .npz")
    return parser


def asked_of(parser: argparse.ArgumentParser, kind: str) -> argparse.Namespace:
    """Return what was asked; what cannot be done is refused before any work."""
    import torch

    asked = parser.parse_args()
    for name, least in (("count", 1), ("seed", 0)):
        if getattr(asked, name) < least:
            parser.error(f"--{name} must be {least} or more, found {getattr(asked, name)}")
    device_here(asked.device)
    begun(asked.out, kind, asked.seed)
    torch.set_num_threads(1)
    return asked


def encoded(picture: Array) -> bytes:
    """Return the picture as JPEG."""
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=93)
    return stream.getvalue()


def packed(faces: Iterable[Array], teacher: Any, name: str, source: str) -> dict[str, Array]:
    """Return the arrays of a face pack; the teacher sees the pictures as they are stored.

    Args:
        faces: Aligned faces, uint8 [S, S, 3].
        teacher: A Teacher.
        name: Kind, seed and number of the block, "generated/0/5".
        source: Hash of what the faces were made with, beside the teacher.
    """
    files = [encoded(face) for face in faces]
    pictures = [read_image(file) for file in files]
    return {
        "blob": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "identity": np.full(len(files), -1),
        "names": np.array([f"{name}/{i}" for i in range(len(files))]),
        "embedding": unit(embedded(teacher, pictures)).astype(np.float16),
        "made_by": np.array([teacher.name, source]),
    }


def joined(before: dict[str, Array], new: dict[str, Array]) -> dict[str, Array]:
    """Return one pack of two."""
    if not before:
        return new
    if not np.array_equal(before["made_by"], new["made_by"]):
        raise SystemExit("the pack was begun with another teacher or source; choose another -o")
    offsets = np.concatenate([before["offsets"], new["offsets"][1:] + before["offsets"][-1]])
    rest = {k: np.concatenate([before[k], new[k]]) for k in new}
    return {**rest, "offsets": offsets, "made_by": new["made_by"]}


def write(path: Path, arrays: dict[str, Array]) -> None:
    """Write a face pack, never half of one."""
    stream = BytesIO()
    np.savez(stream, **arrays)
    write_atomic(path, stream.getvalue())


def begun(path: Path, kind: str, seed: int) -> tuple[dict[str, Array], int]:
    """Return what a stopped command has left, and the next block."""
    check_target(path)
    if not path.is_file():
        return {}, 0
    arrays = read_pack(path)
    names = arrays.get("names", np.empty(0)) if "made_by" in arrays else np.empty(0)
    last = str(names[-1]).split("/") if names.ndim == 1 and len(names) else []
    if last[:2] != [kind, str(seed)] or not last[2:] or not last[2].isdigit():
        raise SystemExit(
            f"{path} holds other faces than {kind} ones of seed {seed}; choose another -o"
        )
    return arrays, int(last[2]) + 1


def extended(
    asked: argparse.Namespace, kind: str, teacher: Any, source: str,
    faces: Callable[[int], Iterable[Array]],
) -> None:  # fmt: skip
    """Write a pack block by block; what is there already is kept.

    Args:
        asked: The pack `out`, its `seed` and the `count` of its faces.
        kind: First part of the faces' names; the seed is the second.
        teacher: Labels the faces.
        source: Hash of what the faces are made with.
        faces: From a block's number to its faces, uint8 [S, S, 3].
    """
    arrays, first = begun(asked.out, kind, asked.seed)
    for number in range(first, -(-asked.count // BLOCK)):
        new = packed(faces(number), teacher, f"{kind}/{asked.seed}/{number}", source)
        arrays = joined(arrays, new)
        write(asked.out, arrays)
        print(f"{asked.out}: {len(arrays['names']):,} faces", flush=True)
