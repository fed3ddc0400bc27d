"""Where the cases of this process write."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

from edgesdk.core.bundle import read_bundle
from edgesdk.core.shipped import shipped_bundle

ROOT = Path(__file__).resolve().parents[2]
MODEL = "bridge-face"
LARGEST = 64  # pixels of a side that pre-processing is tried with


@cache
def place():
    """Return a folder of this process alone, in memory where the system has such."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))


def forget():
    """Remove what the cases of this process wrote."""
    shutil.rmtree(place(), ignore_errors=True)
    place.cache_clear()


def write(name, content):
    path = place() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    path.write_bytes(content)
    return path


@cache
def whole():
    """Return a copy of the shipped bundle whose golden index a case may change."""
    folder = place() / "whole"
    shutil.copytree(shipped_bundle(MODEL), folder, dirs_exist_ok=True)
    return read_bundle(folder), json.loads((folder / "golden/index.json").read_text())
