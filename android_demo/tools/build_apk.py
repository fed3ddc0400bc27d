# ruff: noqa: T201
"""Pack the Android demo without Android's own build tools.

    python android_demo/tools/build_apk.py resources    # before mvn verify: the tests need them
    python android_demo/tools/build_apk.py apk          # after it: app/build/edgesdk-demo.apk

Needs aapt2, zipalign, apksigner, a JDK, and for the runtime's AAR either --aar or npm. The APK is
debuggable, so that the host may read its result, and signed with the key that Android Studio
uses for debugging (~/.android/debug.keystore; made where there is none).
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

DEMO = Path(__file__).parents[1]
APP, BUILD = DEMO / "app", DEMO / "app/build"
ASSETS, PARTS, APK = BUILD / "assets", BUILD / "parts", BUILD / "edgesdk-demo.apk"
RESOURCES, RUNTIME = BUILD / "resources.apk", BUILD / "runtime"
MANIFEST = BUILD / "AndroidManifest.xml"
ABI = "arm64-v8a"
PAGE = "16384"
# Android's field of a zip entry that tells where its data want to lie: without it the signer puts
# libraries back on pages of 4 KiB wherever an entry before them has moved.
WANTS_PAGE = struct.pack("<HHH", 0xD935, 2, int(PAGE))
# The AAR of onnxruntime-android as a third party packed it, for where its own registry cannot be
# reached: for checks of the build alone, never published.
REPACK = "com.github.asus4.onnxruntime@0.4.9"
REPACK_MEMBER = "package/Plugins/Android/onnxruntime.aar"
REPACK_NOTICES = {
    "LICENSE": "package/LICENSE",
    "ThirdPartyNotices": "package/ThirdPartyNotices.txt",
}
AAR_SHA256 = "98cddbac92640b4a6af72a03c42e0491851f366d3da66bbaeb5dd66310946cf2"
TELEMETRY = re.compile(r"^ai/onnxruntime/(telemetry/|TelemetryInitializer)")
KEY = Path.home() / ".android/debug.keystore"


def run(*words: object, cwd: Path | None = None) -> str:
    """Run a tool and return what it printed; its failure ends the build in one sentence."""
    try:
        done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"{words[0]} is not installed; run: make android")
    if done.returncode:
        sys.exit(f"{words[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def resources() -> None:
    """Compile the resources and gather the assets."""
    shutil.rmtree(ASSETS, ignore_errors=True)
    shutil.copytree(DEMO / "build/bundle", ASSETS / "bundle")
    _licenses(ASSETS / "licenses")
    (ASSETS / "about").mkdir()
    (ASSETS / "about/build.json").write_text(json.dumps(_revision()) + "\n")
    RESOURCES.unlink(missing_ok=True)
    android = _part("org.robolectric", "android-all", "android.all.version")
    _monitor()
    _manifest(_settings())
    run("aapt2", "compile", "--dir", APP / "src/main/res", "-o", BUILD / "res.zip")
    inputs = ["--manifest", MANIFEST, "-A", ASSETS, BUILD / "res.zip"]
    # A compressed model cannot be mapped into memory. "-0 onnx" without the dot matches nothing.
    stored = ["-0", ".onnx", "-0", ".tflite"]
    run("aapt2", "link", "--debug-mode", "-o", RESOURCES, "-I", android, *stored, *inputs)
    print(f"packed resources and assets into {RESOURCES}")


def _settings() -> dict[str, str]:
    """Return what the Gradle files say of the app: they are the one place for it."""
    script = (APP / "build.gradle.kts").read_text()
    quoted = dict(re.findall(r'(applicationId|versionName) = "(.*?)"', script))
    code = re.search(r"versionCode = (\d+)", script)
    versions = tomllib.loads((DEMO / "gradle/libs.versions.toml").read_text())["versions"]
    return {**quoted, **versions, "versionCode": code[1] if code else "1"}


def _manifest(about: dict[str, str]) -> None:
    """Write the manifest with what Gradle would add."""
    text = (APP / "src/main/AndroidManifest.xml").read_text()
    levels = f'android:minSdkVersion="{about["minSdk"]}" '
    levels += f'android:targetSdkVersion="{about["targetSdk"]}"'
    root = (
        f'package="{about["applicationId"]}" android:versionCode="{about["versionCode"]}" '
        f'android:versionName="{about["versionName"]}">\n    <uses-sdk {levels} />'
    )
    text = re.sub(r'(<manifest xmlns:android="[^"]*")>', rf"\1 {root}", text)
    # The libraries are mapped where they lie in the APK.
    text = text.replace("<application", '<application android:extractNativeLibs="false"', 1)
    MANIFEST.write_text(text)


def _licenses(folder: Path) -> None:
    """Put the licence of every part beside it."""
    folder.mkdir(parents=True)
    root = DEMO.parent
    shutil.copy(root / "LICENSE", folder / "edgesdk-LICENSE.txt")
    shutil.copy(root / "NOTICE", folder / "edgesdk-NOTICE.txt")
    # Kotlin's standard library has the same licence text as edgesdk: Apache-2.0.
    shutil.copy(root / "LICENSE", folder / "kotlin-stdlib-LICENSE.txt")
    weights = DEMO / "build/bundle/LICENSE.weights"
    if weights.exists():
        shutil.copy(weights, folder / "weights-LICENSE.txt")
    for name in REPACK_NOTICES:
        shutil.copy(RUNTIME / f"{name}.txt", folder / f"onnxruntime-{name}.txt")


def _revision() -> dict[str, object]:
    """Return what the result of a benchmark tells about the app."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=DEMO, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return {"git": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "."))}


def _part(group: str, artifact: str, version: str, kind: str = "jar") -> Path:
    """Return a file of Maven's repository as `PARTS`/artifact.kind; `version` is a property."""
    target = PARTS / f"{artifact}.{kind}"
    if not target.exists():
        found = re.search(rf"<{version}>(.*)</{version}>", (DEMO / "pom.xml").read_text())
        if found is None:
            sys.exit(f"{DEMO / 'pom.xml'} has no property {version}; put it back")
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        name = f"-Dartifact={group}:{artifact}:{found[1]}:{kind}"
        where = [f"-DoutputDirectory={PARTS}", "-Dmdep.stripVersion=true"]
        run("mvn", "-B", "-q", "-N", goal, name, *where, cwd=DEMO)
    return target


def _monitor() -> None:
    """Take the classes that Robolectric needs out of their AAR."""
    with zipfile.ZipFile(_part("androidx.test", "monitor", "monitor.version", "aar")) as aar:
        (PARTS / "monitor.jar").write_bytes(aar.read("classes.jar"))


def fetch_runtime(aar: Path | None) -> None:
    """Put the runtime's AAR and its notices into `RUNTIME`."""
    RUNTIME.mkdir(parents=True, exist_ok=True)
    if aar is not None:
        shutil.copy(aar, RUNTIME / "onnxruntime.aar")
        for name in REPACK_NOTICES:
            shutil.copy(aar.with_name(f"{name}.txt"), RUNTIME / f"{name}.txt")
    elif not (RUNTIME / "onnxruntime.aar").exists():
        print(f"fetching the runtime's AAR: {REPACK}, 150 MB")
        with tempfile.TemporaryDirectory() as folder:
            run("npm", "pack", "--silent", REPACK, cwd=Path(folder))
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as pack:
                wanted = {REPACK_MEMBER: "onnxruntime.aar"}
                wanted |= {member: f"{name}.txt" for name, member in REPACK_NOTICES.items()}
                content = {wanted[m.name]: pack.extractfile(m) for m in pack if m.name in wanted}
                for name, stream in content.items():
                    assert stream is not None
                    (RUNTIME / name).write_bytes(stream.read())
        found = hashlib.sha256((RUNTIME / "onnxruntime.aar").read_bytes()).hexdigest()
        if found != AAR_SHA256:
            shutil.rmtree(RUNTIME)
            sys.exit(
                f"the runtime's AAR has SHA-256 {found}, expected {AAR_SHA256}; it is not used"
            )


def apk() -> None:
    """Shrink, pack, align and sign."""
    _dex()
    bare = BUILD / "bare.apk"
    shutil.copy(RESOURCES, bare)
    with zipfile.ZipFile(bare, "a") as out, zipfile.ZipFile(RUNTIME / "onnxruntime.aar") as aar:
        _store(out, "classes.dex", (BUILD / "dex/classes.dex").read_bytes(), zipfile.ZIP_DEFLATED)
        for name in sorted(n for n in aar.namelist() if n.startswith(f"jni/{ABI}/")):
            library = name.replace("jni/", "lib/", 1)
            _store(out, library, aar.read(name), zipfile.ZIP_STORED, WANTS_PAGE)
    # Aligned first, signed afterwards: the signature covers the padding.
    run("zipalign", "-f", PAGE, bare, BUILD / "aligned.apk")
    _key()
    options = ["--ks", KEY, "--ks-pass", "pass:android", "--min-sdk-version", _settings()["minSdk"]]
    run(
        "apksigner",
        "sign",
        *options,
        "--v1-signing-enabled",
        "false",
        "--out",
        APK,
        BUILD / "aligned.apk",
    )
    for rest in ("bare.apk", "aligned.apk"):
        (BUILD / rest).unlink()
    # For tools/dex_api.py.
    _part(
        "com.toasttab.android",
        f"gummy-bears-api-{_settings()['minSdk']}",
        "gummy.bears.version",
        "signature",
    )
    print(f"wrote {APK}, {APK.stat().st_size:,} bytes")


def _store(out: zipfile.ZipFile, name: str, content: bytes, how: int, extra: bytes = b"") -> None:
    """Add one entry with a fixed date, so that equal content gives an equal file."""
    info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    info.compress_type, info.extra = how, extra
    out.writestr(info, content)


def _dex() -> None:
    """Make classes.dex from the app, the core, Kotlin's library and the runtime's Java part."""
    classes = BUILD / "runtime.jar"
    with zipfile.ZipFile(RUNTIME / "onnxruntime.aar") as aar:
        (BUILD / "runtime-all.jar").write_bytes(aar.read("classes.jar"))
    _filtered(BUILD / "runtime-all.jar", classes, lambda name: not TELEMETRY.match(name))
    shutil.rmtree(BUILD / "dex", ignore_errors=True)
    (BUILD / "dex").mkdir()
    jars = [_jar("app"), _jar("core"), PARTS / "kotlin-stdlib.jar", classes]
    java = Path(shutil.which("java") or "java").resolve().parents[1]
    libraries = ["--lib", PARTS / "android-all.jar", "--lib", java]
    r8 = [
        "java",
        "-cp",
        PARTS / "r8.jar",
        "com.android.tools.r8.R8",
        "--release",
        "--min-api",
        _settings()["minSdk"],
    ]
    run(*r8, *libraries, "--pg-conf", DEMO / "r8.pro", "--output", BUILD / "dex", *jars)


def _filtered(source: Path, target: Path, keep: Callable[[str], bool]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in filter(keep, old.namelist()):
            new.writestr(name, old.read(name))


def _jar(module: str) -> Path:
    found = sorted((DEMO / module / "build").glob("edgesdk-*.jar"))
    if not found:
        sys.exit(f"{module} is not compiled; run: make android")
    return found[0]


def _key() -> None:
    if KEY.exists():
        return
    print(f"making a key for debugging: {KEY}")
    KEY.parent.mkdir(parents=True, exist_ok=True)
    who = ["-alias", "androiddebugkey", "-dname", "CN=Android Debug,O=Android,C=US"]
    how = ["-storetype", "PKCS12", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000"]
    secret = ["-storepass", "android", "-keypass", "android"]
    run("keytool", "-genkeypair", "-keystore", KEY, *who, *how, *secret)


def main() -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["resources", "apk"])
    parser.add_argument("--aar", type=Path, help="onnxruntime-android's AAR, its notices beside it")
    args = parser.parse_args()
    os.umask(0o022)
    BUILD.mkdir(parents=True, exist_ok=True)
    fetch_runtime(args.aar)
    resources() if args.step == "resources" else apk()


if __name__ == "__main__":
    main()
