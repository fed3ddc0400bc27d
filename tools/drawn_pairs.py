"""Draw the small set of pairs that the examples use: no person's picture.

    python tools/drawn_pairs.py -o examples/pairs.tar

Twenty-four drawn faces, three pictures of each in other light, place and sharpness, and a
`pairs.txt` in LFW's form. It shows the commands; an accuracy on it tells of no real face.
"""

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np

from edgesdk.core.files import write_atomic
from edgesdk.core.preprocess import resize
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.tensors import Array
from tools.command import told

PEOPLE, EACH, FOLDS, SIDE, SEED = 24, 3, 4, 64, 7


def drawn_set() -> dict[str, bytes]:
    """Return name -> content of every file of the set."""
    from PIL import Image

    random = np.random.default_rng(SEED)
    files = {"pairs.txt": pairs(random).encode()}
    for person, face in enumerate(synthetic_faces(PEOPLE, SEED, SIDE), 1):
        for number in range(1, EACH + 1):
            stream = io.BytesIO()
            Image.fromarray(varied(face, random)).save(stream, "JPEG", quality=85)
            files[f"{name(person)}/{name(person)}_{number:04d}.jpg"] = stream.getvalue()
    return dict(sorted(files.items()))


def name(person: int) -> str:
    """Return what a drawn person is called."""
    return f"drawn{person:02d}"


def varied(face: Array, random: np.random.Generator) -> Array:
    """Return another picture of a face: moved, blurred, in other light, with noise."""
    side = int(random.integers(SIDE // 3, SIDE))
    soft = resize(resize(face, (side, side)), (SIDE, SIDE))
    moved = np.roll(soft, tuple(random.integers(-2, 3, 2)), (0, 1))
    lit = (moved - 127.5) * random.uniform(0.75, 1.25) + 127.5 + random.normal(0, 15)
    noisy = lit + random.normal(0, 5, face.shape)
    picture: Array = noisy.clip(0, 255).round().astype(np.uint8)
    return picture


def pairs(random: np.random.Generator) -> str:
    """Return the list: per fold its own people, each pair of their pictures, as many impostors."""
    each = PEOPLE // FOLDS
    lines = [f"{FOLDS}\t{each * EACH}"]
    for fold in range(FOLDS):
        group = [name(person) for person in range(1 + fold * each, 1 + (fold + 1) * each)]
        lines += [f"{who}\t{a}\t{b}" for who in group for a, b in ((1, 2), (1, 3), (2, 3))]
        for place, who in enumerate(group):
            others = [group[(place + step) % each] for step in range(1, EACH + 1)]
            numbers = random.integers(1, EACH + 1, (EACH, 2)).tolist()
            lines += [
                f"{who}\t{a}\t{other}\t{b}" for other, (a, b) in zip(others, numbers, strict=True)
            ]
    return "\n".join(lines) + "\n"


def packed(files: dict[str, bytes]) -> bytes:
    """Return a tar archive; equal files give equal bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("examples/pairs.tar"))
    out = parser.parse_args().out
    files = drawn_set()
    write_atomic(out, packed(files))
    print(f"{out}: {len(files) - 1} pictures of {PEOPLE} drawn people")


if __name__ == "__main__":
    told(main)
