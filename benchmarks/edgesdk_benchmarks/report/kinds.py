"""Files that say themselves what kind they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgesdk.core.files import read_small


def files_of(paths: Sequence[Path], kinds: Sequence[str]) -> list[Path]:
    """Return the JSON files of some kinds that `paths` name, or hold at any depth."""
    every = [
        p for path in paths for p in (sorted(path.rglob("*.json")) if path.is_dir() else [path])
    ]
    return list(dict.fromkeys(p for p in every if _kind(p) in kinds))


def _kind(path: Path) -> str:
    try:
        data = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(data.get("kind", "")) if isinstance(data, dict) else ""
