"""Which runtime opens a bundle, and what is said when none can."""

from dataclasses import replace

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import EdgeSdkError, UnknownPluginError, UnsupportedError, UsageError
from edgesdk.core.shipped import shipped_bundle
from edgesdk_runtimes._open import choose, open_session
from edgesdk_runtimes.litert import Litert
from edgesdk_runtimes.ort import Ort


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(shipped_bundle("bridge-face"))


def test_the_bundles_first_runtime_is_taken(bundle):
    assert choose(bundle)[0] == "ort"
    with open_session(bundle) as session:
        assert (session.runtime, session.device, session.threads) == ("ort", "cpu", 1)
        assert session.bundle is bundle


def test_an_alias_serves_as_a_name(bundle):
    assert choose(bundle, "onnxruntime")[0] == "ort"


def test_a_format_without_a_listed_runtime_finds_one(bundle):
    assert choose(replace(bundle, runtimes=()))[0] == "ort"


def test_an_unknown_runtime_gets_a_suggestion(bundle):
    with pytest.raises(UnknownPluginError, match="Did you mean 'litert'"):
        open_session(bundle, "literrt")


def test_a_runtime_of_another_format_is_refused_with_those_that_fit(bundle):
    with pytest.raises(UsageError, match=r"opens tflite.*runtimes that open it: ort"):
        open_session(bundle, "litert")


def test_an_unknown_format_says_that_nothing_opens_it(bundle):
    with pytest.raises(UnsupportedError, match="no runtime opens the format 'pte'"):
        open_session(replace(bundle, format="pte", runtimes=()))


def test_every_reason_is_collected(bundle, monkeypatch):
    monkeypatch.setattr(Litert, "available", lambda self: "no interpreter")
    with pytest.raises(UnsupportedError, match="litert: no interpreter"):
        open_session(replace(bundle, format="tflite", runtimes=("litert",)))


def test_an_absent_device_is_refused_unless_a_fallback_is_allowed(bundle, monkeypatch):
    monkeypatch.setattr(Ort, "devices", lambda self: ("cpu",))
    with pytest.raises(UnsupportedError, match=r"'cuda:0' was asked.*finds cpu"):
        open_session(bundle, device="cuda:0")
    with open_session(bundle, device="cuda:0", allow_fallback=True) as session:
        assert session.device == "cpu"
    with open_session(bundle, device="auto") as session:
        assert session.device == "cpu"


@pytest.mark.parametrize("threads", [-1, 0, 257, 5000, "2", 1.0, None, True])
def test_numbers_of_threads_without_sense_are_refused(bundle, threads):
    with pytest.raises(UsageError, match="threads must be 1 to 256"):
        open_session(bundle, threads=threads)


def test_onnx_runtime_never_falls_back_to_the_cpu_silently(bundle):
    if "cuda:0" in plugins.load(plugins.RUNTIMES, "ort").devices():
        pytest.skip("a GPU is here, so nothing falls back")
    with pytest.raises(EdgeSdkError, match=r"on cuda:0|fell back from cuda:0"):
        Ort().open(bundle, "cuda:0", 1)


def test_onnx_runtime_counts_its_operators(bundle):
    with open_session(bundle) as session:
        assert session.placement()["cpu"] > 5


def test_the_older_interpreter_serves_where_only_it_is_installed(monkeypatch):
    import sys
    import types

    old = types.ModuleType("tflite_runtime.interpreter")
    old.Interpreter = object
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", old)
    monkeypatch.setattr(plugins, "installed", lambda module: module == "tflite_runtime")
    from edgesdk_runtimes.litert import interpreter_class

    assert interpreter_class() is object
    assert Litert().available() is None
    assert "old" in Litert().version()


def test_whatever_a_runtime_raises_is_one_sentence(make_face_bundle):
    bundle = make_face_bundle()
    wrong = replace(bundle, outputs=(replace(bundle.outputs[0], name="nobody"),))
    said = pytest.raises(EdgeSdkError, match=r"batch of 1: .*nobody")
    with open_session(wrong) as session, said:
        session.run({"image": np.zeros((1, 3, 16, 16), np.float32)})


def test_whatever_a_runtime_raises_while_it_opens_is_one_sentence(make_face_bundle, monkeypatch):
    def fails(self, bundle, device, threads):
        raise RuntimeError("wire format\nwas corrupt")

    monkeypatch.setattr(Ort, "open", fails)
    said = r"runtime 'ort' cannot open .*RuntimeError: wire format was corrupt"
    with pytest.raises(EdgeSdkError, match=said):
        open_session(make_face_bundle())


def test_a_mistyped_device_gets_the_nearest_one(bundle):
    with pytest.raises(UnsupportedError, match="Did you mean 'browser'"):
        open_session(bundle, device="brwser")
