"""What an Android lint must know of a shared library: its machine and its page alignment."""

import struct
from dataclasses import dataclass

from edgesdk.core.errors import UsageError

HEAD_BYTES = 65_536  # program headers lie at the start of every library that a linker makes
MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a"}
_LOAD = 1


@dataclass(frozen=True, slots=True)
class Elf:
    """The header of a shared library.

    Attributes:
        machine: Android's name of the ABI, "machine N" for others.
        bits: 32 or 64.
        aligns: p_align of every LOAD segment in bytes.
    """

    machine: str
    bits: int
    aligns: tuple[int, ...]


def read_elf(head: bytes) -> Elf:
    """Read the start of a little-endian ELF file.

    Args:
        head: The first `HEAD_BYTES` bytes, or the whole file where it is shorter.

    Raises:
        UsageError: it is no ELF file, is cut off, or has no LOAD segment.
    """
    if head[:4] != b"\x7fELF" or head[4:6] not in (b"\x01\x01", b"\x02\x01"):
        raise UsageError("it is no little-endian ELF file; build the library again")
    wide = head[4] == 2
    try:
        (machine,) = struct.unpack_from("<H", head, 18)
        (table,) = struct.unpack_from("<Q" if wide else "<I", head, 32 if wide else 28)
        size, count = struct.unpack_from("<HH", head, 54 if wide else 42)
        aligns = [_align(head, table + i * size, wide) for i in range(count)]
    except struct.error:
        raise UsageError("its program headers are cut off; build the library again") from None
    loads = tuple(align for align in aligns if align is not None)
    if not loads:
        raise UsageError("it has no LOAD segment; build the library again")
    return Elf(MACHINES.get(machine, f"machine {machine}"), 64 if wide else 32, loads)


def _align(head: bytes, at: int, wide: bool) -> int | None:
    """Return p_align of the program header at `at`, None where it is no LOAD segment."""
    if at > len(head):
        raise struct.error
    (kind,) = struct.unpack_from("<I", head, at)
    if kind != _LOAD:
        return None
    (align,) = struct.unpack_from("<Q" if wide else "<I", head, at + (48 if wide else 28))
    return int(align)
