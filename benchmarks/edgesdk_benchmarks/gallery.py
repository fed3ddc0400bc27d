"""How fast and how exact a gallery of a million faces is, as one committed file.

    OMP_NUM_THREADS=1 python -m edgesdk_benchmarks.gallery -o benchmarks/results/gallery.json

Embeddings are drawn: every person a direction at random, which leaves nothing that an index
could lean on, as the embeddings of SFace nearly do. Half of the probes are further pictures of
people in the gallery, at a cosine of 0.4 to 0.9, half are strangers. Recall is the share of
probes whose first answer is that of a comparison with all faces in float32; a stranger's counts
as well, though the answer is mostly "nobody". One probe is one call of `Gallery.search`.

`exact_limit` is the largest gallery tried that is compared exactly within LIMIT_MS.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk import galleries
from edgesdk.core.env import environment
from edgesdk.core.files import write_json
from edgesdk.core.tensors import Array
from edgesdk.galleries import Gallery
from edgesdk_benchmarks._worker import peak_mb

MODEL = "bridge-face-plus-64"
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
LIMIT_MS, LEAST_RECALL = 5.0, 0.99
BLOCK = 50_000


def drawn(count: int, dim: int, random: np.random.Generator) -> Array:
    """Return unit rows [count, dim] of any direction."""
    rows: Array = random.standard_normal((count, dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def further(faces: Array, random: np.random.Generator) -> Array:
    """Return for each face another of the same person, at a cosine of 0.4 to 0.9."""
    cosine = random.uniform(0.4, 0.9, (len(faces), 1)).astype(np.float32)
    other = drawn(len(faces), faces.shape[1], random)
    other -= (other * faces).sum(1, keepdims=True) * faces
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    found: Array = cosine * faces + np.sqrt(1 - cosine**2) * other
    return found


def nearest(rows: Array, probes: Array) -> Array:
    """Return the number of the nearest row of each probe, compared with all of them."""
    best, where = np.full(len(probes), -2.0, np.float32), np.zeros(len(probes), int)
    for start in range(0, len(rows), BLOCK):
        scores = probes @ rows[start : start + BLOCK].T
        place, top = scores.argmax(1), scores.max(1)
        where[top > best] = start + place[top > best]
        np.maximum(best, top, out=best)
    return where


def filled(rows: Array) -> Gallery:
    """Return a gallery with one person per row."""
    gallery = Gallery(MODEL)
    for number, row in enumerate(rows):
        gallery.add(f"p{number}", row)
    return gallery


def timed(gallery: Gallery, probes: Array, exact_up_to: int) -> tuple[dict[str, Any], Array]:
    """Return the time of one probe in ms, and the answers, with another limit of exactness."""
    before, galleries.EXACT = galleries.EXACT, exact_up_to
    try:
        first = _ms(lambda: gallery.search(probes[0]))
        times, answers = [], []
        for probe in probes:
            begin = time.perf_counter()
            (found,) = gallery.search(probe)
            times.append((time.perf_counter() - begin) * 1e3)
            answers.append(int(found.name[1:]))
    finally:
        galleries.EXACT = before
    told = {"p50": np.median(times), "p90": np.quantile(times, 0.9), "min": min(times)}
    return {**{k: round(float(v), 3) for k, v in told.items()}, "first": first}, np.array(answers)


def _ms(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return round((time.perf_counter() - begin) * 1e3, 1)


def row_of(count: int, probes: int, random: np.random.Generator) -> dict[str, Any]:
    """Measure one size of gallery."""
    faces = drawn(count, Gallery(MODEL).dim, random)
    gallery = filled(faces)
    asked = {
        "known": further(faces[random.integers(0, count, probes)], random),
        "strangers": drawn(probes, faces.shape[1], random),
    }
    every = np.concatenate(list(asked.values()))[random.permutation(2 * probes)]
    exact, _ = timed(gallery, every[: max(20, 40_000_000 // count // 10)], count)
    coarse, _ = timed(gallery, every, 0)
    recall = {
        name: float((timed(gallery, rows, 0)[1] == nearest(faces, rows)).mean())
        for name, rows in asked.items()
    }
    return {"faces": count, "exact_ms": exact, "ms": coarse, "recall": recall, **_file(gallery)}


def _file(gallery: Gallery) -> dict[str, Any]:
    """Return what writing, reading and forgetting cost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.gallery"
        save, size = _ms(lambda: gallery.save(path)), path.stat().st_size
        load = _ms(lambda: Gallery.load(path, MODEL))
    limit = _ms(gallery.limit)
    remove = _ms(lambda: gallery.remove("p1"))
    return {"bytes": size, "save_ms": save, "load_ms": load, "limit_ms": limit, "remove_ms": remove}


def claims_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was wanted of the largest gallery, and whether it holds."""
    last = rows[-1]
    recall = float(np.mean(list(last["recall"].values())))
    where = f"{last['faces']:,} faces x 128 values, one thread"
    return [
        {
            "claim": f"one probe takes at most {LIMIT_MS:g} ms: {where}",
            "value": last["ms"]["p50"],
            "pass": last["ms"]["p50"] <= LIMIT_MS,
        },
        {
            "claim": f"recall of the nearest face at least {LEAST_RECALL}: {where}",
            "value": recall,
            "pass": recall >= LEAST_RECALL,
        },
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", type=int, default=SIZES[-1], help="size of the largest gallery")
    parser.add_argument("--probes", type=int, default=500, help="of each kind")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    asked = parser.parse_args(words)
    random, rows = np.random.default_rng(0), []
    for count in [*(size for size in SIZES if size < asked.faces), asked.faces]:
        rows.append(row_of(count, asked.probes, random))
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
    quick = [row["faces"] for row in rows if row["exact_ms"]["p50"] <= LIMIT_MS]
    threads = os.environ.get("OMP_NUM_THREADS", "")
    document = {
        "kind": "gallery",
        "command": f"OMP_NUM_THREADS={threads} python -m edgesdk_benchmarks.gallery "
        f"--faces {asked.faces} --probes {asked.probes}",
        "environment": environment(),
        "rows": rows,
        "peak_mb": peak_mb(),
        "exact_limit": max(quick, default=0),
        "claims": claims_of(rows),
    }
    write_json(asked.output, document)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
