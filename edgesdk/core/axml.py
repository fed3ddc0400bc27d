"""Android's binary XML, as far as a manifest needs it."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgesdk.core.errors import UsageError

Value = str | int | bool

_XML, _STRINGS, _IDS, _START, _END = 0x0003, 0x0001, 0x0180, 0x0102, 0x0103
_UTF8 = 1 << 8
_NONE = 0xFFFFFFFF
_STRING, _BOOLEAN = 0x03, 0x12
_ATTRIBUTE = 20  # bytes of one
_DEEPEST = 100  # the nesting that a file may ask for costs its square
# Attributes are known by number; tools that shrink an app may drop their names.
_ATTRIBUTES = {
    0x01010003: "name",
    0x01010006: "permission",
    0x0101000F: "debuggable",
    0x01010010: "exported",
    0x0101020C: "minSdkVersion",
    0x0101021B: "versionCode",
    0x0101021C: "versionName",
    0x01010270: "targetSdkVersion",
    0x01010280: "allowBackup",
    0x010104EA: "extractNativeLibs",
}


@dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        path: Names from the root down to this one, such as ("manifest", "application").
        attributes: Name without name space -> string, integer or truth value; a reference to
            a resource is its number.
    """

    path: tuple[str, ...]
    attributes: dict[str, Value] = field(default_factory=dict)


def read_axml(data: bytes) -> list[Element]:
    """Return all elements in their order.

    Raises:
        UsageError: `data` is no binary XML, or damaged.
    """
    try:
        return list(_elements(data))
    except (struct.error, IndexError, UnicodeDecodeError):
        raise UsageError(
            "it is no binary XML of Android, or damaged; build the app again"
        ) from None


def _elements(data: bytes) -> Iterator[Element]:
    kind, start, _ = struct.unpack_from("<HHI", data, 0)
    if kind != _XML:
        raise struct.error
    texts: list[str] = []
    ids: list[int] = []
    path: list[str] = []
    for kind, at, end in _chunks(data, start):
        if kind == _STRINGS:
            texts = _strings(data, at)
        elif kind == _IDS:
            (head,) = struct.unpack_from("<H", data, at + 2)
            ids = [number for (number,) in struct.iter_unpack("<I", data[at + head : end])]
        elif kind == _START:
            name, attributes = _start(data, at, end, texts, ids)
            path.append(name)
            if len(path) > _DEEPEST:
                raise struct.error
            yield Element(tuple(path), attributes)
        elif kind == _END:
            path.pop()


def _chunks(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, begin and end of each chunk."""
    while at < len(data):
        kind, head, size = struct.unpack_from("<HHI", data, at)
        if size < max(head, 8) or at + size > len(data):
            raise struct.error
        yield kind, at, at + size
        at += size


def _strings(data: bytes, at: int) -> list[str]:
    _, head, size, count, _, flags, begin = struct.unpack_from("<HHIIIII", data, at)
    if head + 4 * count > size:
        raise struct.error
    offsets = struct.unpack_from(f"<{count}I", data, at + head)
    read = _utf8 if flags & _UTF8 else _utf16
    texts: dict[int, str] = {}
    for offset in set(offsets):
        texts[offset] = read(data, at + begin + offset)
        size -= len(texts[offset])
        if size < 0:  # texts that overlap may unpack to more than the memory holds
            raise struct.error
    return [texts[offset] for offset in offsets]


def _utf8(data: bytes, at: int) -> str:
    for _ in range(2):  # the length in characters, then in bytes
        length, at = data[at], at + 1
        if length & 0x80:
            length, at = (length & 0x7F) << 8 | data[at], at + 1
    return data[at : at + length].decode("utf-8", "replace")


def _utf16(data: bytes, at: int) -> str:
    (length,) = struct.unpack_from("<H", data, at)
    at += 2
    if length & 0x8000:
        (low,) = struct.unpack_from("<H", data, at)
        length, at = (length & 0x7FFF) << 16 | low, at + 2
    return data[at : at + 2 * length].decode("utf-16-le", "replace")


def _start(
    data: bytes, at: int, end: int, texts: list[str], ids: list[int]
) -> tuple[str, dict[str, Value]]:
    (head,) = struct.unpack_from("<H", data, at + 2)
    base = at + head
    _, name, begin, size, count = struct.unpack_from("<IIHHH", data, base)
    if count and (size < _ATTRIBUTE or base + begin + count * size > end):
        raise struct.error
    attributes: dict[str, Value] = {}
    for i in range(count):
        _, key, raw, _, _, kind, value = struct.unpack_from(
            "<IIIHBBI", data, base + begin + i * size
        )
        known = _ATTRIBUTES.get(ids[key]) if key < len(ids) else None
        attributes[known or texts[key]] = _value(kind, value, raw, texts)
    return texts[name], attributes


def _value(kind: int, value: int, raw: int, texts: list[str]) -> Value:
    if kind == _STRING:
        return texts[value]
    if kind == _BOOLEAN:
        return value != 0
    return texts[raw] if raw != _NONE else value
