"""Where the files of a set lie: a folder, a tar archive, a zip archive; all alike.

A store lists its files once, without what is hidden or cannot be a file, and reads one by name.
Links are followed once: a folder that was read already, a loop above all, is left out.
"""

import os
import posixpath
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field
from io import BufferedReader
from lzma import LZMAError
from pathlib import Path
from typing import Any, Protocol

from edgesdk.core.errors import UsageError
from edgesdk.picture_sets.kinds import HEAD, is_picture
from edgesdk.picture_sets.names import first_hidden, hidden, plain

BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, LZMAError, zlib.error, OSError, EOFError, ValueError,
    NotImplementedError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is left out.

    Attributes:
        name: Its name in the set.
        kind: Why, in a word or two: the same for all of one kind.
        detail: More of it, "" for nothing.
    """

    name: str
    kind: str
    detail: str = ""

    @property
    def why(self) -> str:
        """Why, with all that is known."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


HIDDEN, LINK, OUTSIDE = "hidden", "link", "outside"
UNREADABLE, NO_FILE, REPLACED = "unreadable", "no file", "replaced"


class Store(Protocol):
    """Files by their raw names.

    Attributes:
        places: Raw name -> where the file is.
        skipped: What was left out.
    """

    places: dict[str, Any]
    skipped: list[Skipped]

    def read(self, raw: str, most: int = -1) -> bytes:
        """Return a file's content, or its first `most` bytes."""


def open_store(path: Path) -> Store:
    """Return the store at `path`.

    Raises:
        UsageError: nothing is there, or it is neither a folder nor an archive.
    """
    try:
        if path.is_dir():
            return Folder(path)
        if path.is_file():
            if is_picture(_start(path)):
                raise UsageError(f"{path} is one picture; give the folder that holds the set")
            return Zip(path) if zipfile.is_zipfile(path) else Tar(path)
    except BROKEN as error:
        why = (str(error).splitlines() or [""])[0].rstrip(":")
        raise UsageError(
            f"{path} is neither a folder nor a tar or zip archive ({why}); give one of them"
        ) from None
    if path.exists():
        raise UsageError(f"{path} is neither a folder nor a tar or zip archive; give one of them")
    raise UsageError(
        f"picture set {path} does not exist; give a folder, or a tar or zip file, of pictures"
    )


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD)


@dataclass
class Folder:
    """A folder and all below it."""

    path: Path
    places: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()
        self._links: list[str] = []
        self._walk("")
        # After all else, so that of two ways to one folder the one without a link counts.
        while self._links:
            self._walk(self._links.pop(0), link=True)

    def _walk(self, start: str, link: bool = False) -> None:
        """List the folder of the raw name `start` and those below."""
        waiting = [start]
        while waiting:
            name = waiting.pop()
            try:
                entries = self._enter(name, link and name == start)
            except OSError as error:
                if not name:
                    raise UsageError(f"{self.path} cannot be read: {error.strerror}") from None
                self._skip(name, UNREADABLE, error.strerror or str(error))
                continue
            waiting += [found for entry in entries if (found := self._sort(entry, name))]

    def _enter(self, name: str, link: bool) -> list[os.DirEntry[str]]:
        path = os.path.join(self.path, name)
        about = os.stat(path)
        if (about.st_dev, about.st_ino) in self._seen:
            self._skip(name, LINK, "to a folder that is read already" if link else "a folder twice")
            return []
        self._seen.add((about.st_dev, about.st_ino))
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def _sort(self, entry: os.DirEntry[str], folder: str) -> str | None:
        """Note an entry, or return its name where it is a folder to walk."""
        name = f"{folder}/{entry.name}" if folder else entry.name
        if hidden(entry.name):
            self._skip(name, HIDDEN)
        elif _ask(entry.is_dir):
            if not entry.is_symlink():
                return name
            self._links.append(name)
        elif _ask(entry.is_file):
            self.places[name] = name
        elif entry.is_symlink():
            self._skip(name, LINK, "to nothing")
        else:
            self._skip(name, NO_FILE, "a socket, pipe or device")
        return None

    def _skip(self, name: str, kind: str, detail: str = "") -> None:
        self.skipped.append(Skipped(plain(name), kind, detail))

    def read(self, raw: str, most: int = -1) -> bytes:
        """Return a file's content, or its first `most` bytes."""
        with open(os.path.join(self.path, self.places[raw]), "rb") as stream:
            return stream.read(most)


def _ask(question: Any) -> bool:
    """Return the answer of a DirEntry; a link to itself is nothing."""
    try:
        return bool(question())
    except OSError:
        return False


class _Archive:
    """What tar and zip have in common: names that mean nothing on this disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: dict[str, Any] = {}
        self.skipped: list[Skipped] = []
        self._hidden: set[str] = set()

    def _wanted(self, name: str) -> bool:
        """Return whether a member counts, and note why not."""
        if ".." in plain(name).split("/"):
            self.skipped.append(Skipped(plain(name), OUTSIDE, "its name leads out of the archive"))
            return False
        top = first_hidden(plain(name))
        if top is not None and top not in self._hidden:
            self._hidden.add(top)
            self.skipped.append(Skipped(top, HIDDEN))
        return top is None

    def _add(self, name: str, place: Any) -> None:
        """Note a member; the later of two with one name counts, as when it is unpacked."""
        if name in self.places:
            self.skipped.append(Skipped(plain(name), REPLACED, "a later file has its name"))
        self.places[name] = place


def _normal(name: str) -> str:
    return posixpath.normpath(name.lstrip("/"))


class Tar(_Archive):
    """A tar archive: of a plain one only the index is held, of a compressed one everything."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ways: dict[str, str] = {}
        with tarfile.open(path) as archive:
            indexed = isinstance(archive.fileobj, BufferedReader)
            for member in archive:
                if not member.isdir() and self._wanted(_normal(member.name)):
                    self._sort(archive, member, indexed)
        for name in self._ways:
            self._follow(name)

    def _sort(self, archive: tarfile.TarFile, member: tarfile.TarInfo, indexed: bool) -> None:
        name = _normal(member.name)
        if member.islnk() or member.issym():
            # A hard link's target counts from the top.
            folder = posixpath.dirname(name) if member.issym() else ""
            self._ways[name] = _normal(posixpath.join(folder, member.linkname))
        elif not member.isreg():
            self.skipped.append(Skipped(plain(name), NO_FILE, "a pipe or device"))
        elif indexed and not member.issparse():
            self._add(name, (member.offset_data, member.size))
        elif stream := archive.extractfile(member):
            self._add(name, stream.read())

    def _follow(self, name: str) -> None:
        """Give a link the place of what it leads to inside the archive."""
        target, seen = self._ways[name], {name}
        while target in self._ways and target not in seen:
            seen.add(target)
            target = self._ways[target]
        if target in self.places and target not in self._ways:
            self.places[name] = self.places[target]
        else:
            self.skipped.append(Skipped(plain(name), LINK, "to nothing in the archive"))

    def read(self, raw: str, most: int = -1) -> bytes:
        """Return a file's content, or its first `most` bytes."""
        place = self.places[raw]
        if isinstance(place, bytes):
            return place if most < 0 else place[:most]
        start, size = place
        with self.path.open("rb") as stream:
            stream.seek(start)
            return stream.read(size if most < 0 else min(most, size))


class Zip(_Archive):
    """A zip archive, opened for as long as the set is used."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._archive = zipfile.ZipFile(path)
        for member in self._archive.infolist():
            name = member.filename
            if not name.endswith(("/", "\\")) and self._wanted(name):
                self._add(_normal(name), member)

    def read(self, raw: str, most: int = -1) -> bytes:
        """Return a file's content, or its first `most` bytes."""
        try:
            with self._archive.open(self.places[raw]) as stream:
                return stream.read(most)
        except BROKEN as error:
            raise OSError(0, str(error)) from None
