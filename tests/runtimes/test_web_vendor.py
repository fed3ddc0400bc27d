"""The pinned files of onnxruntime-web: what is accepted, what is refused, what to type."""

import base64
import hashlib
import io
import os
import tarfile

import pytest

from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError
from edgesdk_runtimes import _web_vendor, browser
from edgesdk_runtimes.web.__main__ import main


@pytest.fixture
def tarball(tmp_path, monkeypatch):
    """Return a tarball that counts as the pinned one, with files of a few bytes."""
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name in [*_web_vendor.FILES, "other.js"]:
            info = tarfile.TarInfo(f"package/dist/{name}")
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    digest = hashlib.sha512(path.read_bytes()).digest()
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in _web_vendor.FILES}
    monkeypatch.setattr(_web_vendor, "INTEGRITY", "sha512-" + base64.b64encode(digest).decode())
    monkeypatch.setattr(_web_vendor, "FILES", hashes)
    return path


def test_only_the_named_files_are_taken_and_the_licence_lies_beside(tarball, tmp_path):
    folder = tmp_path / "vendor"
    _web_vendor.fetch(tarball, folder)
    assert {p.name for p in folder.iterdir()} == {*_web_vendor.FILES, "LICENSE"}
    assert "Microsoft" in (folder / "LICENSE").read_text()
    assert set(_web_vendor.checked(folder)) == set(_web_vendor.FILES)


def test_another_tarball_is_refused_before_it_is_opened(tarball, tmp_path):
    tarball.write_bytes(tarball.read_bytes() + b"x")
    with pytest.raises(UsageError, match="is not onnxruntime-web@"):
        _web_vendor.fetch(tarball, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()
    with pytest.raises(UsageError, match="check the path"):
        _web_vendor.fetch(tmp_path / "none.tgz", tmp_path / "vendor")


def test_an_altered_file_is_not_served(tarball, tmp_path):
    folder = tmp_path / "vendor"
    _web_vendor.fetch(tarball, folder)
    (folder / "ort.wasm.min.mjs").write_text("other")
    with pytest.raises(EdgeSdkError, match="was altered; fetch it again"):
        _web_vendor.checked(folder)
    (folder / "ort.wasm.min.mjs").unlink()
    with pytest.raises(
        UnsupportedError, match=r"fetch it once with: python -m edgesdk_runtimes\.web"
    ):
        _web_vendor.checked(folder)


def test_npm_is_asked_for_one_pinned_package(tarball, tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    npm = tools / "npm"
    npm.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nfor last; do :; done\ncp {tarball} "$last"\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    _web_vendor.fetch(folder=tmp_path / "vendor")
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith(f"pack onnxruntime-web@{_web_vendor.VERSION} --silent --ignore-scripts")
    npm.write_text("#!/bin/sh\necho offline >&2\nexit 1\n")
    with pytest.raises(UnsupportedError, match=r"\(offline\); try again when online"):
        _web_vendor.fetch(folder=tmp_path / "vendor")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedError, match="install Node"):
        _web_vendor.fetch(folder=tmp_path / "vendor")


def test_the_command_says_what_it_did(tmp_path, monkeypatch, capsys, tarball):
    monkeypatch.setattr(_web_vendor.fetch, "__defaults__", (None, tmp_path / "vendor"))
    assert main([str(tarball)]) == 0
    assert "onnxruntime-web@1.30.0 is in" in capsys.readouterr().out
    assert main([str(tmp_path / "none")]) == 2
    assert "edgesdk: cannot read" in capsys.readouterr().err


def test_without_the_files_the_runner_names_the_one_command(monkeypatch, tmp_path):
    monkeypatch.setattr(_web_vendor.problem, "__defaults__", (tmp_path,))
    assert browser.PLUGIN.available() == (
        "the page needs onnxruntime-web@1.30.0, which is not here; fetch it once with: "
        "python -m edgesdk_runtimes.web"
    )
