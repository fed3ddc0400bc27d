"""Explain a decision from the outputs alone; find where two artefacts of a model disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core.bundle import MANIFEST
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.core.files import check_target
from edgesdk.core.shipped import open_bundle
from edgesdk.core.table import table
from edgesdk.verbs._verb import Progress, Verb, listed

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.session import Session

QUERIES = 400


def explain(
    bundle: Path | str | Bundle,
    files: Sequence[Path | str | Bundle] | Path | str,
    *,
    method: str = "relabel",
    neighbours: Path | str | None = None,
    queries: int = QUERIES,
    worst: int = 1,
    seed: int = 0,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    output: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Show which parts of a picture a decision rests on, asking the model for answers alone.

    Args:
        bundle: Bundle folder or shipped name of the model.
        files: Pictures or folders; two of faces. A second bundle before them is compared with
            the first: the pictures on which both disagree most are explained for both.
        method: relabel (neighbours in a latent space, labelled by the model), lime or rise.
        neighbours: What draws neighbours: faces, digits, pictures, or a bundle of your own
            (edgesdk train relabel); default: by the model's task.
        queries: Pictures that a map may ask the model about.
        worst: Number of disagreements to explain.
        seed: Draws neighbours and masks.
        runtime: Runtime; default: the first one of the bundle that works here.
        device: cpu, cuda:0 or auto.
        threads: Threads of the CPU.
        allow_fallback: Accept another device than the one asked for.
        output: Picture to write: each picture beside its map; a .json of the same name beside
            it is what `edgesdk report` shows.
        progress: Called with (done, total, label).

    Returns:
        Plain data of the first picture: "decision", "share", "saliency" (rows of -1..1, above 0
        speaks for the decision), "shifted_share", "fidelity", "deletion", "insertion",
        "queries", "notes"; "others": the same of the others; "over_pictures": means with
        intervals. Of two bundles: also "disagreements", "saliency_other" and "difference".

    Raises:
        UsageError: a picture cannot be read, or there are too few.
        UnsupportedError: the model's task tells of no decision.
    """
    from edgesdk.saliency.explained import METHODS

    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}. {did_you_mean(method, METHODS)}")
    if worst < 1:
        raise UsageError(f"worst is a number of pictures, 1 or more, found {worst}")
    target = _target(output)
    bundles, paths = _sorted(bundle, listed(files))
    from edgesdk.saliency.asking import Asking
    from edgesdk_runtimes._open import open_session

    def opened(one: Bundle) -> Session:
        return open_session(one, runtime, device, threads, allow_fallback)

    with ExitStack() as stack:
        asking = Asking(
            stack, opened, method=method, neighbours=neighbours, queries=queries, seed=seed,
            threads=threads, progress=progress,
        )  # fmt: skip
        if len(bundles) == 1:
            result, rows = asking.explain(bundles[0], paths)
        else:
            result, rows = asking.disagree(bundles[0], bundles[1], paths, worst)
    if target is not None:
        from edgesdk.saliency.draw import write

        write(target, rows, result)
    return {**result, "output": None if target is None else str(target)}


def _target(output: Path | str | None) -> Path | None:
    if output is None:
        return None
    from edgesdk.tasks._output import PICTURES, check_suffix

    target = Path(output)
    check_suffix(target, PICTURES)
    check_target(target)
    return target


def _sorted(bundle: Any, files: Sequence[Any]) -> tuple[list[Bundle], list[Path]]:
    """Return one or two bundles, and the pictures."""
    found = [open_bundle(bundle)]
    if files and _is_bundle(files[0]):
        found.append(open_bundle(files[0]))
        files = files[1:]
    if not files:
        raise UsageError("no picture was given; name pictures, or folders of them")
    return found, [Path(path) for path in files]


def _is_bundle(word: Any) -> bool:
    from edgesdk.core.bundle import Bundle
    from edgesdk.core.shipped import shipped

    return (
        isinstance(word, Bundle)
        or (Path(word) / MANIFEST).is_file()
        or (not Path(word).exists() and str(word) in shipped())
    )


def show(result: Mapping[str, Any]) -> str:
    """Return a line per map, means over several pictures, and what to be careful about."""
    head = ("picture", "decision", "share", "fidelity", "deletion", "insertion", "shifted")
    rows = [result, *result["others"]]
    lines = [table(head, [_line(row) for row in rows])]
    if "disagreements" in result:
        lines.insert(0, _disagreements(result))
    if len(rows) > 1 and "disagreements" not in result:
        lines += [
            f"{name} over {len(rows)} maps: {found['mean']:.3f} "
            f"(95 % interval {found['low']:.3f} to {found['high']:.3f})"
            for name, found in result["over_pictures"].items()
        ]
    lines += [f"{Path(row['picture']).name}: {row['about']}" for row in rows if row["about"]]
    lines += [f"{Path(row['picture']).name}: {note}" for row in rows for note in row["notes"]]
    lines.append(
        f"{result['queries']} queries a map; fidelity is that of the linear student on neighbours "
        "kept from it; deletion: lower is better, insertion: higher"
    )
    return "\n".join([*lines, *([f"wrote {result['output']}"] if result["output"] else [])])


def _line(row: Mapping[str, Any]) -> list[str]:
    shares = (row["share"], row["fidelity"], row["deletion"], row["insertion"])
    numbers = ["none" if value is None else f"{value:.3f}" for value in shares]
    name = "/".join(Path(row["picture"]).parts[-2:])
    return [name, row["decision"], *numbers, f"{row['shifted_share']:.2f}"]


def _disagreements(result: Mapping[str, Any]) -> str:
    rows = result["disagreements"]
    changed = sum(row["decision"] != row["decision_other"] for row in rows)
    body = [
        ["/".join(Path(r["picture"]).parts[-2:]), r["decision"], f"{r['share']:.3f}",
         r["decision_other"], f"{r['share_other']:.3f}"]
        for r in rows[:10]
    ]  # fmt: skip
    first, other = result["bundle"], result["bundle_other"]
    told = f"{changed} of {len(rows)} decisions differ between {first} and {other}"
    return f"{told}\n{table(['picture', first, 'share', other, 'share'], body)}"


PLUGIN = Verb(explain, show, place=7)
