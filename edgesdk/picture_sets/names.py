"""Names of files in a set: one spelling for all systems, and which are no one's pictures."""

import re
import unicodedata
from collections.abc import Iterable

# What systems, drives and tools leave in folders; names that begin with a dot are hidden anyway.
SYSTEM = frozenset(
    (
        "@eadir",  # Synology
        "@recycle",  # QNAP
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "lost+found",
        "lost.dir",
        "found.000",
        "recycled",
        "@sharebin",
        "@tmp",
        "~snapshot",  # NetApp
        "node_modules",
        "__pycache__",
    )
)
LONGEST_SHOWN = 120


def hidden(part: str) -> bool:
    """Return whether a file or folder of this name is hidden or the system's own."""
    return part.startswith(".") or part.casefold() in SYSTEM


def first_hidden(name: str) -> str | None:
    """Return `name` up to its first hidden part, None where nothing is hidden."""
    parts = name.split("/")
    place = next((i for i, part in enumerate(parts) if hidden(part)), None)
    return None if place is None else "/".join(parts[: place + 1])


def plain(raw: str) -> str:
    """Return a name as a set gives it: slashes, composed letters (NFC), bytes that are no
    UTF-8 as \\xNN; without a leading "./" or "/"."""
    parts = [p for p in raw.replace("\\", "/").split("/") if p not in ("", ".")]
    # Halves of characters, which JSON may hold, stand for no bytes.
    parts = [re.sub("[\ud800-\udc7f\udd00-\udfff]", "\ufffd", part) for part in parts]
    text = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


def key(name: str) -> str:
    """Return what two spellings of one name have in common."""
    return unicodedata.normalize("NFC", plain(name).casefold())


def stem(name: str) -> str:
    """Return `name` without the suffix of its file."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


def shown(name: str) -> str:
    """Return `name` for a sentence: on one line, control characters escaped, cut when long."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:40]}…{text[-70:]}"


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first names as "a, b, c, …"."""
    every = list(names)
    return ", ".join([*map(shown, every[:most]), *(["…"] if len(every) > most else [])])
