"""From which size and sharpness on a comparison of faces says something, as one committed file.

    python tools/face_quality.py --pairs lfw.tar -o benchmarks/results/face-quality.json

One picture of each pair is made small or blurred and compared with the other as it is, at the
model's own threshold. `least_px` is the smallest size tried at which at least SHARE of the
genuine pairs are accepted, `least_sharpness` the median sharpness of the mildest blur at which
fewer are. edgesdk/quality.py holds both, rounded.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import edgesdk
from edgesdk.core.biometrics import cosine
from edgesdk.core.files import write_json
from edgesdk.core.tensors import Array
from edgesdk.pairs import PairSet, read_pairs
from edgesdk.quality import sharpness

SHARE = 0.8
SIZES = (64, 48, 40, 32, 28, 24, 20, 16, 12, 8)
BLURS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
FAR = "far_1e-2"


def small(picture: Array, size: float) -> Array:
    """Return a crop that a face of `size` pixels gives: shrunk, and enlarged again."""
    from PIL import Image

    side = picture.shape[1], picture.shape[0]
    tiny = Image.fromarray(picture).resize((int(size), int(size)), Image.Resampling.BOX)
    return np.asarray(tiny.resize(side, Image.Resampling.BICUBIC))


def blurred(picture: Array, radius: float) -> Array:
    """Return a crop blurred by a Gaussian of `radius` pixels."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


class Pairs:
    """Every `step`-th pair of a set, one side embedded once."""

    def __init__(self, pipeline: edgesdk.FacePipeline, data: PairSet, step: int) -> None:
        self.pipeline, self.same = pipeline, data.same[::step]
        self.threshold = pipeline.bundle.thresholds[FAR]["value"]
        one, other = data.pairs[:, ::step]
        self.one = pipeline.embed([data.read(int(number)) for number in one])
        self.others = [data.read(int(number)) for number in other]

    def measure(self, change: Callable[[Array, float], Array], amount: float) -> dict[str, float]:
        """Return the accepted shares of genuine and impostor pairs, and the median sharpness."""
        changed = [change(picture, amount) for picture in self.others]
        accepted = cosine(self.one, self.pipeline.embed(changed)) >= self.threshold
        return {
            "genuine_accepted": float(accepted[self.same].mean()),
            "impostors_accepted": float(accepted[~self.same].mean()),
            "sharpness_p50": float(np.median([sharpness(picture) for picture in changed])),
        }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", required=True)
    parser.add_argument("--model", default="bridge-face-plus-64")
    parser.add_argument("--step", type=int, default=3, help="take every n-th pair")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    data = read_pairs(asked.pairs)
    with edgesdk.FacePipeline(asked.model) as pipeline:
        pairs = Pairs(pipeline, data, asked.step)
        sizes = [{"size_px": size, **pairs.measure(small, size)} for size in SIZES]
        blurs = [{"blur_px": radius, **pairs.measure(blurred, radius)} for radius in BLURS]
        about = {"model": pipeline.bundle.name, "bundle_sha256": pipeline.bundle.sha256}
    enough = [row["size_px"] for row in sizes if row["genuine_accepted"] >= SHARE]
    weak = [row["sharpness_p50"] for row in blurs if row["genuine_accepted"] < SHARE]
    result = {
        "command": f"python tools/face_quality.py --pairs {Path(asked.pairs).name}",
        "data_sha256": data.sha256,
        "pairs": len(pairs.same),
        **about,
        "share": SHARE,
        "least_px": min(enough),
        "least_sharpness": max(weak),
        "sizes": sizes,
        "blurs": blurs,
    }
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
