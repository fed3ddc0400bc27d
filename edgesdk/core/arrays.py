"""Arrays from files that anybody may have made."""

from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from edgesdk.core.tensors import Array


def npz_names(path: Path) -> set[str]:
    """Return the names of the arrays in an .npz file, none where it is no such file."""
    try:
        with ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (BadZipFile, OSError):
        return set()


def read_npz(source: Path | bytes) -> dict[str, Array]:
    """Return all arrays of an .npz file, or of its content; pickled ones are refused.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or no .npz file of plain arrays.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    if not content.startswith(b"PK"):
        raise ValueError("it is no .npz file")
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile, zlib and numpy raise twenty classes
        raise ValueError(str(error) or type(error).__name__) from None
