# ruff: noqa: T201
"""Write what the Python reference answers, for the JUnit tests to compare with.

    python android_demo/tools/write_vectors.py BUNDLE OUT

OUT/bundle is a copy of BUNDLE; OUT/vectors holds pictures of many sizes, resized, normalised
and aligned by `edgesdk.core.preprocess`, JSON texts as Python reads and writes them, a gallery,
golden maps of a face detector and golden sequences of a tracker. OUT/detector and OUT/tracker are
copies of the shipped ones.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk import Gallery
from edgesdk.core.bundle import read_bundle
from edgesdk.core.files import canonical, write_atomic, write_json
from edgesdk.core.preprocess import ARCFACE_112, Align, Preprocess, align
from edgesdk.core.shipped import shipped_bundle
from edgesdk.core.tensors import Array
from tools.face_maps import cases, photo
from tools.track_cases import crops, sentences, sequences

# Shrinking, enlarging, both at once, odd sizes, single pixels.
SIZES = [(1, 1), (3, 5), (16, 16), (17, 31), (64, 64), (112, 112), (200, 9), (9, 200)]
TARGETS = [(16, 16), (32, 32), (112, 96)]
# Turned by degrees, scaled, shifted by pixels.
FACES = [(0, 0.5, 0), (30, 1, 20), (-170, 0.2, 5), (5, 6, -60), (0, 1, 300)]
TEXTS = [
    '{"a": [1, -0.0025, 0.1, 1e+22, 1e-07], "b": {"c": null, "d": true}}',
    '"\\u00e4 \\ud83d\\ude00 \\" \\\\ \\/ \\n"',
    '{"z": 1, "a": {"y": [], "x": {}}}',
    '"ä 😀 \u007f"',
]
SHIPPED = {"detector": "face-detector", "tracker": "tracker"}
PICTURES = ["ada.jpg", "z/1.jpg", "bo.jpg", ""]
BROKEN = ["", "{", "[1,]", '{"a" 1}', "01", "1.", "nul", '"\n"', '"\\x"', "[1] 2", '{"a":1,}', "-"]


class Pack:
    """Arrays as raw little-endian files, as in the golden folder of a bundle."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def add(self, array: Array) -> dict[str, Any]:
        """Write one array and return its entry."""
        self.count += 1
        file = f"{self.count}.{'u8' if array.dtype == np.uint8 else 'f32'}"
        write_atomic(self.folder / file, np.ascontiguousarray(array).tobytes())
        return {"file": file, "dtype": array.dtype.name, "shape": list(array.shape)}


def preprocess_cases(pack: Pack, random: np.random.Generator) -> list[dict[str, Any]]:
    """Return pictures of every size and the tensors they give."""
    cases = []
    for number, (height, width) in enumerate(SIZES):
        picture = random.integers(0, 256, (height, width, 3), np.uint8)
        for size in TARGETS:
            how = Preprocess(
                size=size,
                color=("RGB", "BGR")[number % 2],
                mean=(123.7, 116.3, 103.5),
                std=(58.4, 57.1, 57.4),
                layout=("NCHW", "NHWC")[number // 2 % 2],
            )
            pictures, tensor = pack.add(picture[None]), pack.add(how([picture]))
            cases.append({"how": how.to_json(), "pictures": pictures, "tensor": tensor})
    return cases


def align_cases(pack: Pack, random: np.random.Generator) -> list[dict[str, Any]]:
    """Return photos with faces turned, tiny, huge, and partly outside, and their crops."""
    photo = random.integers(0, 256, (90, 140, 3), np.uint8)
    entry, cases = pack.add(photo), []
    for degrees, scale, shift in (
        (0, 0.5, 0),
        (30, 1, 20),
        (-170, 0.2, 5),
        (5, 6, -60),
        (0, 1, 300),
    ):
        angle = np.deg2rad(degrees)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (ARCFACE_112 - 56.0) @ turn.T + 45 + shift + random.normal(0, scale, (5, 2))
        for size, pad in ((112, 0.0), (48, 127.5)):
            crop = align(photo, points, Align(size=size), pad)
            cases.append(
                {
                    "picture": entry,
                    "points": points.tolist(),
                    "template": "arcface",
                    "size": size,
                    "pad_value": pad,
                    "crop": pack.add(crop),
                }
            )
    return cases


def json_cases() -> list[dict[str, str]]:
    """Return texts and what Python makes of them."""
    return [{"text": text, "canonical": canonical(json.loads(text)).decode()} for text in TEXTS]


def face_cases(pack: Pack) -> list[dict[str, Any]]:
    """Return golden maps of a face detector, and the faces that they tell of."""
    return [
        one | {"maps": {name: pack.add(maps) for name, maps in one["maps"].items()}}
        for one in cases()
    ]


def track_cases(pack: Pack) -> dict[str, Any]:
    """Return what a tracker's steps and whole sequences must give."""
    frame, squares = crops()
    return {
        "frame": pack.add(frame),
        "crops": [one | {"crop": pack.add(one["crop"])} for one in squares],
        "sentences": [one | {"rows": pack.add(one["rows"])} for one in sentences()],
        "sequences": [
            one | {"frames": [pack.add(frame) for frame in one["frames"]]} for one in sequences()
        ],
    }


def write_gallery(bundle: Path, path: Path) -> None:
    """Write a gallery of three people, each axis of the embedding one face."""
    gallery = Gallery(bundle)
    for axis, name in enumerate(["Ada", "Zoë 😀", "Bo", "Ada"]):
        gallery.add(name, np.eye(gallery.dim, dtype=np.float32)[axis], PICTURES[axis])
    gallery.model = "bridge-face"
    gallery.save(path)


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    read_bundle(args.bundle)
    bundle, vectors = args.out / "bundle", args.out / "vectors"
    sources = {bundle: args.bundle, **{args.out / n: shipped_bundle(s) for n, s in SHIPPED.items()}}
    shutil.rmtree(vectors, ignore_errors=True)
    for folder, source in sources.items():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
    write_gallery(bundle, vectors / "people.gallery")
    pack, random = Pack(vectors), np.random.default_rng(3)
    write_json(
        vectors / "index.json",
        {
            "preprocess": preprocess_cases(pack, random),
            "align": align_cases(pack, random),
            "json": json_cases(),
            "faces": face_cases(pack),
            "track": track_cases(pack),
            "photo": {"picture": pack.add(photo()), "case": 2},
            "broken": BROKEN,
        },
    )
    print(f"wrote {bundle} and {vectors} ({pack.count} arrays)")


if __name__ == "__main__":
    main()
