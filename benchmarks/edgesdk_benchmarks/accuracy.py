"""Verification accuracy per model and face size, as one JSON file.

    python -m edgesdk_benchmarks.accuracy --pairs lfw.tar --bundle bridge-face --sface -o lfw.json

Every face is shrunk to the size of its row by area average and rounded to uint8 before a
model sees it. A bundle or checkpoint is judged at the sizes up to its own input, and at its
own; the teacher and the networks of others (`--mobilefacenet FILE.tflite`, `--dlib`) enlarge
small faces by the bicubic kernel. No mirrored views but with `--mirrored`: then both views of
a face are embedded, and "views" is 2; of artefacts never.

`--train-embeddings` names what the teacher said about the training faces. Faces of the pair
set whose cosine to any of them is above 0.5 are counted, and the accuracy is told without
their pairs as well: the people of two sets may overlap where names are unknown.

`--keep` takes the accuracies of an unchanged model, pair set and leak control from the file
that OUTPUT names, so that only what is new is judged; times are always measured again.
Artefacts are always exported again, and judged where other files come out than before.

`--split mask` tells the accuracy on masked and bare faces apart, as the segmenter of the shipped
`masked-face` sees them; `--split NAME` by a further column of pairs.csv.

Each row also tells the median time of one face on the threads asked for, from an aligned
crop to its embedding; all models are timed in turns in one run. A file of a fixed batch is
timed with its batch full, per face. `--plot FILE.svg` draws accuracy against that time.

`--artefacts MODEL` (a shipped name or a checkpoint) exports every target and precision that
this machine can build and run, and judges each at the model's own size: its accuracy, the
threshold fitted on it, and what it lost against the same checkpoint in torch. No time is told
of these: `edgesdk bench` measures bundles.
"""

import argparse
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.arrays import read_npz
from edgesdk.core.biometrics import cosine, decided_rightly, unit
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import check_target, read_json, write_atomic, write_json
from edgesdk.core.shipped import shipped
from edgesdk.core.tensors import Array
from edgesdk.core.typed import check_known
from edgesdk.pairs import PairSet, embed_pictures, judge, read_pairs
from edgesdk.strata import split
from edgesdk_benchmarks import _artefacts, _sface
from edgesdk_benchmarks._models import (
    Model,
    both_views,
    bundle_model,
    checkpoint_model,
    sface_model,
    sizes_of,
)
from edgesdk_benchmarks._peers import dlib_model, mobilefacenet_model
from edgesdk_benchmarks._plot import plot
from edgesdk_benchmarks._timing import interleaved
from edgesdk_benchmarks.claims import claims, small_losses

# History of the schema: 1, the first one.
SCHEMA_VERSION = 1
# What is read back of an earlier result.
EARLIER = {"data": Mapping[str, Any], "rows": list[Mapping[str, Any]]}
ROW = {"sha256": str, "face_px": int | None}
SIZES = (16, 20, 24, 32, 48, 64, 112)
LEAK_COSINE = 0.5
# Raw times kept per model.
MOST_SAMPLES = 200

FACTS = (
    "model", "target", "precision", "runtime", "sha256", "source_sha256", "parameters", "macs",
    "ms_per_face", "ms_samples", "trained",
)  # fmt: skip
Known = dict[tuple[Any, int], dict[str, Any]]


def leaked_faces(pairs: PairSet, training: Sequence[str], threads: int) -> Array:
    """Return bool [P]: faces of the set that look like a training face to the teacher."""
    faces = embed_pictures(_sface.embedder(_sface.weights(), threads), pairs)
    leaked = np.zeros(len(faces), bool)
    for path in training:
        known = unit(read_embeddings(path))
        if known.shape[1] != faces.shape[1]:
            raise UsageError(
                f"{path} holds vectors of {known.shape[1]}, SFace has {faces.shape[1]}"
            )
        for start in range(0, len(known), 4096):
            leaked |= (faces @ known[start : start + 4096].T).max(1) > LEAK_COSINE
    return leaked


def read_embeddings(path: str) -> Array:
    """Return [M, D] from an .npz with an array "embedding" or "embeddings", or a run's cache.

    The cache of a training run is a file sface-*.f32 of rows of 128 floats.

    Raises:
        UsageError: there is no such file or array.
    """
    try:
        rows = _cached(path) if path.endswith(".f32") else _packed(path)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is no .npz file with an array 'embedding' ({error or 'no such array'}); "
            "give the teacher's vectors of the training faces"
        ) from None
    if rows.dtype.kind != "f" or rows.ndim != 2 or len(rows) == 0 or not np.isfinite(rows).all():
        raise UsageError(f"{path}: the embeddings must be finite [M, D], found {rows.shape}")
    return rows


def _packed(path: str) -> Array:
    arrays = read_npz(Path(path))
    name = next((n for n in ("embedding", "embeddings") if n in arrays), "")
    if not name:
        raise ValueError
    return arrays[name]


def _cached(path: str) -> Array:
    return np.fromfile(path, "<f4").reshape(-1, 128)


def judge_model(
    model: Model,
    pairs: PairSet,
    asked: Sequence[int],
    leaked: Array | None,
    known: Known | None = None,
    strata: Mapping[str, Array] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one row of the result per face size; what `known` holds is not judged again."""
    for size in sizes_of(model, asked):
        found = (known or {}).get((model.facts.get("sha256"), size))
        judged = found or _judged(model, pairs, size, leaked, strata or {})
        yield {**model.facts, "face_px": size, **judged}


def _judged(
    model: Model, pairs: PairSet, size: int, leaked: Array | None, strata: Mapping[str, Array]
) -> dict[str, Any]:
    embeddings = embed_pictures(model.embed, pairs, size)
    row = judge(embeddings, pairs).to_json()
    if strata:
        row["strata"] = _by_stratum(embeddings, pairs, strata)
    if leaked is not None:
        keep = np.asarray(~leaked[pairs.pairs].any(0))
        row["without_leaks"] = judge(embeddings, pairs, keep).to_json()
    return row


def _by_stratum(
    embeddings: Array, pairs: PairSet, strata: Mapping[str, Array]
) -> dict[str, dict[str, Any]]:
    """Return per stratum its pairs and their accuracy at the thresholds of the other folds."""
    scores = cosine(*embeddings[pairs.pairs])
    right = decided_rightly(scores, pairs.same, pairs.fold)
    return {
        name: {"pairs": int(keep.sum()), "accuracy": float(right[keep].mean())}
        for name, keep in strata.items()
    }


def earlier_result(path: Path, pairs: PairSet) -> dict[str, Any]:
    """Return an earlier result of the same pair set, an empty one where there is none."""
    document: dict[str, Any] = read_json(path, "accuracy result") if path.is_file() else {}
    try:
        check_known("result", document, EARLIER, ())
        for row in document.get("rows", ()):
            check_known("row", row, ROW, ROW)
    except (TypeError, KeyError) as error:
        raise UsageError(
            f"{path} is no accuracy result ({error}); name another file with -o"
        ) from None
    same = document.get("data", {}).get("sha256") == pairs.sha256
    return document if same else {}


def known_rows(document: dict[str, Any], leaks: dict[str, Any] | None) -> Known:
    """Return what an earlier result holds, by model's hash and face size.

    Nothing, where that result is of another leak control.
    """
    facts = {"face_px", *FACTS}
    return {
        (row["sha256"], row["face_px"]): {k: v for k, v in row.items() if k not in facts}
        for row in document.get("rows", [])
        if document.get("leak_control") == leaks
    }


def time_models(models: Sequence[Model], pairs: PairSet) -> list[dict[str, Any]]:
    """Return per model the time of one face, pre-processing included, interleaved in one run."""
    face = pairs.read(0)
    calls = {str(i): partial(model.embed, [face] * model.batch) for i, model in enumerate(models)}
    series = interleaved(calls, warmup=5, iterations=50, duration_s=1.0) if calls else {}
    each = [np.array(series[str(i)].samples) / 1e6 / m.batch for i, m in enumerate(models)]
    return [
        {
            "ms_per_face": float(np.median(times)),
            "ms_samples": [round(float(ms), 6) for ms in times[:MOST_SAMPLES]],
        }
        for times in each
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with ExitStack() as stack:
            _run(_parser().parse_args(words), words, stack)
    except EdgeSdkError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _run(asked: argparse.Namespace, words: list[str], stack: ExitStack) -> None:
    threads, openers = asked.threads, _openers(asked, stack)
    if not openers and not asked.artefacts:
        raise UsageError(
            "no model was given; name one with --bundle, --shipped, --checkpoint, --sface, "
            "--mobilefacenet, --dlib or --artefacts"
        )
    if asked.split and asked.keep:
        raise UsageError("--split judges every model anew; leave --keep out")
    if asked.mirrored and asked.keep:
        raise UsageError("--mirrored judges every model anew; leave --keep out")
    for target in filter(None, (asked.output, asked.plot)):
        check_target(target)
    plan = _artefacts.make_plan(asked.artefacts, asked.targets, asked.calib)
    pairs = read_pairs(asked.pairs)
    models = [opener() for opener in openers]
    if asked.mirrored:
        models = [both_views(model) for model in models]
    leaked = None
    if asked.train_embeddings:
        leaked = leaked_faces(pairs, asked.train_embeddings, threads)
    leaks = None if leaked is None else _leak_control(pairs, leaked)
    earlier = earlier_result(asked.output, pairs) if asked.keep else {}
    known = known_rows(earlier, leaks)
    costs = time_models(models, pairs)
    strata = split(pairs, asked.split, threads) if asked.split else None
    rows: list[dict[str, Any]] = []
    for model, cost in zip(models, costs, strict=True):
        model.facts.update(cost)
        for row in judge_model(model, pairs, asked.sizes, leaked, known, strata):
            rows.append(row)
            _say(_line(row))
    artefacts = []
    exported = {row["sha256"]: row for row in earlier.get("artefacts", []) if "sha256" in row}
    for row in _artefacts.judge_artefacts(plan, pairs, threads, exported):
        artefacts.append(row)
        _say(_artefacts.line(row))
    write_json(asked.output, _document(words, pairs, leaks, rows, artefacts))
    _say(f"written {asked.output}")
    if asked.plot and rows:
        write_atomic(asked.plot, plot(rows).encode())
        _say(f"written {asked.plot}")


def _openers(asked: argparse.Namespace, stack: ExitStack) -> list[Callable[[], Model]]:
    threads = asked.threads
    bundles = [*asked.bundle, *(shipped("face-embedding") if asked.shipped else [])]
    return [
        *(partial(bundle_model, path, asked.runtime, threads, stack) for path in bundles),
        *(partial(checkpoint_model, path, threads, stack) for path in asked.checkpoint),
        *([partial(sface_model, threads)] if asked.sface else []),
        *(partial(mobilefacenet_model, path, threads) for path in asked.mobilefacenet),
        *([dlib_model] if asked.dlib else []),
    ]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _leak_control(pairs: PairSet, leaked: Array) -> dict[str, Any]:
    return {
        "teacher": "sface-2021dec",
        "cosine_above": LEAK_COSINE,
        "faces": int(leaked.sum()),
        "pairs": int(leaked[pairs.pairs].any(0).sum()),
    }


def _document(
    words: list[str],
    pairs: PairSet,
    leaks: dict[str, Any] | None,
    rows: list[dict[str, Any]],
    artefacts: list[dict[str, Any]],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": "accuracy",
        "command": " ".join(["python -m edgesdk_benchmarks.accuracy", *map(_short, words)]),
        "data": {
            "name": pairs.path.name,
            "sha256": pairs.sha256,
            "pairs": len(pairs),
            "pictures": len(pairs.pictures),
            "folds": len(np.unique(pairs.fold)),
        },
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            **{name: version(name) for name in ("edgesdk", "numpy", "onnxruntime")},
        },
        "rows": rows,
        "claims": [*claims(rows), *small_losses(artefacts)],
    }
    if artefacts:
        document["artefacts"] = artefacts
    if leaks is not None:
        document["leak_control"] = leaks
    return document


def _short(word: str) -> str:
    """Leave out where files lie on this machine, but not which run a checkpoint is of."""
    path = Path(word)
    kept = path.parts[-2:] if path.name == "checkpoint" else path.parts[-1:]
    return "/".join(kept) if "/" in word else word


def _line(row: dict[str, Any]) -> str:
    tar = row["tar"].get("far_1e-2", {}).get("value")
    return (
        f"{row['model']:<16} {row['precision']:<5} {row['face_px']:>4} px  "
        f"accuracy {100 * row['accuracy']:.2f} ± {100 * row['accuracy_std']:.2f} %  "
        f"AUC {row['auc']:.4f}  TAR@FAR 1e-2 {'refused' if tar is None else f'{tar:.3f}'}  "
        f"{1000 / row['ms_per_face']:.5g} faces/s"
    )


def _sizes(text: str) -> list[int]:
    sizes = [int(word) for word in text.split(",")]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError("sizes are pixels from 1 up")
    return sizes


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edgesdk_benchmarks.accuracy", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--pairs", required=True, help="folder or tar with pairs.txt or pairs.csv")
    add("--bundle", action="append", default=[], help="bundle folder or shipped name; repeatable")
    add("--shipped", action="store_true", help="judge every shipped face model's ONNX bundle")
    add("--checkpoint", action="append", default=[], help="checkpoint folder; repeatable")
    add("--sface", action="store_true", help="judge the teacher SFace as well")
    add("--mobilefacenet", action="append", default=[], help="MobileFaceNet.tflite")
    add("--dlib", action="store_true", help="judge dlib's face network as well (slow)")
    add("--artefacts", action="append", default=[], help="shipped name or checkpoint; repeatable")
    add("--targets", type=_words, default=[], help="targets of the artefacts, such as onnx,tflite")
    add("--calib", help="folder or tar of crops for artefacts in int8; default: synthetic faces")
    add("--sizes", type=_sizes, default=list(SIZES), help="face sizes in pixels, such as 16,32")
    add("--train-embeddings", action="append", default=[], help=".npz or a run's cache")
    add("--split", help="a further column of pairs.csv, or mask: masked and bare faces apart")
    add("--mirrored", action="store_true", help="add the mirrored view of every face")
    add("--keep", action="store_true", help="judge only what OUTPUT does not hold yet")
    add("--runtime", help="runtime of the bundles")
    add("--threads", type=int, default=1, help="threads of the CPU")
    add("--plot", type=Path, help="SVG file to draw: accuracy against the time of one face")
    add("-o", "--output", type=Path, required=True, help="JSON file to write")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
