"""What an Android app or library that carries a model must fulfil, read from the finished file.

An APK is checked whole; of an AAR, the library that an app is built with, what its users inherit.
Standard library only. A finding is a row: rule, level (ok, note, warning, error), where, found,
advice. Whoever packs an app reads them before a store or a phone refuses it.
"""

import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from edgesdk.core.axml import Element, read_axml
from edgesdk.core.elf import HEAD_BYTES, Elf, read_elf
from edgesdk.core.errors import UsageError

PAGE = 16_384
WIDE_ABIS = ("arm64-v8a", "x86_64")
ABIS = (*WIDE_ABIS, "armeabi-v7a", "x86")
MODELS = (".onnx", ".ort", ".tflite")
INTERNET = "android.permission.INTERNET"
TELEMETRY = b"ai/onnxruntime/telemetry/"
SIGNATURES = {0x7109871A: "v2", 0xF05368C0: "v3", 0x1B93AD61: "v3.1"}
STORE_BYTES = 200_000_000  # what Google Play lets a user download at once
TEXT_BYTES = 16_000_000
PART_BYTES = 1 << 20
DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, KeyError,
    RuntimeError, NotImplementedError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the lint.

    Attributes:
        rule: What was checked.
        level: ok, note, warning or error.
        where: File inside the app, "" for the app as a whole.
        found: What is there.
        advice: What to do, "" for nothing.
    """

    rule: str
    level: str
    where: str
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """An opened APK or AAR."""

    path: Path
    archive: zipfile.ZipFile
    entries: Sequence[zipfile.ZipInfo]
    manifest: Sequence[Element]

    @property
    def is_library(self) -> bool:
        """Whether it is an AAR."""
        return _is_library(self.path)

    def first(self, *path: str) -> Mapping[str, Any]:
        """Return the attributes of the first element of that path, {} for none."""
        return next((e.attributes for e in self.manifest if e.path == path), {})

    def names(self, tag: str) -> list[str]:
        """Return the `name` of every element called `tag`."""
        return [str(e.attributes.get("name", "")) for e in self.manifest if e.path[-1] == tag]

    def ending(self, *suffixes: str) -> list[zipfile.ZipInfo]:
        """Return the entries whose name ends so."""
        return [i for i in self.entries if i.filename.lower().endswith(suffixes)]

    def libraries(self) -> dict[str, list[zipfile.ZipInfo]]:
        """Return ABI -> shared libraries."""
        found: dict[str, list[zipfile.ZipInfo]] = {}
        for info in self.ending(".so"):
            parts = PurePosixPath(info.filename).parts
            if len(parts) == 3 and parts[0] == ("jni" if self.is_library else "lib"):
                found.setdefault(parts[1], []).append(info)
        return found


def _is_library(path: Path) -> bool:
    return path.suffix.lower() == ".aar"


def inspect_apk(path: Path) -> dict[str, Any]:
    """Return the facts of an APK or AAR and what is wrong with it.

    Returns:
        "package", "version", "min_sdk", "target_sdk", "debuggable", "abis", "permissions",
        "activities", "signed", "sizes" (bytes inside the APK by kind) and "findings" (rows,
        see `Finding`).

    Raises:
        UsageError: it is no APK or AAR, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, _is_library(path))
            app = App(path, archive, archive.infolist(), manifest)
            return {**_facts(app), "findings": [_printable(row) for row in _findings(app)]}
    except DAMAGED as error:
        kind = "AAR" if _is_library(path) else "APK"
        raise UsageError(f"{path} is no {kind}, or damaged ({error}); build it again") from None


def _printable(row: Finding) -> dict[str, str]:
    """Return a row for a terminal: names inside an app come from whoever packed it."""
    texts = asdict(row).items()
    return {key: "".join(c if c.isprintable() else "?" for c in text) for key, text in texts}


def _manifest(archive: zipfile.ZipFile, is_library: bool) -> list[Element]:
    name = "AndroidManifest.xml"
    if name not in archive.namelist():
        raise ValueError(f"it holds no {name}")
    with archive.open(name) as stream:
        try:
            content = stream.read(TEXT_BYTES)
            return _plain(content) if is_library else read_axml(content)
        except UsageError:
            raise ValueError(f"its {name} is no binary XML") from None


def _plain(content: bytes) -> list[Element]:
    """Return what an AAR's manifest, which is text, asks for; nothing else of it matters."""
    text = content.decode("utf-8", "replace")
    asked = re.findall(r"<uses-permission[^>]*android:name\s*=\s*[\"']([^\"']+)", text)
    return [Element(("manifest", "uses-permission"), {"name": name}) for name in asked]


def _facts(app: App) -> dict[str, Any]:
    root, sdk = app.first("manifest"), app.first("manifest", "uses-sdk")
    kinds = {"libraries": (".so",), "models": MODELS, "code": (".dex",)}
    sizes = {k: sum(i.compress_size for i in app.ending(*s)) for k, s in kinds.items()}
    return {
        "package": root.get("package"),
        "version": root.get("versionName"),
        "min_sdk": sdk.get("minSdkVersion"),
        "target_sdk": sdk.get("targetSdkVersion"),
        "debuggable": app.first("manifest", "application").get("debuggable", False),
        "abis": sorted(app.libraries()),
        "permissions": sorted(app.names("uses-permission")),
        "activities": app.names("activity"),
        "signed": _signatures(app),
        "sizes": {**sizes, "rest": app.path.stat().st_size - sum(sizes.values())},
    }


def _signatures(app: App) -> list[str]:
    """Return the schemes of the signing block, which lies before the central directory."""
    with app.path.open("rb") as stream:
        end = app.archive.start_dir
        stream.seek(max(0, end - 24))
        size, magic = struct.unpack("<Q16s", stream.read(24))
        if magic != b"APK Sig Block 42" or not 24 <= size <= end - 8:
            return []
        stream.seek(end - size)
        block, found, at = stream.read(size - 24), [], 0
    while at + 12 <= len(block):
        length, number = struct.unpack_from("<QI", block, at)
        found += [SIGNATURES[number]] if number in SIGNATURES else []
        at += 8 + length
    return sorted(found)


def _findings(app: App) -> Iterator[Finding]:
    yield from _abis(app)
    for abi, libraries in app.libraries().items():
        for info in libraries:
            yield from _library(app, abi, info)
    yield from _models(app)
    yield from _bundles(app)
    yield from _privacy(app)
    if not app.is_library:
        yield from _package(app)


def _abis(app: App) -> Iterator[Finding]:
    libraries = app.libraries()
    found = ", ".join(sorted(libraries)) or "no shared library"
    strange = sorted(set(libraries) - set(ABIS))
    if strange:
        advice = f"Android knows {', '.join(ABIS)}"
        yield Finding("abi", "error", "", f"unknown ABI {', '.join(strange)}", advice)
    if libraries and "arm64-v8a" not in libraries:
        yield Finding("abi", "error", "", found, "add arm64-v8a: every phone of today needs it")
    elif not strange:
        yield Finding("abi", "ok", "", found)
    every = {PurePosixPath(i.filename).name for infos in libraries.values() for i in infos}
    for abi, infos in libraries.items():
        lacking = sorted(every - {PurePosixPath(i.filename).name for i in infos})
        if lacking:
            advice = f"the app would crash there: add it, or leave {abi} out"
            yield Finding("abi", "error", f"lib/{abi}", f"no {', '.join(lacking)}", advice)


def _library(app: App, abi: str, info: zipfile.ZipInfo) -> Iterator[Finding]:
    try:
        with app.archive.open(info) as stream:
            elf = read_elf(stream.read(HEAD_BYTES))
    except UsageError as error:
        yield Finding("elf", "error", info.filename, str(error))
        return
    if elf.machine != abi:
        advice = f"put it into lib/{elf.machine}, or build it for {abi}"
        yield Finding("elf", "error", info.filename, f"built for {elf.machine}", advice)
    if abi in WIDE_ABIS:
        yield _page_alignment(info, elf)
    if not app.is_library:
        yield _placed(app, abi, info)


def _page_alignment(info: zipfile.ZipInfo, elf: Elf) -> Finding:
    least = min(elf.aligns)
    advice = (
        "" if least >= PAGE else "link with -Wl,-z,max-page-size=16384, or take a newer library"
    )
    level = "ok" if least >= PAGE else "error"
    return Finding("page-size", level, info.filename, f"p_align {least:#x}", advice)


def _placed(app: App, abi: str, info: zipfile.ZipInfo) -> Finding:
    """Say whether the library can be mapped where it lies."""
    extracted = app.first("manifest", "application").get("extractNativeLibs", True)
    if info.compress_type != zipfile.ZIP_STORED:
        level = "warning" if extracted else "error"
        advice = "store it: a compressed library is copied out at installation, if at all"
        return Finding("placement", level, info.filename, "compressed", advice)
    offset = _data_offset(app, info)
    page = PAGE if abi in WIDE_ABIS else 4096
    if offset % page:
        advice = f"align the APK before it is signed: zipalign -f {page}"
        return Finding("placement", "error", info.filename, f"lies at {offset:#x}", advice)
    return Finding("placement", "ok", info.filename, f"stored, aligned to {page}")


def _data_offset(app: App, info: zipfile.ZipInfo) -> int:
    """Return where the content lies; the local header has its own lengths, which hold padding."""
    with app.path.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", stream.read(4))
    return int(info.header_offset + 30 + name + extra)


def _models(app: App) -> Iterator[Finding]:
    models = app.ending(*MODELS)
    if not models and not app.is_library:
        yield Finding("model", "note", "", f"no {', '.join(MODELS)} inside")
    for info in models:
        size = f"{info.file_size:,} bytes"
        if app.is_library or info.compress_type == zipfile.ZIP_STORED:
            yield Finding(
                "model", "ok", info.filename, size if app.is_library else f"stored, {size}"
            )
        else:
            suffix = PurePosixPath(info.filename).suffix
            advice = f'it cannot be mapped: noCompress += "{suffix[1:]}", or aapt2 link -0 {suffix}'
            yield Finding("model", "error", info.filename, f"compressed, {size}", advice)


def _bundles(app: App) -> Iterator[Finding]:
    """Compare the files of every edgesdk bundle inside with its own hashes."""
    for info in app.ending("/bundle.json"):
        folder = PurePosixPath(info.filename).parent
        try:
            with app.archive.open(info) as stream:
                files = json.loads(stream.read(TEXT_BYTES))["files"]
            wanted = {str(folder / name): entry["sha256"] for name, entry in files.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield Finding("bundle", "error", info.filename, "no manifest", "export it again")
            continue
        wrong = [name for name, digest in wanted.items() if _sha256(app, name) != digest]
        for name in wrong:
            advice = "pack the bundle again; it would be refused at its first use"
            yield Finding("bundle", "error", name, "missing or altered", advice)
        if not wrong:
            yield Finding("bundle", "ok", str(folder), f"{len(wanted)} files with the right hashes")


def _sha256(app: App, name: str) -> str:
    if name not in app.archive.NameToInfo:
        return ""
    with app.archive.open(name) as stream:
        return _digest(stream)


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while part := stream.read(PART_BYTES):
        digest.update(part)
    return digest.hexdigest()


def _privacy(app: App) -> Iterator[Finding]:
    if INTERNET in app.names("uses-permission"):
        advice = "without it no picture can leave the phone; leave it out if nothing needs it"
        yield Finding("offline", "warning", "", f"asks for {INTERNET}", advice)
    else:
        yield Finding("offline", "ok", "", "does not ask for the permission INTERNET")
    for info in app.ending(".dex", ".jar"):
        with app.archive.open(info) as stream:
            if _holds(stream, TELEMETRY):
                advice = "take ai/onnxruntime/telemetry and TelemetryInitializer out of the app"
                yield Finding("telemetry", "warning", info.filename, "of ONNX Runtime", advice)


def _holds(stream: IO[bytes], text: bytes) -> bool:
    """Search in pieces: a small file may unpack to more than the memory holds."""
    tail = b""
    while part := stream.read(PART_BYTES):
        if text in tail + part:
            return True
        tail = part[-len(text) :]
    return False


def _package(app: App) -> Iterator[Finding]:
    signed, size = _signatures(app), app.path.stat().st_size
    if signed:
        yield Finding("signature", "ok", "", ", ".join(signed))
    else:
        advice = "sign it with apksigner (v2 or newer), else no phone installs it"
        yield Finding("signature", "warning", "", "not signed", advice)
    if size > STORE_BYTES:
        advice = f"Google Play lets users download {STORE_BYTES / 1e6:.0f} MB; split it by ABI"
        yield Finding("size", "warning", "", f"{size / 1e6:.1f} MB", advice)
    else:
        yield Finding("size", "ok", "", f"{size / 1e6:.1f} MB")
    if app.first("manifest", "application").get("debuggable") is True:
        advice = "no store takes it: fine for a benchmark, build a release for users"
        yield Finding("debuggable", "warning", "", "debuggable", advice)
