"""`verify --update` is one step: killed anywhere, it leaves the old bundle or the new one."""

import os
import sys
import warnings
from dataclasses import replace

import pytest

from edgesdk.core import stages
from edgesdk.core.bundle import read_bundle
from edgesdk.core.verify import Verification, read_verification
from edgesdk_export._verify import replace_verdict

pytest.importorskip("onnxruntime")

NEW = Verification(verdict="not-run", level="host", reasons=("new",))
# What changes files, as Python's audit events call it.
CHANGES = {"open", "os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "shutil.copyfile"}


def killed_at(number, work):
    """Run `work` in a process that ends before its change `number`; tell whether it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest has threads
        child = os.fork()
    if child == 0:
        left = [number]

        def count(event, arguments):
            if event in CHANGES and "tmp" in str(arguments[:2]):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)

        sys.addaudithook(count)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
def test_a_kill_anywhere_leaves_a_whole_bundle(export, monkeypatch):
    bundle, seen, number = export(), set(), 1
    while killed_at(number, lambda: replace_verdict(read_bundle(bundle.path), NEW)):
        number += 1
        found = read_bundle(bundle.path)  # checks every hash
        about = read_verification(bundle.path / "verify.json")
        assert (about.verdict, about.level) == (found.verify["verdict"], found.verify["level"])
        assert f"verdict: {about.verdict}" in (bundle.path / "MODEL_CARD.md").read_text()
        seen.add(about.verdict)
        replace_verdict(found, replace(about, verdict="pass"))
    assert number > 10
    assert seen == {"pass", "not-run"}
    assert read_bundle(bundle.path).verify["verdict"] == "not-run"
    replace_verdict(read_bundle(bundle.path), NEW)
    assert [p.name for p in bundle.path.parent.iterdir()] == [bundle.path.name]


def test_an_update_behind_a_link_changes_what_the_link_means(export, tmp_path):
    bundle, link = export(), tmp_path / "link"
    link.symlink_to(bundle.path)
    replace_verdict(read_bundle(link), NEW)
    assert link.is_symlink()
    assert read_bundle(bundle.path).verify["verdict"] == "not-run"


def test_without_a_swap_the_bundle_is_replaced_as_well(export, monkeypatch):
    monkeypatch.setattr(stages, "_exchange", lambda one, other: False)
    bundle = export()
    replace_verdict(bundle, NEW)
    assert read_bundle(bundle.path).verify["verdict"] == "not-run"
