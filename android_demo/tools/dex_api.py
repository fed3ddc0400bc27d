# ruff: noqa: T201
"""Look up every call that leaves the app in the API of the oldest Android it promises to run on.

    python android_demo/tools/dex_api.py SIGNATURE [APK]

SIGNATURE is the file of gummy-bears that animal-sniffer uses while the app is compiled. Here it is
the finished dex that is checked: what the shrinker left of the app, of Kotlin's library and of
the runtime's Java part, which nobody compiled here. Exit code 4 where a call does not exist.
"""

import argparse
import gzip
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

APK = Path(__file__).parents[1] / "app/build/edgesdk-demo.apk"
# Called only after a look at the version, in functions marked @ApiGuarded.
GUARDED = {
    "android/os/PowerManager getCurrentThermalStatus()I",
    "android/os/Build SOC_MODEL#Ljava/lang/String;",
}


class JavaObjects:
    """Reads the objects of a Java object stream: as much of the format as a signature uses."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 4
        self.known: list[Any] = []

    def take(self, form: str) -> Any:
        """Return the next number of a struct format."""
        (value,) = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self) -> str:
        """Return a string without its tag."""
        size = self.take("H")
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "replace")

    def read(self) -> Any:
        """Return the next object; of a class that is not a collection, its fields."""
        tag = self.take("B")
        if tag == 0x70:  # null
            return None
        if tag == 0x71:  # reference to an earlier one
            return self.known[self.take("I") - 0x7E0000]
        if tag == 0x74:  # string
            return self._note(self.text())
        if tag == 0x75:  # array
            self.read()
            values: list[Any] = self._note([])
            values += [self.read() for _ in range(self.take("I"))]
            return values
        if tag == 0x72:  # description of a class
            return self._class()
        if tag == 0x73:  # object
            return self._object()
        raise ValueError(f"tag {tag:#x} of Java's object streams is not known here")

    def _note(self, value: Any) -> Any:
        self.known.append(value)
        return value

    def _class(self) -> dict[str, Any]:
        about: dict[str, Any] = {"name": self.text()}
        self.take("Q")
        self._note(about)
        about["flags"] = self.take("B")
        about["fields"] = []
        for _ in range(self.take("H")):
            kind, name = chr(self.take("B")), self.text()
            if kind in "L[":
                self.read()
            about["fields"].append((kind, name))
        if self.take("B") != 0x78:
            raise ValueError("an annotated class is not known here")
        about["above"] = self.read()
        return about

    def _object(self) -> Any:
        about = self.read()
        found: dict[str, Any] = self._note({})
        lines = []
        while about is not None:
            lines.append(about)
            about = about["above"]
        for one in reversed(lines):
            for kind, name in one["fields"]:
                found[name] = self.read() if kind in "L[" else self.take({"I": "i", "Z": "?"}[kind])
            if one["flags"] & 1:  # writes itself: a set, its size and its items
                found["items"] = self._items()
        return found

    def _items(self) -> list[Any]:
        items: list[Any] = []
        while (tag := self.take("B")) != 0x78:
            if tag == 0x77:
                size = self.take("B")
                self.at += size
                continue
            self.at -= 1
            items.append(self.read())
        return items


class Api:
    """The classes of an Android version, with what they inherit."""

    def __init__(self, signature: Path) -> None:
        stream = JavaObjects(gzip.decompress(signature.read_bytes()))
        self.classes: dict[str, dict[str, Any]] = {}
        while (one := stream.read()) is not None:
            self.classes[one["name"]] = one

    def has(self, name: str, member: str) -> bool:
        """Return whether a class or one above it has a member."""
        one = self.classes.get(name)
        if one is None:
            return False
        above = [one["superClass"], *(one["superInterfaces"] or [])]
        return member in one["signatures"]["items"] or any(self.has(a, member) for a in above if a)


def outside_calls(dex: bytes) -> Iterator[tuple[str, str]]:
    """Yield class and member of every method and field that the dex uses and does not define."""
    strings, types, protos, fields, methods, classes = struct.iter_unpack("<II", dex[56:104])
    names = [_string(dex, at) for (at,) in _table(dex, strings, "<I")]
    kinds = [names[name] for (name,) in _table(dex, types, "<I")]
    forms = [_form(dex, kinds, *row) for row in _table(dex, protos, "<III")]
    own = {kinds[row[0]] for row in _table(dex, classes, "<8I")}
    used = [(c, f"{names[n]}#{kinds[k]}") for c, k, n in _table(dex, fields, "<HHI")]
    used += [(c, names[n] + forms[p]) for c, p, n in _table(dex, methods, "<HHI")]
    for number, member in used:
        holder = kinds[number]
        if holder not in own and holder.startswith("L"):
            yield holder[1:-1], member


def _table(dex: bytes, place: tuple[int, int], form: str) -> Iterator[tuple[int, ...]]:
    """Yield the rows of a table, of which the header tells count and offset."""
    count, at = place
    return struct.iter_unpack(form, dex[at : at + count * struct.calcsize(form)])


def _form(dex: bytes, kinds: list[str], _: int, result: int, at: int) -> str:
    """Return parameters and result as Java's own descriptors write them."""
    count = struct.unpack_from("<I", dex, at)[0] if at else 0
    given = struct.unpack_from(f"<{count}H", dex, at + 4) if at else ()
    return f"({''.join(kinds[k] for k in given)}){kinds[result]}"


def _string(dex: bytes, at: int) -> str:
    while dex[at] & 0x80:
        at += 1
    return dex[at + 1 : dex.index(0, at + 1)].decode("utf-8", "replace")


def missing(apk: Path, signature: Path) -> tuple[int, list[str]]:
    """Return the number of outside members that an APK uses, and those that do not exist."""
    api = Api(signature)
    with zipfile.ZipFile(apk) as archive:
        files = [archive.read(n) for n in archive.namelist() if n.endswith(".dex")]
    calls = sorted({call for dex in files for call in outside_calls(dex)})
    return len(calls), [f"{a} {b}" for a, b in calls if not api.has(a, b)]


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("signature", type=Path)
    parser.add_argument("apk", type=Path, nargs="?", default=APK)
    args = parser.parse_args()
    count, absent = missing(args.apk, args.signature)
    wrong = [name for name in absent if name not in GUARDED]
    for name in wrong:
        print(f"the oldest Android has no {name}", file=sys.stderr)
    print(f"API of the finished dex: {count} outside members, {len(wrong)} do not exist there")
    return 4 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
