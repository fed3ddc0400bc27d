"""Sets of pictures as people have them: folders and archives, read by one rule.

The rule stands in docs/pictures.md. Training, calibration, pairs and galleries all read by
it, so what one of them opens the others open as well.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes
from edgesdk.core.tensors import Array
from edgesdk.images import quiet_pillow, read_image
from edgesdk.picture_sets.kinds import HEAD, is_picture, named_picture
from edgesdk.picture_sets.names import key, plain, shown, some, stem
from edgesdk.picture_sets.stores import UNREADABLE, Skipped, open_store

__all__ = ["Pictures", "Skipped"]

OTHER, DAMAGED, REFUSED, EMPTY = "no picture", "damaged", "not opened", "empty"
WORKERS, BLOCK = 4, 500
# Bytes of one file, of a picture: an archive may promise any number.
LARGE, LARGEST = 2**26, 2**30

_Bytes = bytes  # the class has a method of this name
Progress = Callable[[int, int, str], None]


class Pictures:
    """The pictures of a folder, or of a tar or zip archive, by relative name.

    A file is a picture by its content; one whose name promises a picture is taken at its word
    until it is looked at (`check`). Hidden files and folders, the system's own, and loops of links
    are left out.

    Attributes:
        path: Folder or archive.
        names: Names of all pictures, sorted.
        skipped: What was left out, and why.
        hashes: Name -> SHA-256 of the file, of all pictures once `check` has looked at them.

    Raises:
        UsageError: `path` is neither a folder nor an archive.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._store = open_store(self.path)
        self.skipped = list(self._store.skipped)
        self.hashes: dict[str, str] = {}
        self._raw: dict[str, str] = {}
        for raw in sorted(self._store.places):
            name = plain(raw) or raw
            # Two spellings of one name are two files all the same.
            self._raw[raw if name in self._raw else name] = raw
        self.names = sorted(name for name in self._raw if self._is_picture(name))

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._raw

    @property
    def files(self) -> Iterable[str]:
        """Names of all files, pictures or not."""
        return self._raw

    def _is_picture(self, name: str) -> bool:
        if named_picture(name):
            return True
        try:
            head = self._store.read(self._raw[name], HEAD)
        except OSError as error:
            self.skipped.append(Skipped(name, UNREADABLE, error.strerror or str(error)))
            return False
        if not is_picture(head):
            self.skipped.append(Skipped(name, OTHER if head else EMPTY))
        return is_picture(head)

    def file(self, name: str) -> Path:
        """Return where a file of a folder lies; its name on disk may be spelt otherwise."""
        return self.path / self._raw[name]

    def bytes(self, name: str) -> bytes:
        """Return the raw content of any file of the set.

        Raises:
            UsageError: there is no such file, or it cannot be read.
        """
        if name not in self._raw:
            raise UsageError(f"{self.path} holds no file {name!r}; check the list that names it")
        try:
            return self._content(name)
        except OSError as error:
            why = error.strerror or error
            raise UsageError(f"{self.path}: {shown(name)} cannot be read: {why}") from None

    def _content(self, name: str) -> _Bytes:
        """Return a file; of a large one that is no picture the beginning."""
        data = self._store.read(self._raw[name], LARGE)
        if len(data) == LARGE and is_picture(data[:HEAD]):
            return self._store.read(self._raw[name], LARGEST)
        return data

    def read(self, name: str) -> Array:
        """Return picture `name` as HxWx3 uint8 RGB.

        Raises:
            UsageError: as `read_image`, with the set and the name in front.
        """
        try:
            return read_image(self.bytes(name))
        except UsageError as error:
            raise UsageError(f"{self.path}: {shown(name)}: {error}") from None

    def find(self, name: str) -> str | None:
        """Return the picture or list that `name` means, None for none.

        Case, Unicode form, slashes and a picture's suffix may differ; what is nearest wins.
        """
        if name in self._raw:
            return name
        wanted = key(name)
        found = self._by_key.get(wanted) or self._by_stem.get(wanted) or []
        if not found and named_picture(wanted):
            found = self._by_stem.get(stem(wanted), [])
        exact = [n for n in found if plain(name) in (n, stem(n))]
        return next(iter(exact or found), None)

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        return _grouped(self._raw, key)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self.names, lambda name: stem(key(name)))

    def check(
        self,
        names: Iterable[str] | None = None,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Look at every picture; damaged ones leave `names`.

        Args:
            names: Those to look at; None for all.
            strict: Refuse a damaged picture.
            progress: Called with (done, total, label).

        Raises:
            UsageError: with `strict`, pictures are damaged; all are named.
        """
        chosen = [n for n in (self.names if names is None else names) if n not in self.hashes]
        damaged: list[Skipped] = []
        with quiet_pillow(), ThreadPoolExecutor(min(cpu_count() or 1, WORKERS)) as pool:
            for start in range(0, len(chosen), BLOCK):
                block = chosen[start : start + BLOCK]
                for name, found in zip(block, pool.map(self._look, block), strict=True):
                    if isinstance(found, Skipped):
                        damaged.append(found)
                    else:
                        self.hashes[name] = found
                if progress:
                    progress(start + len(block), len(chosen), "look at pictures")
        if damaged and strict:
            raise UsageError(
                f"{self.path}: {len(damaged)} of {len(chosen):,} pictures cannot be read: "
                f"{_told(damaged)}; mend or remove them"
            )
        self.leave_out(damaged)

    def choose(self, count: int, seed: int) -> list[str]:
        """Return at most `count` names chosen by `seed`, sorted; damaged ones are passed over."""
        order = np.random.default_rng(seed).permutation(len(self.names))
        waiting, chosen = [self.names[i] for i in order], list[str]()
        while waiting and len(chosen) < count:
            asked, waiting = waiting[: count - len(chosen)], waiting[count - len(chosen) :]
            self.check(asked)
            chosen += [name for name in asked if name in self.hashes]
        return sorted(chosen)

    def _look(self, name: str) -> str | Skipped:
        """Return the hash of a picture that can be read, else why not."""
        try:
            data = self._content(name)
        except OSError as error:
            return Skipped(name, UNREADABLE, error.strerror or str(error))
        if not data:
            return Skipped(name, EMPTY)
        try:
            read_image(data)
        except UsageError as error:
            why = str(error).removeprefix("the picture ")
            kind = DAMAGED if "damaged" in why else REFUSED
            return Skipped(name, kind if is_picture(data[:HEAD]) else OTHER, why)
        return sha256_bytes(data)

    def leave_out(self, skipped: Sequence[Skipped]) -> None:
        """Take pictures out of the set, and remember why."""
        gone = {s.name for s in skipped}
        self.names = [n for n in self.names if n not in gone]
        self.skipped += skipped

    def twins(self) -> list[list[str]]:
        """Return groups of names whose content is equal, of those that were looked at."""
        seen = {n: self.hashes[n] for n in self.names if n in self.hashes}
        return [group for group in _grouped(seen, seen.__getitem__).values() if len(group) > 1]

    def report(self) -> dict[str, Any]:
        """Return what was read and what was left out, all of it, ready for JSON."""
        return {
            "path": str(self.path),
            "pictures": len(self),
            "skipped": [{"name": s.name, "why": s.why} for s in self.skipped],
            "duplicates": self.twins(),
        }

    def left_out(self) -> str:
        """Return how many files were skipped, why and which, "" for none."""
        if not self.skipped:
            return ""
        return f"skipped {len(self.skipped):,}: {_by_kind(self.skipped)}"

    def line(self, people: int | None = None, one: str = "person", more: str = "people") -> str:
        """Return the report in one line; `one` and `more` are what whose pictures they are."""
        who = "" if people is None else f" of {people:,} {one if people == 1 else more}"
        count = f"{len(self):,} {'picture' if len(self) == 1 else 'pictures'}"
        parts = [f"{self.path}: {count}{who}", *([self.left_out()] if self.skipped else [])]
        twins = self.twins()
        if twins:
            pairs = some((" = ".join(map(shown, group[:3])) for group in twins), 2)
            parts.append(f"{len(twins):,} in several copies ({pairs})")
        return "; ".join(parts)


def _grouped(names: Iterable[str], by: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(by(name), []).append(name)
    return groups


def _by_kind(skipped: Sequence[Skipped]) -> str:
    """Return "2 damaged (a, b), 1 empty (c)", the most frequent kind first."""
    kinds = Counter(s.kind for s in skipped)
    told = [
        f"{count:,} {kind} ({some(s.name for s in skipped if s.kind == kind)})"
        for kind, count in kinds.most_common()
    ]
    return ", ".join(told)


def _told(skipped: Sequence[Skipped]) -> str:
    """Return every name, of a great many the first."""
    return some((f"{shown(s.name)} ({s.kind})" for s in skipped), 20)
