"""Build edgesdk/core/eigenfaces.npz, the model behind the synthetic face crops.

    python tools/build_eigenfaces.py FACES.npz [--faces 5000] [--components 48] [-o OUT.npz]

FACES.npz is a pack of aligned faces with the arrays `blob` (encoded pictures behind each
other) and `offsets` (N + 1 positions in it). What is kept are averages over all faces:
the mean face, the principal components as int8 and their spread. No picture is kept.
"""

import argparse
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from edgesdk.images import read_image

DEFAULT_OUT = Path(__file__).parents[1] / "edgesdk" / "core" / "eigenfaces.npz"


def read_faces(pack: Path, count: int, seed: int = 0) -> np.ndarray:
    """Return [count, H*W*3] float32 of randomly drawn faces of the pack."""
    with np.load(pack, allow_pickle=False) as arrays:
        blob, offsets = arrays["blob"], arrays["offsets"]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(offsets) - 1)[:count])
    pictures = [read_image(blob[offsets[i] : offsets[i + 1]].tobytes()) for i in chosen]
    return np.stack(pictures).reshape(len(pictures), -1).astype(np.float32)


def components(faces: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Return the arrays of the model: the mean, int8 components, their spread, the rest."""
    side = round((faces.shape[1] / 3) ** 0.5)
    mean = faces.mean(0)
    centred = faces - mean
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    axes, deviation = axes[:count], values[:count] / np.sqrt(len(faces) - 1)
    residual = centred - (centred @ axes.T) @ axes
    step = np.abs(axes).max(1) / 127
    return {
        "mean": mean.reshape(side, side, 3).astype(np.float16),
        "axes": np.round(axes / step[:, None]).astype(np.int8).reshape(count, side, side, 3),
        # Pixel values per unit of a standard normal coefficient and per int8 step.
        "scale": (deviation * step).astype(np.float32),
        "residual": np.float32(residual.std()),
        "faces": np.int32(len(faces)),
    }


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz whose bytes depend on the arrays alone, not on the clock."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            stream = BytesIO()
            np.save(stream, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            archive.writestr(info, stream.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--faces", type=int, default=5000)
    parser.add_argument("--components", type=int, default=48)
    parser.add_argument("-o", "--out", type=Path, default=DEFAULT_OUT)
    asked = parser.parse_args()
    write_npz(asked.out, components(read_faces(asked.pack, asked.faces), asked.components))
    print(f"{asked.out}: {asked.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
