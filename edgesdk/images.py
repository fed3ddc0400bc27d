"""Read pictures safely: any file a user may hand in gives RGB uint8 or one clear sentence."""

import io
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array

MAX_PIXELS = 100_000_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")

# Only formats that hold photos: others may start programs (EPS) or are rarely tested.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF")
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

    Transparent parts become white, 16-bit and float greys are scaled to 0..255, of an
    animation the first picture is taken. Colour profiles are not applied.

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

    try:
        with quiet_pillow(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(name, *image.size)
            image.load()
            return _to_rgb(_upright(image), name, deep=image.format in ("PNG", "PPM"))
    except UnidentifiedImageError:
        raise UsageError(f"{name} is not a picture; give a JPEG, PNG, WebP, BMP or TIFF") from None
    except (Image.DecompressionBombError, MemoryError):
        raise UsageError(f"{name} is too large to be opened; shrink it first") from None
    except _DAMAGE as error:
        raise UsageError(f"{name} is a damaged picture ({error}); save it again") from None


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

    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image


def _to_rgb(image: Any, name: str, deep: bool) -> Array:
    """Return RGB; `deep` tells that integers beyond 8 bit end at 65535."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_grey(image, deep)[..., None], 3, axis=2)
    if image.mode in ("LAB", "HSV"):
        raise UsageError(f"{name} has {image.mode} colours; save it as RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGB", layered.size, "white")
        ground.paste(layered, mask=layered.getchannel("A"))
        image = ground
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _grey(image: Any, deep: bool) -> Array:
    """Return 16-bit, 32-bit or float greys as uint8.

    32-bit and float pictures do not say how bright white is: it is the next of 1
    (floats alone), 255 and 65535 above the brightest value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=65535.0)
    top = float(values.max())
    if image.mode.startswith("I;16") or deep or top > 255:
        white = 65535.0
    else:
        white = 1.0 if image.mode == "F" and top <= 1 else 255.0
    scaled: Array = np.clip(values * np.float32(255.0 / white), 0, 255).round().astype(np.uint8)
    return scaled
