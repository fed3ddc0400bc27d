"""Verdicts on pictures as a table and as a page with heat maps."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import check_place, encoded, os_errors, write_atomic
from edgesdk.core.jobs import RunJob
from edgesdk.core.stages import staging
from edgesdk.core.tensors import Array
from edgesdk.generated import probability
from edgesdk.images import SUFFIXES

HIDDEN = ("map", "flat", "side", "shown")  # of a row: for the page alone
NESTED = ("objects",)  # what no cell of a table holds
SHOWN = 360  # longest side of a picture on the page, pixels
LONGEST = 300  # letters of a caption on the page
PAGE, TITLE = "index.html", "Generated or real: "
HEAD = f'<!doctype html><meta charset="utf-8"><title>{TITLE}'
OURS = re.compile(r"\d{4,}\.jpg")  # names of the page's pictures
STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.3rem}"
    "figure{display:flex;gap:1rem;align-items:center;margin:1rem 0;flex-wrap:wrap}"
    "img{max-width:45%;height:auto}figcaption{flex:1 1 14rem;overflow-wrap:anywhere}"
    "b{font-variant-numeric:tabular-nums}p{color:#444}"
)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one line per picture."""
    stream = io.StringIO()
    columns = [name for name in rows[0] if name not in (*HIDDEN, *NESTED)]
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, encoded(stream.getvalue()))


def write_sheet(folder: Path, rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> None:
    """Write index.html, the likeliest picture first, each beside where its clue lies.

    Args:
        folder: Made where it is missing.
        rows: Each with "shown", a JPEG of `heat_map`.
        result: What is told above and below.
    """
    title = escape(result["bundle"])
    head = f"{HEAD}{title}</title><style>{STYLE}</style><h1>{TITLE}{title}</h1>"
    lines = [result["warning"], cuts_told(result)]
    if any("map" in row for row in rows):
        lines.append(
            "Red: where the clue of a generator is; blue: where it is not; grey: flat, nothing can "
            "be told."
        )
    if any("objects" in row for row in rows):
        lines.append(
            "Beside a picture: its caption, and how far each thing named lies from the part that "
            "fits it best (0: alike, 1: unlike)."
        )
    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    skipped = "".join(
        f"<p>skipped {escape(s['picture'])}: {escape(s['why'])}</p>" for s in result["skipped"]
    )
    ordered = sorted(rows, key=lambda row: -row["probability"])
    pictures = {f"{number:04}.jpg": row["shown"] for number, row in enumerate(ordered)}
    parts = "".join(map(_figure, pictures, ordered))
    with _folder(folder), staging(folder / PAGE) as stage:
        for name, content in pictures.items():
            (stage / name).write_bytes(content)
        (stage / PAGE).write_bytes(encoded(f"{head}{text}{parts}{skipped}\n"))
        before = own_pictures(folder)
        for name in (*pictures, PAGE):
            (stage / name).replace(folder / name)
        for path in before - {folder / name for name in pictures}:
            path.unlink(missing_ok=True)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder that goes again where what follows fails and has left it empty."""
    with os_errors("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def own_pictures(folder: Path | None) -> set[Path]:
    """Return the pictures of a page that lies in a folder, none where none does."""
    if folder is None or not _is_page(folder / PAGE):
        return set()
    return {path for path in folder.iterdir() if OURS.fullmatch(path.name)}


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(HEAD)) == HEAD.encode()


def check_places(job: RunJob, csv: str | None) -> None:
    """Refuse places for the page and the table before any work is done.

    Raises:
        UsageError: a file is where a folder shall be or the other way round, or something would be
            written over that is no page or table.
        EdgeSdkError: nothing can be written there.
    """
    if csv is not None:
        table = Path(csv)
        check_place(table)
        if table.is_dir():
            raise UsageError(f"--csv {csv} is a folder; name a file for the table")
        if table.suffix.lower() in SUFFIXES:
            raise UsageError(f"--csv {csv} is a picture's name; name a file such as table.csv")
    folder = job.output
    if folder is None:
        return
    check_place(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder} is a file; name a folder for the page and its pictures")
    if any(path.is_dir() and path.resolve() == folder.resolve() for path in job.files):
        raise UsageError(f"-o {folder} holds the pictures that are looked at; name another folder")
    _check_free(folder)


def _check_free(folder: Path) -> None:
    """Raise UsageError where the page would replace files that are not those of a page."""
    with os_errors("read", folder):
        inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        ours = _is_page(folder / PAGE)
    foreign = [name for name in inside if name == PAGE or OURS.fullmatch(name)]
    if foreign and not ours:
        raise UsageError(
            f"-o {folder} holds {min(foreign)}, which is of no page of edgesdk and would be "
            "replaced; name another folder"
        )


def heat_map(pixels: Array, row: Mapping[str, Any]) -> Array:
    """Return a picture beside itself under the colours of its crops: red where it is generated.

    Args:
        pixels: uint8 [H, W, 3].
        row: Where it was seen in crops "map" [((top, left), logit)], the places of "flat" ones and
            their "side"; else the picture stands alone.
    """
    from PIL import Image

    picture = Image.fromarray(pixels)
    scale = min(1.0, SHOWN / max(picture.size))
    small = picture.resize([max(1, round(n * scale)) for n in picture.size])
    shown = np.asarray(small, np.float32)
    if "map" not in row:
        return shown.astype(np.uint8)
    red, known = (part[..., None] for part in _spread(row, shown.shape[:2], scale))
    colour = red * np.array([220.0, 30, 30]) + (1 - red) * np.array([30.0, 90, 220])
    over = 0.55 * shown.mean(2, keepdims=True) + 0.45 * (known * colour + (1 - known) * 128)
    return np.hstack([shown, over]).round().astype(np.uint8)


def _spread(row: Mapping[str, Any], shape: tuple[int, ...], scale: float) -> tuple[Array, Array]:
    """Return each pixel's probability [H, W], that of the crops near its place, and how much is
    known of it, 0 where all these are flat."""
    ys, xs = (np.arange(n)[:, None] / scale for n in shape[:2])
    every = [*row["map"], *((place, np.nan) for place in row.get("flat", ()))]
    tops, lefts = np.array([place for place, _ in every], float).T
    half, logits = row["side"] / 2, np.array([logit for _, logit in every])
    tells = np.isfinite(logits)
    down, across = (
        np.exp(-(((at - start - half) / _step(start, row["side"])) ** 2))
        for at, start in ((ys, tops), (xs, lefts))
    )
    mixed = np.einsum("yn,xn,n->yx", down, across, np.nan_to_num(logits))
    near = np.einsum("yn,xn,n->yx", down, across, tells.astype(float))
    return probability(mixed / np.maximum(near, 1e-12)), near / np.maximum(down @ across.T, 1e-12)


def _step(starts: Array, side: int) -> float:
    """Return how far the crops of a grid lie from each other along one axis."""
    apart = np.diff(np.unique(starts))
    return float(apart.max()) if len(apart) else float(side)


def cuts_told(result: Mapping[str, Any]) -> str:
    """Return the thresholds of a result as a sentence."""
    cuts = result["thresholds"]
    return (
        f"generated from {cuts['generated']:.3f}, real below {cuts['real']:.3f}, undecided "
        f"between; as if {result['prevalence']:.0%} of all pictures were generated"
    )


def verdict_of(row: Mapping[str, Any]) -> str:
    """Return a row's verdict, and what hinders one."""
    return f"{row['verdict']}: {row['note']}" if row["note"] else str(row["verdict"])


def _figure(name: str, row: Mapping[str, Any]) -> str:
    told = f"<b>{row['probability']:.3f}</b> {escape(verdict_of(row))}<br>{escape(row['picture'])}"
    said = in_short(row.get("caption", ""), LONGEST)
    told += f"<br>{escape(said)}" if said else ""
    told += "".join(
        f"<br>{escape(part['phrase'])}: {part['distance']:.2f}" for part in row.get("objects", ())
    )
    return (
        f'<figure><img src="{name}" alt="" loading="lazy"><figcaption>{told}</figcaption></figure>'
    )


def in_short(text: str, most: int) -> str:
    """Return a text on one line, cut where it is longer than `most` letters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def as_jpeg(picture: Array) -> bytes:
    """Return a picture as JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=88)
    return stream.getvalue()
