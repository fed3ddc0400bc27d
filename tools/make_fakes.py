"""Make controlled fakes and soft photos out of any pictures, to teach and judge detectors.

    python tools/make_fakes.py photos.tar more/ -o fakes --part learn
    python tools/make_fakes.py photos.tar more/ -o judge --part judge --seed 1

Every photo is shrunk, which hides the traces of its file, and written as `real/NAME.png`; small
generators are taught on these and draw them again (`fake/FAMILY/NAME.png`), and common tools
work on them (`soft/KIND/NAME.png`: no fakes). `--part` splits the photos by name, seven tenths
to learn from and three to judge on, so that judge's photos and generators are other ones.
With `--draws 3` there are three generators of each family, each made in another way (widths,
codebooks, kernels, losses, length of training): a detector then learns the family, not one
network. `fakes.json` tells how near each family comes to the photos, and how it was made.
The folder is written once.
"""

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_json
from edgesdk.core.stages import publish, staging
from edgesdk.picture_sets import Pictures
from edgesdk_training.draws import Draws
from edgesdk_training.fakes import Redrawer, clean_photo, variants
from edgesdk_training.nets.generators import FAMILIES
from tools.command import told

PARTS = {"learn": range(7), "judge": range(7, 10), "all": range(10)}


def photos(sets: list[Path], part: str, random: np.random.Generator) -> dict[str, Any]:
    """Return name -> clean photo of one part of the sets."""
    found = {}
    for pictures in map(Pictures, sets):
        for name in pictures.names:
            if zlib.crc32(Path(name).stem.encode()) % 10 in PARTS[part]:
                photo = clean_photo(pictures.read(name), random)
                if photo is not None:
                    found[Path(name).stem] = photo
    return found


def psnr(photo: Any, fake: Any) -> float:
    """Return the peak signal-to-noise ratio in dB."""
    return float(10 * np.log10(255**2 / np.square(photo - fake.astype(float)).mean().clip(1e-9)))


def taught(asked: argparse.Namespace, photos: list[Any]) -> dict[str, Redrawer | Draws]:
    """Return family -> what draws its pictures."""
    redrawers: dict[str, Redrawer | Draws] = {}
    for number, family in enumerate(asked.families):
        print(f"teach {family} on {len(photos)} photos", flush=True)
        kind, seed = FAMILIES[family], 1000 * asked.seed + number
        redrawers[family] = (
            Draws(kind, photos, seed, asked.steps, asked.draws)
            if asked.draws
            else Redrawer(kind, photos, seed, asked.steps)
        )
    return redrawers


def pictures(
    clean: dict[str, Any], redrawers: dict[str, Any], random: np.random.Generator, share: float
) -> Iterator[tuple[str, Any, float]]:
    """Yield relative name, picture and its PSNR to the photo, of all that shall be written."""
    for name, photo in clean.items():
        for folder, picture in variants(photo, redrawers, random, share):
            same = picture.shape == photo.shape
            yield f"{folder}/{name}.png", picture, psnr(photo, picture) if same else np.nan


def make(asked: argparse.Namespace) -> None:
    """Write the folder."""
    from PIL import Image

    random = np.random.default_rng(asked.seed)
    clean = photos(asked.photos, asked.part, random)
    if len(clean) < 2:
        raise UsageError(f"the sets hold {len(clean)} photos of 96 px and more; give more")
    with staging(asked.out) as stage:
        redrawers = taught(asked, list(clean.values()))
        near: dict[str, list[float]] = {}
        for name, picture, decibels in pictures(clean, redrawers, random, asked.share):
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(stage / name)
            near.setdefault(str(Path(name).parent), []).append(decibels)
        told_of = {
            kind: {"pictures": len(all_), "psnr_db": round(float(np.nanmean(all_)), 1)}
            for kind, all_ in sorted(near.items())
            if kind.startswith("fake")
        }
        counts = {kind: len(all_) for kind, all_ in sorted(near.items())}
        write_json(
            stage / "fakes.json",
            {
                "part": asked.part, "seed": asked.seed, "steps": asked.steps,
                "photos": [p.name for p in asked.photos], "counts": counts, "families": told_of,
                "draws": {f: d.about for f, d in redrawers.items() if isinstance(d, Draws)},
            },
        )  # fmt: skip
        publish(stage, asked.out)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path, help="folders or tar archives")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--part", choices=PARTS, default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400, help="of every generator's training")
    parser.add_argument("--draws", type=int, default=0, metavar="N",
                        help="generators of each family, each made in another way")  # fmt: skip
    parser.add_argument("--share", type=float, default=0.4, help="of the kinds per photo")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    make(asked)


if __name__ == "__main__":
    told(main)
