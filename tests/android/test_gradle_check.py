"""The Gradle files cannot be run here; a contradiction to what is built must be found."""

import shutil

import pytest

from android_demo.tools.gradle_check import DEMO, check

FILES = (
    "pom.xml", "r8.pro", "settings.gradle.kts", "build.gradle.kts", "core/build.gradle.kts",
    "app/build.gradle.kts", "app/src/main/AndroidManifest.xml", "gradle/libs.versions.toml",
    "gradle/wrapper/gradle-wrapper.properties",
)  # fmt: skip
CATALOGUE, APP = "gradle/libs.versions.toml", "app/build.gradle.kts"
MANIFEST, WRAPPER = "app/src/main/AndroidManifest.xml", "gradle/wrapper/gradle-wrapper.properties"


@pytest.fixture
def copy(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DEMO / name, tmp_path / name)
    return tmp_path


def test_the_committed_files_agree():
    assert check(DEMO) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (CATALOGUE, 'kotlin = "2', 'kotlin = "1', "kotlin is 1"),
        (CATALOGUE, 'onnxruntime = "1.', 'onnxruntime = "0.', "onnxruntime is 0"),
        (CATALOGUE, 'junit = "4.', 'junit = "3.', "junit is 3"),
        (CATALOGUE, 'minSdk = "26"', 'minSdk = "24"', "minSdk is 24 for Gradle, 26 for Maven"),
        (CATALOGUE, 'compileSdk = "36"', 'compileSdk = "34"', "compileSdk is below"),
        (CATALOGUE, 'agp = "9.0.0"', 'agp = "latest.release"', "does not pin agp"),
        (CATALOGUE, "[libraries]", '[libraries]\nmore = { module = "a:b" }', "holds more, unused"),
        (CATALOGUE, "onnxruntime-android =", "other =", "libs.onnxruntime-android is not in"),
        (APP, 'namespace = "org', 'namespace = "com', "namespace is com"),
        (APP, 'noCompress += "onnx"', "", "would be compressed"),
        (APP, "../r8.pro", "other.pro", "does not use r8.pro"),
        (APP, 'versionName = "', 'versionName = "9', "versionName is 9"),
        (APP, "libs.onnxruntime.android", '"com.microsoft.onnxruntime:x:latest.release"', "newest"),
        ("settings.gradle.kts", "mavenCentral()", 'maven { url = uri("x") }', "another repository"),
        (MANIFEST, "<application", "<uses-sdk /><application", "<uses-sdk"),
        (WRAPPER, "gradle-9.1.0-bin", "gradle-latest-bin", "pins no version"),
        (WRAPPER, "distributionSha256Sum=", "distributionSha256Sum=x", "pins no checksum"),
    ],
)  # fmt: skip
def test_a_contradiction_is_named(copy, file, old, new, expected):
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    broken = check(copy)
    assert any(expected in sentence for sentence in broken), broken
