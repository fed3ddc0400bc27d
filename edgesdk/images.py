"""Read pictures safely: any file a user may hand in gives RGB uint8 or one clear sentence."""

import io
import re
import stat
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array

MAX_PIXELS = 100_000_000
GROUND = (128, 128, 128)  # behind transparent parts: as far from dark hair as from a white page
STRIP = 256  # rows of pixels that are copied at once
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".ppm",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
)

# Only formats that hold photos: others may start programs (EPS) or are rarely tested.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF", "AVIF", "HEIF")
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_SIXTEEN = re.compile(r"RGB[AaX]?;16[BLN]")
# What Pillow's readers raise for damaged files, found by fuzzing and in its sources.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def read_image(source: Path | str | bytes) -> Array:
    """Return a picture as HxWx3 uint8 RGB, turned upright by its EXIF tag.

    Transparent parts become grey, values of more than 8 bits are scaled to 0..255 by their own
    range, of an animation the first picture is taken. Colour profiles are not applied.

    Args:
        source: A file's path, or its content.

    Raises:
        UsageError: the file is missing, empty, no picture, damaged, or larger
            than 100 million pixels.
    """
    name = "the picture" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read(Path(source))
    if not data:
        raise UsageError(f"{name} is empty (0 bytes); give a picture such as a JPEG or PNG")
    from PIL import Image, UnidentifiedImageError

    _plug_in(data, name)
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data), formats=_known()) as image:
            _check_size(name, *image.size)
            if _is_sixteen(image):
                return _to_rgb(_upright(_by_its_range(image, data)), name, deep=False)
            image.load()
            return _to_rgb(_upright(image), name, deep=image.format == "PPM")
    except UnidentifiedImageError:
        raise UsageError(f"{name} is not a picture; give a JPEG, PNG, WebP, BMP or TIFF") from None
    except (Image.DecompressionBombError, MemoryError):
        raise UsageError(f"{name} is too large to be opened; shrink it first") from None
    except _DAMAGE as error:
        raise UsageError(f"{name} is a damaged picture ({error}); save it again") from None


def _plug_in(data: bytes, name: str) -> None:
    """Register the reader that an HEIC or AVIF picture needs, else raise UsageError."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in _HEIC:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            raise UsageError(
                f"{name} is an HEIC picture, which needs pillow-heif. Install it with: pip install "
                "'edgesdk[heic]', or save the picture as JPEG"
            ) from None
        register_heif_opener()
    if brand in _AVIF and "AVIF" not in _known():
        raise UsageError(
            f"{name} is an AVIF picture, which this Pillow cannot read; update Pillow, or save the "
            "picture as JPEG"
        )


def _known() -> tuple[str, ...]:
    """Return the formats of `_FORMATS` that Pillow can read here."""
    from PIL import Image

    Image.init()
    return tuple(form for form in _FORMATS if form in Image.OPEN)


def _read(path: Path) -> bytes:
    try:
        # A pipe or device might never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"picture {path} is not a file; give a picture such as a JPEG or PNG")
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"picture {path} does not exist; check the path") from None
    except OSError as error:
        raise UsageError(f"picture {path} cannot be read: {error.strerror}; check it") from None
    except ValueError as error:
        raise UsageError(f"{str(path)!r} is no path ({error}); check it") from None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Our own size limit speaks; Pillow's warnings about odd files do not.

    Filters of warnings belong to the process: where threads read pictures, hold it around them.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_size(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UsageError(
            f"{name} has {width}x{height} pixels, more than the {MAX_PIXELS:,} allowed; "
            "shrink it first"
        )
    if width * height == 0:
        raise UsageError(f"{name} has no pixels ({width}x{height}); save it again")


def _upright(image: Any) -> Any:
    """Turn `image` as its EXIF tag asks; a damaged tag asks nothing."""
    from PIL import ImageOps

    # In place: a picture that needs no turn is not copied.
    with suppress(*_DAMAGE):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _is_sixteen(image: Any) -> bool:
    """Tell whether an image that is not loaded yet has colours of 16 bits."""
    return bool(image.tile) and all(_SIXTEEN.fullmatch(_raw_mode(tile)) for tile in image.tile)


def _raw_mode(tile: Any) -> str:
    return str(tile[3] if isinstance(tile[3], str) else (tile[3] or [""])[0])


def _by_its_range(image: Any, data: bytes) -> Any:
    """Load colours of 16 bits; 12 of them in 16 have their own white, 4095.

    Pillow keeps the upper byte alone. Read as numbers of the other byte order, the lower byte
    is the upper one.
    """
    from PIL import Image

    image.load()
    high = np.asarray(image)
    if high[..., :3].max() >= 16:
        return image
    other: Any = Image.open(io.BytesIO(data), formats=_known())
    with other:
        other.tile = [_other_order(tile) for tile in other.tile]
        other.load()
        low = np.asarray(other)
    values = high[..., :3].astype(np.float32) * 256 + low[..., :3]
    scaled = (values * (255 / 4095)).round().astype(np.uint8)
    # In place: what the file tells beside its pixels stays.
    image.paste(Image.fromarray(np.concatenate([scaled, high[..., 3:]], 2)))
    return image


def _other_order(tile: Any) -> tuple[Any, ...]:
    mode, order = _raw_mode(tile).rsplit("16", 1)
    native = "L" if sys.byteorder == "little" else "B"
    swapped = mode + "16" + {"L": "B", "B": "L"}[native if order == "N" else order]
    codec, extents, offset, args = tile
    return codec, extents, offset, swapped if isinstance(args, str) else (swapped, *args[1:])


def _to_rgb(image: Any, name: str, deep: bool) -> Array:
    """Return RGB; `deep` tells that integers beyond 8 bit end at 65535."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_grey(image, deep)[..., None], 3, axis=2)
    if image.mode in ("LAB", "HSV"):
        raise UsageError(f"{name} has {image.mode} colours; save it as RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGB", layered.size, GROUND)
        ground.paste(layered, mask=layered.getchannel("A"))
        image = ground
    return _array(image if image.mode == "RGB" else image.convert("RGB"))


def _array(image: Any) -> Array:
    """Return an RGB image's pixels, a strip at a time: at once takes them twice."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, STRIP):
        bottom = min(top + STRIP, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _grey(image: Any, deep: bool) -> Array:
    """Return 16-bit, 32-bit or float greys as uint8.

    They do not say how bright white is: it is the next of 1 (floats alone), 255 (not where
    16 bits are kept), 4095 (12 bits, as cameras and scanners give) and 65535 above the
    brightest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=65535.0)
    top = float(values.max())
    sixteen = image.mode.startswith("I;16")
    whites = (*((1.0,) if image.mode == "F" else ()), *(() if sixteen else (255.0,)), 4095.0)
    white = 65535.0 if deep else next((w for w in whites if top <= w), 65535.0)
    scaled: Array = np.clip(values * np.float32(255.0 / white), 0, 255).round().astype(np.uint8)
    return scaled
