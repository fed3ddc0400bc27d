"""Embed a set of real and generated pictures and their captions with encoders of your own.

    python tools/embed_pairs.py SET --encoders transformers:clip/ -o features.npz
    edgesdk train item --data images=features.npz

SET is a folder or archive with folders real and fake, and captions.json inside (or
`--captions FILE`); pictures without a caption are left out and counted. Encoders are
onnx:FOLDER (picture.onnx, text.onnx), transformers:FOLDER or open_clip:MODEL:WEIGHTS, all from
your own files. Parts that are done are kept beside the output, so that the command goes on.
"""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.captions import captions_inside, read_captions
from edgesdk.core.arrays import read_npz
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes, write_atomic
from edgesdk.own_encoders import companions, embedded, fingerprint, open_encoders
from edgesdk.tasks._generated_sets import read_sides
from tools.command import told


def embed(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the arrays of the file of features."""
    sides, encoders = read_sides(asked.set), open_encoders(asked.encoders)
    given = read_captions(asked.captions) if asked.captions else captions_inside(sides.source)
    chosen = [i for i, name in enumerate(sides.names) if given.of(name)]
    print(f"{len(chosen)} pictures, {len(sides) - len(chosen)} without a caption left out")
    if not chosen:
        raise UsageError(f"nothing is said of the pictures of {asked.set}; give --captions FILE")
    cache, about = asked.out.with_suffix(".parts"), fingerprint(encoders)
    rows = []
    for done, index in enumerate(chosen, 1):
        name = sides.names[index]
        caption = given.of(name)[0]
        row = parts(sides.source, name, caption, encoders, cache, about, asked.objects)
        rows.append(row)
        if done % 50 == 0 or done == len(chosen):
            print(f"{done}/{len(chosen)}", flush=True)
    arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return {**arrays, "generated": sides.generated[chosen], "companions": companions(encoders)}


def parts(
    source: Any, name: str, caption: str, encoders: Any, cache: Path, about: str, objects: int
) -> dict[str, Any]:
    """Return one picture's row, out of the cache where it is known."""
    key = sha256_bytes(source.bytes(name) + f"{caption}\n{about}\n{objects}".encode())[:24]
    path = cache / f"{key}.npz"
    if not path.is_file():
        write_npz(path, embedded(encoders, source.read(name), caption, objects))
    return dict(read_npz(path))


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    write_atomic(path, stream.getvalue())


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", type=Path, help="folder or archive with real and fake pictures")
    parser.add_argument("--encoders", required=True, help="KIND:PLACE")
    parser.add_argument("--captions", type=Path, help="JSON file; default: the one in the set")
    parser.add_argument("--objects", type=int, default=4, help="phrases per picture")
    parser.add_argument("-o", "--out", type=Path, required=True, help=".npz to write")
    asked = parser.parse_args()
    write_npz(asked.out, embed(asked))


if __name__ == "__main__":
    told(main)
