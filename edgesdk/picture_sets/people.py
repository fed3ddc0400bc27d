"""Whose picture is it? A folder per person, with sessions or splits beside it or inside.

    anna/1.jpg                    anna
    anna/day1/1.jpg               anna: what lies deeper belongs to the person
    train/anna/1.jpg              anna, with val/anna/2.jpg: splits share people
    set/anna/1.jpg                anna: one folder around all is no person
    1.jpg                         nobody: loose files belong to no person

Two levels of folders may also be groups of people (women/anna/1.jpg). They are taken as
person and session where the inner names are those of sessions; else it is asked, never guessed.
"""

import re
import unicodedata
from collections.abc import Sequence

from edgesdk.core.errors import UsageError
from edgesdk.picture_sets.names import shown, some

SPLITS = frozenset(
    (
        *("train", "training", "trainset", "val", "valid", "validation", "dev", "test", "testing"),
        *("testset", "eval", "evaluation", "holdout", "gallery", "probe", "query"),
    )
)
TRAIN = frozenset(("train", "training", "trainset"))
_SESSION = re.compile(
    r"(day|session|sess|visit|take|shot|clip|video|vid|seq|sequence|cam|camera|view|scene|album"
    r"|trip|event|burst|roll|year|month|week|date|batch|part|set|season|photos|pictures|images|pics"
    r"|crops|faces|raw|original|originals|aligned|front|frontal|left|right|profile|indoor|outdoor"
    r"|masked|unmasked)s?[ _.-]*\d*"
    r"|(19|20)\d\d([ _.-]?\d\d){0,2}([ _.-].*)?"
)

Folders = tuple[str, ...]


def people_of(names: Sequence[str], where: str) -> list[str | None]:
    """Return whose picture each is, None for a loose file beside the persons' folders.

    Args:
        names: Pictures of one set.
        where: The set's name, for messages.

    Raises:
        UsageError: there is no folder per person, or it cannot be told which folder is one.
    """
    folders = _folders(names)
    inner = _inside(folders)
    if names and not any(inner):
        raise UsageError(_flat(names, folders, where))
    _ask_of_groups({f for f in inner if f}, where)
    return [folder[0] if folder else None for folder in inner]


def inner_folders(names: Sequence[str]) -> list[Folders]:
    """Return the folders of each name below splits and a folder around all."""
    return _inside(_folders(names))


def for_tests(names: Sequence[str]) -> list[bool]:
    """Tell which pictures lie in a split beside the one to train on, such as test/anna/1.jpg."""
    folders = _folders(names)
    around = [f[: len(f) - len(i)] for f, i in zip(folders, _inside(folders), strict=True)]
    splits = [{name.casefold() for name in outer} & SPLITS for outer in around]
    if not any(split & TRAIN for split in splits):
        return [False] * len(names)
    return [bool(split) and not split & TRAIN for split in splits]


def _folders(names: Sequence[str]) -> list[Folders]:
    return [tuple(unicodedata.normalize("NFC", name).split("/")[:-1]) for name in names]


def _inside(folders: Sequence[Folders]) -> list[Folders]:
    depth, inner = 0, set(folders)
    while _splits({f[0] for f in inner if f}) or _around({f for f in inner if f}):
        depth, inner = depth + 1, {folder[1:] for folder in inner}
    return [folder[depth:] for folder in folders]


def _splits(tops: set[str]) -> bool:
    return bool(tops) and {top.casefold() for top in tops} <= SPLITS


def _around(folders: set[Folders]) -> bool:
    """Return whether one folder is around all, and is not the only person."""
    if len({folder[0] for folder in folders}) != 1 or min(map(len, folders)) == 1:
        return False
    return max(map(len, folders)) > 2 or not _sessions({folder[1] for folder in folders})


def _sessions(names: set[str]) -> bool:
    """Return whether all of these name sessions, or splits, of one person."""
    plain = {name.casefold() for name in names}
    return all(name in SPLITS or _SESSION.fullmatch(name) for name in plain)


def _ask_of_groups(folders: set[Folders], where: str) -> None:
    """Refuse two levels of folders that may be groups of people."""
    direct = {folder[0] for folder in folders if len(folder) == 1}
    deep = {folder[0] for folder in folders} - direct
    below = {folder[:2] for folder in folders if folder[0] in deep}
    if len(deep) <= len(direct) or len(below) == len(deep):
        return
    inner = {sub for _, sub in below}
    # The same names below most folders are sessions, unless these folders are few.
    repeated = len(inner) <= len(below) / 2 and len(below) <= len(deep) ** 2
    if repeated or _sessions(inner):
        return
    top = min(deep)
    subs = sorted(sub for first, sub in below if first == top)
    raise UsageError(
        f"{where}: {len(deep)} folders hold folders ({shown(top)} holds {some(subs)}): is "
        f"{shown(top)} one person, or a group of people? If one person, move the pictures up "
        f"into {shown(top)}; if a group, give each group as a set of its own, or move the inner "
        "folders up"
    )


def _flat(names: Sequence[str], folders: Sequence[Folders], where: str) -> str:
    seen = f"{len(names):,} loose {'picture' if len(names) == 1 else 'pictures'}"
    inside = some(sorted({folder[0] for folder in folders if folder}))
    return (
        f"{where} holds {seen}{f' in {inside}' if inside else ''} ({some(sorted(names))}) and no "
        "folder per person; put each person's pictures into a folder of their own"
    )
