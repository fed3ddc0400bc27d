# ruff: noqa: T201
"""Check that the Gradle files, which CI cannot run, say the same as what CI builds.

    python android_demo/tools/gradle_check.py

Versions, SDK levels and names must equal those of the poms; every alias of the version catalogue
must exist and be used; versions and repositories must be pinned.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

DEMO = Path(__file__).parents[1]
CATALOGUE = "gradle/libs.versions.toml"


def check(root: Path) -> list[str]:
    """Return one sentence per contradiction below `root`; none = consistent."""
    scripts = {p.relative_to(root).as_posix(): p.read_text() for p in sorted(root.rglob("*.kts"))}
    catalogue = tomllib.loads((root / CATALOGUE).read_text())
    return [
        *_aliases(scripts, catalogue),
        *_versions(root, catalogue["versions"]),
        *_levels(root, catalogue["versions"], scripts["app/build.gradle.kts"]),
        *_pinned(scripts, catalogue["versions"]),
        *_wrapper((root / "gradle/wrapper/gradle-wrapper.properties").read_text()),
    ]


def _aliases(scripts: dict[str, str], catalogue: dict[str, Any]) -> list[str]:
    text = "\n".join(scripts.values())
    used = {m.replace(".", "-") for m in re.findall(r"libs\.([a-z][\w.]*)", text)}
    used = {name.removesuffix("-get") for name in used}
    known = set(catalogue["libraries"])
    known |= {f"plugins-{name}" for name in catalogue["plugins"]}
    known |= {f"versions-{name}" for name in catalogue["versions"]}
    entries = [e for part in ("libraries", "plugins") for e in catalogue[part].values()]
    referred = {f"versions-{e['version']['ref']}" for e in entries if "version" in e}
    broken = [f"libs.{name} is not in {CATALOGUE}" for name in sorted((used | referred) - known)]
    return broken + [f"{CATALOGUE} holds {n}, unused" for n in sorted(known - used - referred)]


def _versions(root: Path, versions: dict[str, str]) -> list[str]:
    pom = (root / "pom.xml").read_text()
    wanted = {
        "kotlin": _part(pom, r"<kotlin\.version>(.*?)<"),
        "onnxruntime": _part(pom, r"<onnxruntime\.version>(.*?)<"),
        "junit": _part(pom, r"<artifactId>junit</artifactId>\s*<version>(.*?)<"),
    }
    return [
        f"{name} is {versions.get(name)} in {CATALOGUE}, {want} in pom.xml"
        for name, want in wanted.items()
        if versions.get(name) != want
    ]


def _levels(root: Path, versions: dict[str, str], app: str) -> list[str]:
    """Compare names and SDK levels; what the manifest leaves to Gradle must not stand in it."""
    pom, about = (root / "pom.xml").read_text(), _about(app)
    pairs = [
        ("minSdk", versions["minSdk"], _part(pom, r"gummy-bears-api-(\d+)")),
        ("namespace", about["namespace"], about["applicationId"]),
        ("versionName", about["versionName"], _part(pom, r"<version>(.*?)</version>")),
    ]
    broken = [f"{k} is {a} for Gradle, {b} for Maven" for k, a, b in pairs if a != b]
    if int(versions["compileSdk"]) < int(versions["targetSdk"]):
        broken.append("compileSdk is below targetSdk")
    manifest = (root / "app/src/main/AndroidManifest.xml").read_text()
    left = ("package=", "<uses-sdk", "extractNativeLibs", "versionName")
    broken += [
        f"AndroidManifest.xml says {word}, which is Gradle's" for word in left if word in manifest
    ]
    if 'noCompress += "onnx"' not in app:
        broken.append(
            'app/build.gradle.kts lacks noCompress += "onnx": the model would be compressed'
        )
    if '"../r8.pro"' not in app or not (root / "r8.pro").is_file():
        broken.append("app/build.gradle.kts does not use r8.pro")
    return broken


def _about(app: str) -> dict[str, str]:
    keys = ("namespace", "applicationId", "versionName")
    return {key: _part(app, rf'{key} = "(.*?)"') for key in keys}


def _part(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _pinned(scripts: dict[str, str], versions: dict[str, str]) -> list[str]:
    broken = []
    for name, text in scripts.items():
        if "latest." in text or re.search(r':[\d.]*\+"', text):
            broken.append(f"{name} takes whatever is newest; name a version")
        blocks = re.findall(r"repositories \{(.*?)\}", text, re.S)
        strange = {c for block in blocks for c in block.split()} - {"google()", "mavenCentral()"}
        if strange or "maven {" in text or "maven(" in text:
            broken.append(f"{name} names another repository than google() and mavenCentral()")
    loose = [n for n, v in versions.items() if not re.fullmatch(r"\d+(\.\d+)*", v)]
    return broken + [f"{CATALOGUE} does not pin {name}" for name in loose]


def _wrapper(text: str) -> list[str]:
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    broken = []
    if not re.search(r"/gradle-\d+(\.\d+)+-bin\.zip$", found.get("distributionUrl", "")):
        broken.append("the wrapper pins no version of Gradle")
    if not re.fullmatch(r"[0-9a-f]{64}", found.get("distributionSha256Sum", "")):
        broken.append("the wrapper pins no checksum of Gradle")
    return broken


def main() -> int:
    """Run the tool."""
    broken = check(DEMO)
    for sentence in broken:
        print(sentence, file=sys.stderr)
    print(f"Gradle files against poms: {len(broken)} contradictions")
    return 4 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
