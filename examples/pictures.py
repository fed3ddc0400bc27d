"""The demo's pictures: one real face in many conditions, and faces of nobody.

    python examples/pictures.py FOLDER

All are made from `astronaut_aligned.png` and from the synthetic faces of edgesdk.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter  # noqa: TID253 (a base dependency)

from edgesdk import read_image
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.tensors import Array
from edgesdk.pairs import shrunk

ALIGNED = Path(__file__).with_name("astronaut_aligned.png")


def conditions(face: Array) -> dict[str, Array]:
    """Return an aligned face [112, 112, 3] uint8 as found in the field, by name."""
    image = Image.fromarray(face)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=15)
    noise = np.random.default_rng(0).normal(0, 25, face.shape)
    return {
        "112px": face,
        **{f"{size}px": shrunk(face, size) for size in (64, 32, 24, 16)},
        "blurred": np.array(image.filter(ImageFilter.GaussianBlur(3))),
        "jpeg": read_image(jpeg.getvalue()),
        "dark": (face * 0.35).round().astype(np.uint8),
        "noisy": (face + noise).round().clip(0, 255).astype(np.uint8),
        "flipped": face[:, ::-1],
    }


def example_pictures(folder: Path, strangers: int = 3) -> list[Path]:
    """Write the pictures as PNG files; the first one is the face at 112 pixels."""
    pictures = {f"astronaut-{k}": p for k, p in conditions(read_image(ALIGNED)).items()}
    nobody = synthetic_faces(strangers, seed=1, size=112)
    pictures |= {f"synthetic-{n}": p for n, p in enumerate(nobody, 1)}
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        Image.fromarray(picture).save(path)
    return paths


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in example_pictures(Path(sys.argv[1])))
