"""Read pictures safely: any file a user may hand in gives RGB uint8 or one clear sentence."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.tensors import Array

MAX_PIXELS = 100_000_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")


def read_image(source: Path | str | bytes) -> Array:
    """Return a picture as HxWx3 uint8 RGB, turned upright by its EXIF tag.

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
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with _quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UsageError(
                    f"{name} has {image.width}x{image.height} pixels, more than the "
                    f"{MAX_PIXELS:,} allowed; shrink it first"
                )
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise UsageError(f"{name} is not a picture; give a JPEG, PNG, WebP, BMP or TIFF") from None
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise UsageError(f"{name} is a damaged picture ({error}); save it again") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"picture {path} does not exist; check the path") from None
    except OSError as error:
        raise UsageError(f"picture {path} cannot be read: {error.strerror}; check it") from None


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Our own size limit speaks; Pillow's warnings about odd files do not."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _to_rgb(image: Any) -> Array:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") and values.max() > 255 else 255.0
        grey = np.clip(values * (255.0 / top), 0, 255).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if "A" in image.mode or "transparency" in image.info:
        from PIL import Image

        layered = image.convert("RGBA")
        ground = Image.new("RGBA", layered.size, "white")
        image = Image.alpha_composite(ground, layered)
    return np.array(image.convert("RGB"))


class Pictures:
    """The pictures of a folder or a tar archive, by relative name.

    Attributes:
        path: Folder or archive.
        names: Relative names of all pictures, sorted.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._content: dict[str, bytes] = {}
        if self.path.is_dir():
            found = (p for p in self.path.rglob("*") if p.is_file())
            self._all = sorted(p.relative_to(self.path).as_posix() for p in found)
        elif self.path.is_file():
            self._content = _untar(self.path)
            self._all = sorted(self._content)
        else:
            raise UsageError(f"picture set {self.path} does not exist; give a folder or a tar file")
        self.names = [n for n in self._all if n.lower().endswith(SUFFIXES)]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._content or (self.path.is_dir() and (self.path / name).is_file())

    def bytes(self, name: str) -> bytes:
        """Return the raw content of any file of the set.

        Raises:
            UsageError: there is no such file.
        """
        if name in self._content:
            return self._content[name]
        if name not in self:
            raise UsageError(f"{self.path} holds no file {name!r}; check the list that names it")
        return (self.path / name).read_bytes()

    def read(self, name: str) -> Array:
        """Return picture `name` as HxWx3 uint8 RGB."""
        return read_image(self.bytes(name))


def _untar(path: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(path) as archive:
            members = [m for m in archive if m.isfile()]
            return {m.name.removeprefix("./"): archive.extractfile(m).read() for m in members}  # type: ignore[union-attr]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UsageError(f"{path} is neither a folder nor a tar archive ({error})") from None
