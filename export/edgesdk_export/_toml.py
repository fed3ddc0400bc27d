"""A first model.toml for a network from outside, to be edited."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_atomic
from edgesdk_export._told import TOML

HEAD = """\
# What edgesdk export must know of {file}; flags win over it. Lines with a # are examples.
file = {quoted}
name = {name}
task = "tensor"  # see: edgesdk models
# labels = "labels.txt"  # one name per line
# samples = "inputs.npz"  # real inputs, one array [N, ...] per input
licence = {{ weights = "unknown", data = "unknown" }}
"""
INPUT = """
[inputs.{name}]
shape = {shape}  # "N" is the batch
# range = [0.0, 1.0]  # what values are drawn from where there are no samples
"""
PICTURE = """\
# [inputs.{name}.preprocess]  # where it is made from pictures
# mean = [123.675, 116.28, 103.53]  # on the scale 0 to 255
# std = [58.395, 57.12, 57.375]
# color = "RGB"
"""


def write_toml(path: Path, inputs: Sequence[dict[str, Any]]) -> Path:
    """Write model.toml beside a network and return its path.

    Args:
        path: The network.
        inputs: Its inputs as rows of name, shape and type; free sizes are words.

    Raises:
        UsageError: there is one already.
    """
    file = path.with_name(TOML)
    if file.exists():
        raise UsageError(f"{file} is there already; edit it, or move it away")
    text = HEAD.format(file=path.name, quoted=_text(path.name), name=_text(path.stem))
    for row in inputs:
        name, sizes = _text(row["name"]), list(row["shape"])
        shape = ["N" if not isinstance(s, int) and i == 0 else s for i, s in enumerate(sizes)]
        words = ", ".join(str(s) if isinstance(s, int) else _text(str(s)) for s in shape)
        text += INPUT.format(name=name, shape=f"[{words}]")
        text += PICTURE.format(name=name) if len(sizes) == 4 else ""
    write_atomic(file, text.encode())
    return file


def _text(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
