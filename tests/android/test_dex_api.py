"""The look-up of the finished code in the API of the oldest Android."""

import struct
import zipfile
from pathlib import Path

import pytest

from android_demo.tools import dex_api

SIGNATURES = sorted(Path(dex_api.APK).parent.glob("parts/gummy-bears-api-*.signature"))


def dex(strings, types, protos, fields, methods, classes):
    """Return the tables of a dex file, all indices; a proto is (result, [parameters])."""
    at, data = 112, b""
    tables = [4 * len(strings), 4 * len(types), 12 * len(protos), 8 * len(fields), 8 * len(methods)]
    begins = [at + sum(tables[:i]) for i in range(6)]
    after = begins[5] + 32 * len(classes)
    offsets, lists = [], []
    for text in strings:
        offsets.append(after + len(data))
        data += bytes([len(text)]) + text.encode() + b"\0"
    data += bytes(-(after + len(data)) % 4)
    for _, given in protos:
        lists.append(after + len(data) if given else 0)
        data += struct.pack(f"<I{len(given)}H", len(given), *given) + bytes(2 * (len(given) % 2))
    body = struct.pack(f"<{len(strings)}I{len(types)}I", *offsets, *types)
    body += b"".join(struct.pack("<III", 0, r, o) for (r, _), o in zip(protos, lists, strict=True))
    body += b"".join(struct.pack("<HHI", *row) for row in [*fields, *methods])
    body += b"".join(struct.pack("<8I", c, 0, 0, 0, 0, 0, 0, 0) for c in classes)
    counts = [len(t) for t in (strings, types, protos, fields, methods, classes)]
    pairs = [n for pair in zip(counts, begins, strict=True) for n in pair]
    return bytes(56) + struct.pack("<12I", *pairs) + struct.pack("<II", 0, 0) + body + data


STRINGS = ["LOwn;", "Landroid/app/Activity;", "I", "V", "[I", "go", "LABEL", "clone"]
CODE = dex(
    STRINGS,
    types=[0, 1, 2, 3, 4],
    protos=[(3, [2, 4]), (3, [])],
    fields=[(0, 2, 6), (1, 2, 6)],
    methods=[(0, 1, 5), (1, 0, 5), (4, 1, 7)],
    classes=[0],
)


def test_what_the_code_takes_from_outside_is_found():
    calls = list(dex_api.outside_calls(CODE))
    assert calls == [("android/app/Activity", "LABEL#I"), ("android/app/Activity", "go(I[I)V")]


def api(**classes):
    made = object.__new__(dex_api.Api)
    made.classes = {
        name.replace("__", "/"): {
            "signatures": {"items": m},
            "superClass": a,
            "superInterfaces": None,
        }
        for name, (m, a) in classes.items()
    }
    return made


def test_members_are_inherited():
    found = api(
        android__app__Activity=(["LABEL#I"], "java/lang/Thing"),
        java__lang__Thing=(["go(I[I)V"], None),
    )
    assert found.has("android/app/Activity", "go(I[I)V")
    assert found.has("android/app/Activity", "LABEL#I")
    assert not found.has("android/app/Activity", "go(I)V")
    assert not found.has("android/app/Nothing", "go(I)V")


@pytest.fixture
def signature():
    if not SIGNATURES:
        pytest.skip("the signature is not there; run: make android")
    return SIGNATURES[0]


def test_the_real_signature_knows_android_8(signature):
    found = dex_api.Api(signature)
    assert len(found.classes) > 3000
    assert found.has("android/app/Activity", "getFilesDir()Ljava/io/File;")
    # New in Android 10 and in Java 9.
    assert not found.has("android/os/PowerManager", "getCurrentThermalStatus()I")
    assert not found.has("java/nio/FloatBuffer", "rewind()Ljava/nio/FloatBuffer;")


def test_a_call_that_does_not_exist_is_named(signature, tmp_path):
    with zipfile.ZipFile(tmp_path / "app.apk", "w") as out:
        out.writestr("classes.dex", CODE)
    count, absent = dex_api.missing(tmp_path / "app.apk", signature)
    assert (count, absent) == (2, ["android/app/Activity LABEL#I", "android/app/Activity go(I[I)V"])


def test_the_packed_app_calls_nothing_newer_but_what_is_guarded(signature):
    if not dex_api.APK.exists():
        pytest.skip("the app is not built; run: make android")
    count, absent = dex_api.missing(dex_api.APK, signature)
    assert count > 300
    assert set(absent) == dex_api.GUARDED
