"""What a file is by its first bytes; its name may say anything."""

import re

from edgesdk.images import SUFFIXES

HEAD = 64  # bytes that tell what a file is
_STARTS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",  # TIFF, BigTIFF
)  # fmt: skip
_WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)
_NETPBM = re.compile(rb"P[1-6][\s#]+[\d#]")
# After the file's length and two reserved numbers come where the pixels begin and how long
# the header is.
_BMP = re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)
_HEIF = re.compile(rb"....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1|avif|avis)", re.DOTALL)


def is_picture(head: bytes) -> bool:
    """Return whether a file that begins with `head`, 64 bytes or all, is a picture."""
    return head.startswith(_STARTS) or any(
        form.match(head) for form in (_WEBP, _NETPBM, _BMP, _HEIF)
    )


def named_picture(name: str) -> bool:
    """Return whether the name promises a picture; only looking at it tells more."""
    return name.lower().endswith(SUFFIXES)
