"""Read a program saved by torch.export without loading a pickle or running its text.

`torch.export.load` unpickles what an archive asks for, sample inputs first, and evaluates its
size expressions. So the archive is looked through, and copied without its sample inputs.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.hush import hush

# What a node may call: operators of torch and arithmetic on sizes.
CALLS = re.compile(r"torch\.ops\.\w+\.[\w.]+|_operator\.\w+|math\.\w+|torch\.sym_\w+")
# A formula of sizes: quotes around names alone, no attributes, no double underscores.
FORMULA = re.compile(r"(?!.*__)(?!.*[A-Za-z_]\w*\s*\.)([\w\s+\-*/%(),.<>=!&|~]|'\w+')*")
SAMPLES, WEIGHTS, CONSTANTS, COMPILED = (
    "data/sample_inputs/", "data/weights/", "data/constants/", "data/aotinductor/",
)  # fmt: skip
PLAIN = re.compile(r"(weight|tensor)_\d+")


def load_program(path: Path) -> Any:
    """Return the torch.export.ExportedProgram in a .pt2 file.

    Raises:
        UsageError: it is no such file.
        UnsupportedError: it holds more than a program with plain tensors.
    """
    import torch

    try:
        archive = _plain_copy(path)
        with hush():
            return torch.export.load(archive)
    except (UsageError, UnsupportedError):
        raise
    except Exception as error:  # noqa: BLE001 - torch, zipfile and json raise classes of their own
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(
            f"{path} is no program of torch.export that this torch {torch.__version__} reads "
            f"({text}); save it again with torch.export.save"
        ) from None


def _plain_copy(path: Path) -> io.BytesIO:
    """Return the archive with empty sample inputs, after looking at the rest of it."""
    copy = io.BytesIO()
    try:
        archive = ZipFile(path)
    except BadZipFile:
        raise UsageError(
            f"{path} is no archive of torch.export; save the program with "
            "torch.export.save(torch.export.export(net, inputs), 'net.pt2')"
        ) from None
    with archive, ZipFile(copy, "w") as out:
        names = archive.namelist()
        if not any("/models/" in name for name in names):
            raise UsageError(f"{path} holds no program in the form of torch 2.8 or newer; save it "
                             "again with torch.export.save")  # fmt: skip
        for name in names:
            inner = name.partition("/")[2]
            content = b"" if inner.startswith(SAMPLES) else archive.read(name)
            _check(path, inner, content)
            out.writestr(name, content)
    copy.seek(0)
    return copy


def _check(path: Path, name: str, content: bytes) -> None:
    """Raise UnsupportedError for a part that would be unpickled or run."""
    if name.startswith(COMPILED):
        raise UnsupportedError(f"{path} holds compiled code; save the program itself")
    if name.endswith(".json") and name.startswith((WEIGHTS, CONSTANTS)):
        for entry in json.loads(content)["config"].values():
            if entry.get("use_pickle") or not PLAIN.fullmatch(entry["path_name"]):
                raise _pickled(path)
    elif name.startswith((WEIGHTS, CONSTANTS)) and not PLAIN.fullmatch(PurePosixPath(name).name):
        raise _pickled(path)
    elif name.startswith("models/"):
        _check_program(path, json.loads(content))


def _pickled(path: Path) -> UnsupportedError:
    return UnsupportedError(
        f"{path} holds a pickle, which runs code when it is read; save a program of plain tensors"
    )


def _check_program(path: Path, program: Any) -> None:
    for part in _parts(program):
        call, formula = part.get("target"), part.get("expr_str")
        strange = next(
            (text for text, known in ((call, CALLS), (formula, FORMULA))
             if isinstance(text, str) and not known.fullmatch(text)),
            None,
        )  # fmt: skip
        if strange is not None:
            raise UnsupportedError(
                f"{path} calls {strange[:60]!r}, which is no operator of torch; it is not run"
            )


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary within a JSON value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
