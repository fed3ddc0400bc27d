"""Hand-made shared libraries, manifests and APKs, one property at a time."""

import struct
import zipfile
from pathlib import Path

IDS = {
    "name": 0x01010003, "debuggable": 0x0101000F, "exported": 0x01010010,
    "permission": 0x01010006, "minSdkVersion": 0x0101020C, "versionName": 0x0101021C,
    "targetSdkVersion": 0x01010270, "allowBackup": 0x01010280, "extractNativeLibs": 0x010104EA,
}  # fmt: skip
MACHINES = {"arm64-v8a": 183, "x86_64": 62, "armeabi-v7a": 40, "x86": 3}


def elf(abi="arm64-v8a", align=0x4000, loads=2):
    """Return a library that is nothing but its headers."""
    wide = abi in ("arm64-v8a", "x86_64")
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    if wide:
        head = struct.pack(
            "<HHIQQQIHHHHHH", 3, MACHINES[abi], 1, 0, 64, 0, 0, 64, 56, loads + 1, 0, 0, 0
        )
        load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, align)
        note = struct.pack("<IIQQQQQQ", 4, 5, 0, 0, 0, 0, 0, 4)
    else:
        head = struct.pack(
            "<HHIIIIIHHHHHH", 3, MACHINES[abi], 1, 0, 52, 0, 0, 52, 32, loads + 1, 0, 0, 0
        )
        load = struct.pack("<IIIIIIII", 1, 0, 0, 0, 0, 0, 5, align)
        note = struct.pack("<IIIIIIII", 4, 0, 0, 0, 0, 0, 5, 4)
    return ident + head + load * loads + note


def axml(tree, utf8=False, nameless=False):
    """Return binary XML of (name, {attribute: value}, [children]).

    Args:
        tree: Root element.
        utf8: Strings as UTF-8, as newer tools write them.
        nameless: Leave the names of Android's attributes out, as shrinking tools do.
    """
    texts = list(IDS)
    body = b"".join(_element(tree, texts))
    shown = ["" if nameless and i < len(IDS) else t for i, t in enumerate(texts)]
    ids = struct.pack(f"<{len(IDS)}I", *IDS.values())
    parts = _pool(shown, utf8) + struct.pack("<HHI", 0x0180, 8, 8 + len(ids)) + ids + body
    return struct.pack("<HHI", 3, 8, 8 + len(parts)) + parts


def _pool(texts, utf8):
    blobs = []
    for text in texts:
        raw = text.encode("utf-8" if utf8 else "utf-16-le")
        if utf8:
            sizes = b"".join(
                bytes([n]) if n < 128 else bytes([0x80 | n >> 8, n & 255])
                for n in (len(text), len(raw))
            )
            blobs.append(sizes + raw + b"\0")
        else:
            blobs.append(struct.pack("<H", len(text)) + raw + b"\0\0")
    offsets = [sum(map(len, blobs[:i])) for i in range(len(blobs))]
    data = b"".join(blobs)
    data += bytes(-len(data) % 4)
    begin = 28 + 4 * len(texts)
    head = struct.pack(
        "<HHIIIIII", 1, 28, begin + len(data), len(texts), 0, 256 if utf8 else 0, begin, 0
    )
    return head + struct.pack(f"<{len(texts)}I", *offsets) + data


def _index(texts, text):
    if text not in texts:
        texts.append(text)
    return texts.index(text)


def _element(tree, texts):
    name, attributes, children = tree
    number = _index(texts, name)
    packed = b""
    for key, value in attributes.items():
        if isinstance(value, str):
            kind, raw = 3, _index(texts, value)
            data = raw
        else:
            kind, raw, data = (0x12 if isinstance(value, bool) else 0x10), 0xFFFFFFFF, int(value)
            data = 0xFFFFFFFF if value is True else data
        packed += struct.pack("<IIIHBBI", 0xFFFFFFFF, _index(texts, key), raw, 8, 0, kind, data)
    ext = struct.pack("<IIHHHHHH", 0xFFFFFFFF, number, 20, 20, len(attributes), 0, 0, 0)
    yield struct.pack("<HHIII", 0x0102, 16, 36 + len(packed), 1, 0xFFFFFFFF) + ext + packed
    for child in children:
        yield from _element(child, texts)
    yield struct.pack("<HHIIIII", 0x0103, 16, 24, 1, 0xFFFFFFFF, 0xFFFFFFFF, number)


def manifest(permissions=("android.permission.CAMERA",), **application):
    """Return the tree of a manifest."""
    activity = ("activity", {"name": "org.example.Main", "exported": True}, [])
    settings = {"allowBackup": False, "extractNativeLibs": False, **application}
    asked = [("uses-permission", {"name": name}, []) for name in permissions]
    sdk = ("uses-sdk", {"minSdkVersion": 26, "targetSdkVersion": 35}, [])
    about = {"package": "org.example", "versionName": "1.0"}
    return ("manifest", about, [sdk, *asked, ("application", settings, [activity])])


def write_apk(path: Path, entries, align=16_384, tree=None, signed=("v2", "v3")):
    """Write an APK.

    Args:
        path: Where.
        entries: Name -> content, stored; (content, True) is compressed.
        align: Where the content of stored libraries begins: a multiple of it.
        tree: Manifest.
        signed: Schemes that the (empty) signing block names.
    """
    with zipfile.ZipFile(path, "w") as out:
        for name, entry in {"AndroidManifest.xml": axml(tree or manifest()), **entries}.items():
            content, deflated = entry if isinstance(entry, tuple) else (entry, False)
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
            if name.endswith(".so") and not deflated:
                # As zipalign does: the extra field of the local header is padded.
                at = out.fp.tell() + 30 + len(name)
                info.extra = struct.pack("<HH", 0xD935, -(at + 4) % align) + bytes(
                    -(at + 4) % align
                )
            out.writestr(info, content)
    if signed:
        _sign(path, signed)
    return path


def _sign(path, schemes):
    """Insert a signing block of the right form before the central directory."""
    numbers = {"v2": 0x7109871A, "v3": 0xF05368C0}
    pairs = b"".join(struct.pack("<QI", 4 + 8, numbers[s]) + bytes(8) for s in schemes)
    size = struct.pack("<Q", len(pairs) + 24)
    block = size + pairs + size + b"APK Sig Block 42"
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    (directory,) = struct.unpack_from("<I", data, end + 16)
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 16, directory + len(block))
    path.write_bytes(data[:directory] + block + data[directory:end] + bytes(tail))
