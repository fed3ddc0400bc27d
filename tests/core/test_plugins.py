"""Plug-ins are found by file and by entry point, and imported one at a time."""

from importlib.metadata import EntryPoint

import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import MissingDependencyError, UnknownPluginError


class Foreign:
    aliases = ("alien",)
    extra = "nothing"
    requires = ("no_such_module", "also.missing")


@pytest.fixture
def foreign(monkeypatch):
    """Install a third party's exporter, as its entry point would."""
    point = EntryPoint("foreign", f"{__name__}:Foreign", "edgesdk_export")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Foreign)
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [point] if group == plugins.EXPORTERS else []
    )


def test_files_are_plugins_and_hyphens_are_underscores():
    assert {"onnx", "tflite", "coreml", "tensorrt"} <= set(plugins.names(plugins.EXPORTERS))
    assert "bridge-face" in plugins.names(plugins.STUDENTS)
    assert not any(name.startswith("_") for kind in plugins.KINDS for name in plugins.names(kind))


@pytest.mark.parametrize("word", ["tflite", "litert", "LiteRT", " tflite "])
def test_aliases_lead_to_the_name(word):
    assert plugins.resolve(plugins.EXPORTERS, word) == "tflite"


def test_underscores_and_hyphens_are_one():
    assert plugins.resolve(plugins.STUDENTS, "bridge_face") == "bridge-face"


def test_an_unknown_name_gets_a_suggestion_and_the_list():
    with pytest.raises(
        UnknownPluginError, match=r"unknown target 'tflit'. Did you mean 'tflite'\?"
    ):
        plugins.load(plugins.EXPORTERS, "tflit")


def test_a_third_party_enters_by_the_same_door(foreign):
    assert "foreign" in plugins.names(plugins.EXPORTERS)
    assert plugins.load(plugins.EXPORTERS, "alien") is Foreign


def test_a_missing_module_is_one_sentence_with_the_command(foreign):
    assert plugins.missing(Foreign) == ["no_such_module", "also.missing"]
    with pytest.raises(
        MissingDependencyError, match=r"needs no_such_module, also\.missing.*'edgesdk\[nothing\]'"
    ):
        plugins.require("target 'foreign'", Foreign)
