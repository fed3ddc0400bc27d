"""The lint of a finished app: every rule fails on a file that breaks it, and only there."""

import contextlib
import json
import struct
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk import cli
from edgesdk.apk import inspect_apk
from edgesdk.core.axml import read_axml
from edgesdk.core.elf import read_elf
from edgesdk.core.errors import UsageError
from edgesdk.core.files import sha256_bytes
from tests import apks
from tests.apks import axml, elf, manifest, write_apk

LIBRARY = "lib/arm64-v8a/libonnxruntime.so"
MODEL = "assets/bundle/model.onnx"


def bundle(content=b"model"):
    files = {"model.onnx": {"sha256": sha256_bytes(content), "bytes": len(content)}}
    return json.dumps({"schema_version": 1, "files": files}).encode()


def good(**changes):
    entries = {
        LIBRARY: elf(),
        MODEL: b"model",
        "assets/bundle/bundle.json": (bundle(), True),
        "classes.dex": (b"dex\n035\0", True),
    }
    return {**entries, **changes}


def findings(path, level=None):
    rows = inspect_apk(path)["findings"]
    return [(r["rule"], r["level"]) for r in rows if level in (None, r["level"])]


def wrong(path):
    return [pair for pair in findings(path) if pair[1] in ("warning", "error")]


def test_a_good_app_has_no_finding_and_its_facts_are_told(tmp_path):
    path = write_apk(tmp_path / "app.apk", good())
    assert wrong(path) == []
    facts = inspect_apk(path)
    assert facts["package"] == "org.example"
    assert (facts["min_sdk"], facts["target_sdk"], facts["debuggable"]) == (26, 35, False)
    assert facts["abis"] == ["arm64-v8a"]
    assert facts["permissions"] == ["android.permission.CAMERA"]
    assert facts["activities"] == ["org.example.Main"]
    assert facts["signed"] == ["v2", "v3"]
    assert sum(facts["sizes"].values()) == path.stat().st_size


@pytest.mark.parametrize("abi", ["arm64-v8a", "x86_64"])
def test_acceptance_17_pages_of_4_kb_are_an_error_on_both_wide_abis(tmp_path, abi):
    libraries = {
        f"lib/{a}/libx.so": elf(a, 0x1000 if a == abi else 0x4000) for a in ("arm64-v8a", "x86_64")
    }
    path = write_apk(tmp_path / "app.apk", {MODEL: b"m", **libraries})
    (row,) = [r for r in inspect_apk(path)["findings"] if r["level"] == "error"]
    assert (row["rule"], row["where"]) == ("page-size", f"lib/{abi}/libx.so")
    assert "0x1000" in row["found"]
    assert "16384" in row["advice"]


def test_narrow_abis_may_have_pages_of_4_kb(tmp_path):
    entries = {LIBRARY: elf(), "lib/armeabi-v7a/libonnxruntime.so": elf("armeabi-v7a", 0x1000)}
    assert wrong(write_apk(tmp_path / "app.apk", {**entries, MODEL: b"m"})) == []


CASES = {
    "library not aligned": ({}, {"align": 4096}, ("placement", "error")),
    "library compressed": ({LIBRARY: (elf(), True)}, {}, ("placement", "error")),
    "library compressed, copied out": (
        {LIBRARY: (elf(), True)},
        {"tree": manifest(extractNativeLibs=True)},
        ("placement", "warning"),
    ),
    "model compressed": ({MODEL: (b"model", True)}, {}, ("model", "error")),
    "model altered": ({MODEL: b"other"}, {}, ("bundle", "error")),
    "bundle without manifest": ({"assets/bundle/bundle.json": b"{}"}, {}, ("bundle", "error")),
    "empty library": ({LIBRARY: b""}, {}, ("elf", "error")),
    "library of another machine": ({LIBRARY: elf("x86_64")}, {}, ("elf", "error")),
    "unknown ABI": ({"lib/mips/libonnxruntime.so": elf()}, {}, ("abi", "error")),
    "library missing on one ABI": (
        {"lib/x86_64/libonnxruntime.so": elf("x86_64"), "lib/x86_64/libmore.so": elf("x86_64")},
        {},
        ("abi", "error"),
    ),
    "no library but text": ({LIBRARY: b"text"}, {}, ("elf", "error")),
    "internet": ({}, {"tree": manifest(["android.permission.INTERNET"])}, ("offline", "warning")),
    "telemetry": (
        {"classes.dex": (b"dex Lai/onnxruntime/telemetry/HttpClient;", True)},
        {},
        ("telemetry", "warning"),
    ),
    "not signed": ({}, {"signed": ()}, ("signature", "warning")),
    "debuggable": ({}, {"tree": manifest(debuggable=True)}, ("debuggable", "warning")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_rule_finds_the_file_that_breaks_it(tmp_path, case):
    changes, options, expected = CASES[case]
    options = {**options}
    path = write_apk(tmp_path / "app.apk", good(**changes), **options)
    found = wrong(path)
    assert expected in found
    # An ABI of a strange name also brings its own errors; nothing else may speak up.
    assert {rule for rule, _ in found} <= {expected[0], *(["elf"] if case == "unknown ABI" else [])}


def test_an_app_without_arm64_is_an_error(tmp_path):
    path = write_apk(tmp_path / "app.apk", {MODEL: b"m", "lib/x86_64/libx.so": elf("x86_64")})
    assert wrong(path) == [("abi", "error")]


def test_an_app_over_the_stores_limit_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("edgesdk.apk.STORE_BYTES", 1000)
    assert wrong(write_apk(tmp_path / "app.apk", good())) == [("size", "warning")]


def write_aar(path, permission="", align=0x4000):
    asked = f'<uses-permission\n  android:name="{permission}"/>' if permission else ""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("AndroidManifest.xml", f'<?xml version="1.0"?><manifest>{asked}</manifest>')
        for abi in ("arm64-v8a", "x86_64"):
            out.writestr(f"jni/{abi}/libx.so", elf(abi, align))
    return path


def test_of_a_library_its_pages_and_permissions_matter(tmp_path):
    assert wrong(write_aar(tmp_path / "good.aar")) == []
    assert inspect_apk(tmp_path / "good.aar")["abis"] == ["arm64-v8a", "x86_64"]
    assert wrong(write_aar(tmp_path / "old.aar", align=0x1000)) == [("page-size", "error")] * 2
    net = write_aar(tmp_path / "net.aar", "android.permission.INTERNET")
    assert wrong(net) == [("offline", "warning")]
    assert cli.main(["inspect", str(tmp_path / "old.aar")]) == 4
    with zipfile.ZipFile(tmp_path / "good.aar", "a") as out:
        out.writestr(
            "classes.jar", b"PK ai/onnxruntime/telemetry/HttpClient.class", zipfile.ZIP_DEFLATED
        )
    assert wrong(tmp_path / "good.aar") == [("telemetry", "warning")]
    (tmp_path / "no.aar").write_bytes(b"text")
    with pytest.raises(UsageError, match=r"no\.aar is no AAR"):
        inspect_apk(tmp_path / "no.aar")


@pytest.mark.parametrize(
    "options", [{"utf8": True}, {"nameless": True}, {"utf8": True, "nameless": True}]
)
def test_manifests_of_all_tools_are_read(options):
    long = "org.example." + "x" * 300
    tree = manifest([long, "äöü"], debuggable=True)
    elements = read_axml(axml(tree, **options))
    assert [e.path[-1] for e in elements] == [
        "manifest", "uses-sdk", "uses-permission", "uses-permission", "application", "activity",
    ]  # fmt: skip
    assert [e.attributes["name"] for e in elements[2:4]] == [long, "äöü"]
    assert elements[4].attributes == {
        "allowBackup": False,
        "extractNativeLibs": False,
        "debuggable": True,
    }
    assert elements[1].attributes == {"minSdkVersion": 26, "targetSdkVersion": 35}


def test_elf_headers_are_read():
    for abi in ("arm64-v8a", "x86_64", "armeabi-v7a", "x86"):
        found = read_elf(elf(abi, 0x4000, loads=3))
        assert (found.machine, found.aligns) == (abi, (0x4000,) * 3)
        assert found.bits == (64 if abi in ("arm64-v8a", "x86_64") else 32)
    for damaged in (b"", elf()[:70], b"MZ" + elf()[2:], elf(loads=0)):
        with pytest.raises(UsageError, match="build the library again"):
            read_elf(damaged)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "no manifest", "manifest of text"])
def test_damaged_files_get_one_sentence(tmp_path, damage):
    path = write_apk(tmp_path / "app.apk", good())
    data = path.read_bytes()
    if damage in ("empty", "text", "cut"):
        path.write_bytes({"empty": b"", "text": b"text" * 99, "cut": data[:-60]}[damage])
    else:
        with zipfile.ZipFile(path, "w") as out:
            out.writestr(
                "AndroidManifest.xml" if damage == "manifest of text" else "x", "<manifest/>"
            )
    with pytest.raises(
        UsageError, match=r"app\.apk is no APK, or damaged .* build it again"
    ) as told:
        inspect_apk(path)
    assert "\n" not in str(told.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_bytes_that_were_changed_anywhere_never_crash_it(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "app.apk"
    content = bytearray(write_apk(path, good()).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        # Most bytes are padding: aim at the headers at both ends.
        near = st.one_of(st.integers(0, 1400), st.integers(len(content) - 1400, len(content) - 1))
        content[data.draw(near) % len(content)] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with contextlib.suppress(UsageError):
        json.dumps(inspect_apk(path))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 400))
def test_no_bytes_crash_the_readers(noise, at):
    base = axml(manifest())
    for read, whole in ((read_axml, base), (read_elf, elf())):
        for content in (noise, whole[:at] + noise + whole[at + len(noise) :], whole[:at]):
            with contextlib.suppress(UsageError):
                read(content)


def test_a_chunk_of_no_size_does_not_loop_for_ever():
    with pytest.raises(UsageError, match="no binary XML"):
        read_axml(struct.pack("<HHI", 3, 8, 100) + struct.pack("<HHI", 1, 0, 0) * 20)


POOL = apks._pool(["manifest"] * 100, True)


def tagged(pool, *starts):
    """Return binary XML of elements: (bytes, number) of attributes; one of 20 bytes is there."""
    body = pool
    for size, count in starts:
        body += struct.pack("<HHIII", 0x0102, 16, 56, 1, 0xFFFFFFFF)
        body += struct.pack("<IIHHHHHH", 0xFFFFFFFF, 0, 20, size, count, 0, 0, 0)
        body += struct.pack("<IIIHBBI", 0xFFFFFFFF, 0, 0, 8, 0, 3, 0)
    return struct.pack("<HHI", 3, 8, 8 + len(body)) + body


def overlapping(count=1000):
    """Return a pool whose every text is the whole of one long text, a byte shorter each time."""
    text = b"\xff\xff" * (count + 2) + b"a" * 32_767
    begin = 28 + 4 * count
    size = begin + len(text)
    head = struct.pack("<HHIIIIII", 1, 28, size, count, 0, 256, begin, 0)
    return head + struct.pack(f"<{count}I", *(2 * i for i in range(count))) + text


@pytest.mark.parametrize(
    "bomb",
    [
        tagged(POOL, *[(0, 0)] * 5000),
        tagged(overlapping()),
        tagged(POOL, (0, 65_535)),
        tagged(POOL, (20, 2), (20, 1)),
    ],
    ids=[
        "nested without end",
        "texts that overlap",
        "attributes of no size",
        "too many attributes",
    ],
)
def test_a_manifest_that_would_fill_the_memory_is_refused(bomb):
    assert len(read_axml(tagged(POOL, *[(20, 1)] * 100))) == 100
    with pytest.raises(UsageError, match="no binary XML"):
        read_axml(bomb)


def test_code_is_searched_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("edgesdk.apk.PART_BYTES", 4096)
    tracemalloc.start()
    code = bytes(50_000_000)
    path = write_apk(tmp_path / "bomb.apk", good(**{"classes.dex": (code, True)}))
    del code
    tracemalloc.reset_peak()
    assert wrong(path) == []
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    for at in range(4096 - 30, 4096 + 5):
        code = bytes(at) + b"Lai/onnxruntime/telemetry/HttpClient;"
        assert wrong(write_apk(path, good(**{"classes.dex": (code, True)}))) == [
            ("telemetry", "warning")
        ]


def test_names_inside_an_app_do_not_write_on_the_terminal(tmp_path):
    entries = {"lib/arm64-v8a/lib\x1b[31mx.so": elf(align=0x1000), MODEL: b"m"}
    rows = inspect_apk(write_apk(tmp_path / "app.apk", entries))["findings"]
    assert "lib/arm64-v8a/lib?[31mx.so" in {row["where"] for row in rows}
    assert all(text.isprintable() for row in rows for text in row.values())


def test_the_verb_shows_rows_and_asks_for_exit_code_4(tmp_path, capsys):
    path = write_apk(tmp_path / "app.apk", good(**{LIBRARY: elf(align=0x1000)}))
    assert cli.main(["inspect", str(path)]) == 4
    shown = capsys.readouterr().out
    assert "page-size" in shown
    assert "0x1000" in shown
    assert cli.main(["inspect", str(path), "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["kind"] == "apk"
    assert cli.main(["inspect", str(write_apk(tmp_path / "GOOD.APK", good()))]) == 0
    assert "offline" in capsys.readouterr().out


def test_the_verb_tells_of_a_damaged_app(tmp_path, capsys):
    (tmp_path / "app.apk").write_bytes(b"PK\3\4")
    assert cli.main(["inspect", str(tmp_path / "app.apk")]) == 2
    assert "is no APK, or damaged" in capsys.readouterr().err
