"""Arrays from files that anybody may have made."""

from io import BytesIO
from pathlib import Path

import numpy as np

from edgesdk.core.tensors import Array


def read_npz(path: Path) -> dict[str, Array]:
    """Return all arrays of an .npz file; pickled ones are refused.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or no .npz file of plain arrays.
    """
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile, zlib and numpy raise twenty classes
        raise ValueError(str(error) or type(error).__name__) from None
