"""Lists of picture pairs, and how well an embedding tells them apart.

Three forms of list are read, from a folder or a tar archive:

`pairs.txt` as LFW has it: a first line `folds<TAB>pairs` (pairs of each kind and
fold), then per fold the genuine lines `Name 1 2` and the impostor lines
`Name 1 Other 3`; the file is `Name/Name_0001.jpg` (or another picture suffix).
`pairs.txt` without that first line, as MFR2 has it: any order, one fold.
`pairs.csv`: lines `same,path_a,path_b` or `same,path_a,path_b,fold`, same = 1 or 0. Where a
first line names the columns, further ones may follow: words that the pairs are split by.

A picture is found whatever the case, Unicode form, slashes and suffix of its name in the list;
docs/pictures.md tells more. All pictures are looked at first: a list is judged whole or not at all.
"""

import csv
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from edgesdk.core.biometrics import (
    FARS,
    VerificationMetrics,
    cosine,
    cross_scores,
    fit_thresholds,
    unit,
    verification,
)
from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.preprocess import resize
from edgesdk.core.tensors import Array
from edgesdk.picture_sets import Pictures
from edgesdk.picture_sets.names import plain, shown

LISTS = ("pairs.txt", "pairs.csv")
BLOCK = 256

Embed = Callable[[Sequence[Array]], Array]


@dataclass(frozen=True)
class PairSet:
    """Pairs of pictures with the truth about each.

    Attributes:
        path: Where it was read from.
        pictures: Names of the P different pictures.
        pairs: int [2, N]: picture numbers of both sides.
        same: bool [N], True where both show one person.
        fold: int [N].
        people: int [P] person of each picture, None where the list does not tell.
        source: The pictures' folder or archive.
        columns: Name -> word of each pair, of further columns of the list.
    """

    path: Path
    pictures: tuple[str, ...]
    pairs: Array
    same: Array
    fold: Array
    people: Array | None
    source: Pictures
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.same)

    def read(self, number: int) -> Array:
        """Return picture `number` as HxWx3 uint8 RGB."""
        return self.source.read(self.pictures[number])

    @cached_property
    def sha256(self) -> str:
        """Hash over the pairs and the content of every picture; equal for folder and archive."""
        content = {name: sha256_bytes(self.source.bytes(name)) for name in self.pictures}
        pairs = [self.pairs.tolist(), self.same.tolist(), self.fold.tolist()]
        return sha256_bytes(canonical([pairs, content]))


@dataclass(frozen=True, slots=True)
class _Line:
    """One pair as the list has it; a side is (person, picture's name, perhaps without suffix)."""

    same: bool
    sides: tuple[tuple[str, str], tuple[str, str]]
    fold: int
    more: tuple[tuple[str, str], ...] = ()  # column and word


def read_pairs(path: Path | str) -> PairSet:
    """Read a pair set, and look at every picture of it.

    Args:
        path: A folder or archive that holds the pictures and pairs.txt or pairs.csv,
            or such a list itself, with the pictures beside it.

    Raises:
        UsageError: there is no list, a line cannot be read, or pictures are missing or damaged.
    """
    given = Path(path)
    alone = given.suffix.lower() in (".txt", ".csv") and given.is_file()
    source = Pictures(given.parent if alone else given)
    name = plain(given.name) if alone else _list_of(source)
    where = f"{given}: {name}"
    rows = [(n, row) for n, row in enumerate(_text(source, name).splitlines(), 1) if row.strip()]
    with_people = not name.lower().endswith(".csv")
    lines = _lfw(rows, where) if with_people else _csv(rows, where)
    if not lines:
        raise UsageError(f"{where} lists no pairs")
    beside = name.rpartition("/")[0]
    found = _assemble(given, source, lines, f"{beside}/" if beside else "", with_people)
    source.check(found.pictures, strict=True)
    return found


def _list_of(source: Pictures) -> str:
    """Return the list of a set; it may lie in a folder around all."""
    lists = [name for name in source.files if name.rpartition("/")[2].lower() in LISTS]
    if lists:
        return min(lists, key=lambda name: (name.count("/"), not name.endswith(".txt"), name))
    raise UsageError(
        f"{source.path} holds neither {' nor '.join(LISTS)}; give a set with a list of pairs, "
        "see docs/pictures.md"
    )


def _text(source: Pictures, name: str) -> str:
    try:
        return unicodedata.normalize("NFC", source.bytes(name).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(
            f"{source.path}: {shown(name)} is not UTF-8 text; save it as UTF-8"
        ) from None


def _lfw(rows: list[tuple[int, str]], where: str) -> list[_Line]:
    header = rows[0][1].split() if rows else []
    if not (len(header) in (1, 2) and all(word.isdecimal() for word in header)):
        return [_lfw_line(line, 0, f"{where}, line {number}") for number, line in rows]
    folds, kind = int(header[0]) if len(header) == 2 else 1, int(header[-1])
    if len(rows) - 1 != folds * 2 * kind:
        raise UsageError(
            f"{where} promises {folds} x 2 x {kind} pairs in its first line and lists "
            f"{len(rows) - 1}; get the whole list"
        )
    return [
        _lfw_line(line, position // (2 * kind), f"{where}, line {number}")
        for position, (number, line) in enumerate(rows[1:])
    ]


def _lfw_line(line: str, fold: int, where: str) -> _Line:
    words = [w.strip() for w in (line.split("\t") if "\t" in line else line.split())]
    if len(words) == 3:
        words = [words[0], words[1], words[0], words[2]]
    if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
        raise UsageError(f"{where}: {line!r} is neither 'Name 1 2' nor 'Name 1 Other 3'")
    one, other = ((name, f"{name}/{name}_{int(n):04d}") for name, n in (words[:2], words[2:]))
    return _Line(one[0] == other[0], (one, other), fold)


def _csv(rows: list[tuple[int, str]], where: str) -> list[_Line]:
    lines, further = [], list[str]()
    for number, line in rows:
        words = [w.strip() for w in next(csv.reader([line]))]
        if number == rows[0][0] and words[0] == "same":
            further = [w for w in words[3:] if w != "fold"]
            continue
        words, more = words[: len(words) - len(further)], words[len(words) - len(further) :]
        good = len(words) in (3, 4) and words[0] in ("0", "1") and words[3:][:1] != [""]
        if not good or not all(w.isdecimal() for w in words[3:]):
            raise UsageError(
                f"{where}, line {number}: {line!r} is not 'same,path_a,path_b[,fold]' "
                "with same = 1 or 0"
            )
        fold = int(words[3]) if len(words) == 4 else 0
        sides = ("", words[1]), ("", words[2])
        lines.append(_Line(words[0] == "1", sides, fold, tuple(zip(further, more, strict=False))))
    return lines


def _assemble(
    path: Path, source: Pictures, lines: list[_Line], beside: str, with_people: bool
) -> PairSet:
    sides = sorted({side for line in lines for side in line.sides})
    number = {side: i for i, side in enumerate(sides)}
    persons = sorted({person for person, _ in sides})
    return PairSet(
        path=path,
        pictures=_files(source, [beside + name for _, name in sides]),
        pairs=np.array([[number[line.sides[k]] for line in lines] for k in (0, 1)]),
        same=np.array([line.same for line in lines]),
        fold=np.array([line.fold for line in lines]),
        people=np.array([persons.index(p) for p, _ in sides]) if with_people else None,
        source=source,
        columns=_columns(lines),
    )


def _columns(lines: list[_Line]) -> dict[str, tuple[str, ...]]:
    """Return the further columns; those of a line that is too short have been refused."""
    rows = [dict(line.more) for line in lines]
    return {name: tuple(row[name] for row in rows) for name in rows[0]}


def _files(source: Pictures, names: list[str]) -> tuple[str, ...]:
    """Return the pictures that a list names; all that are missing are told at once."""
    pictures = set(source.names)
    found = [source.find(name) for name in names]
    missing = [n for n, file in zip(names, found, strict=True) if file not in pictures]
    if missing:
        several = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise UsageError(
            f"{source.path} lacks the picture {missing[0]!r}{several} that its list of pairs "
            f"names; {source.line()}"
        )
    return tuple(str(file) for file in found)


def evaluate(
    embed: Embed,
    pairs: PairSet,
    size: int | None = None,
    mirrored: bool = False,
    fars: Sequence[float] = FARS,
) -> VerificationMetrics:
    """Judge an embedding on a pair set by the cosine.

    Args:
        embed: From a list of at most 256 HxWx3 uint8 pictures to [N, D].
        pairs: The set.
        size: Side in pixels that the pictures are shrunk to first (area average, rounded
            to uint8); None leaves them alone.
        mirrored: Add the unit embedding of the mirrored picture to that of the picture.
        fars: FAR points. Beside the listed impostor pairs, all pairs of different people
            within one fold are used where the list names people.

    Raises:
        UsageError: a picture cannot be read, or the embeddings are not finite.
    """
    embeddings = embed_pictures(embed, pairs, size, mirrored)
    return judge(embeddings, pairs, fars=fars)


def judge(
    embeddings: Array,
    pairs: PairSet,
    keep: Array | None = None,
    fars: Sequence[float] = FARS,
) -> VerificationMetrics:
    """Judge the embeddings of `embed_pictures`.

    Args:
        embeddings: [P, D], one row per picture of the set.
        pairs: The set.
        keep: bool [N], the pairs to judge; None for all.
        fars: FAR points.
    """
    chosen = np.ones(len(pairs), bool) if keep is None else keep
    a, b = pairs.pairs[:, chosen]
    fold = pairs.fold[chosen]
    scores = cosine(embeddings[a], embeddings[b])
    every = None
    if pairs.people is not None and len(fold):
        seen = [np.unique(np.concatenate([a[fold == k], b[fold == k]])) for k in np.unique(fold)]
        every = np.concatenate([cross_scores(embeddings[s], pairs.people[s])[1] for s in seen])
    return verification(scores, pairs.same[chosen], fold, fars=fars, all_impostors=every)


def thresholds(embeddings: Array, pairs: PairSet) -> dict[str, dict[str, float]]:
    """Return the decision thresholds fitted on these embeddings, as a bundle stores them.

    All pairs of different people are impostors where the list names people, else the listed ones.
    """
    genuine = cosine(*embeddings[pairs.pairs])[pairs.same]
    return fit_thresholds(genuine, impostor_scores(embeddings, pairs))


def impostor_scores(embeddings: Array, pairs: PairSet) -> Array:
    """Return the cosines of all pairs of different people, of the listed ones without names."""
    if pairs.people is not None:
        return cross_scores(embeddings, pairs.people)[1]
    return cosine(*embeddings[pairs.pairs])[~pairs.same]


def embed_pictures(
    embed: Embed, pairs: PairSet, size: int | None = None, mirrored: bool = False
) -> Array:
    """Return float32 [P, D] unit embeddings of all pictures of the set, see `evaluate`."""
    found = []
    for block in _blocks(pairs, size):
        rows = _checked(embed(block), len(block))
        if mirrored:
            rows = rows + _checked(embed([p[:, ::-1] for p in block]), len(block))
        found.append(unit(rows))
    return np.concatenate(found)


def _blocks(pairs: PairSet, size: int | None) -> Iterator[list[Array]]:
    for start in range(0, len(pairs.pictures), BLOCK):
        numbers = range(start, min(start + BLOCK, len(pairs.pictures)))
        yield [shrunk(pairs.read(number), size) for number in numbers]


def shrunk(picture: Array, size: int | None) -> Array:
    """Return `picture` as uint8 [size, size, 3] by area average, itself for size None."""
    if size is None or picture.shape[:2] == (size, size):
        return picture
    small: Array = resize(picture, (size, size)).round().astype(np.uint8)
    return small


def _checked(embeddings: Array, count: int) -> Array:
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or len(rows) != count or not np.isfinite(rows).all():
        raise UsageError(
            f"embedding {count} pictures gave an array of shape {rows.shape} or values that are "
            f"not finite; expected finite [{count}, D]"
        )
    return unit(rows)
