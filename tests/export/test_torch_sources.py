"""Torch programs and functions from outside, read without a pickle."""

import json
import pickle
import sys
import zipfile

import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.source import FORMS
from edgesdk.verbs.export import export

torch = pytest.importorskip("torch", reason="needs the train extra")
pytestmark = pytest.mark.torch

PROGRAM = plugins.load(plugins.SOURCES, "torch-program")
FUNCTION = plugins.load(plugins.SOURCES, "module-function")
MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, named=False):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten())
        self.head, self.named = nn.Linear(8 * 64, 4), named

    def forward(self, image, scale):
        found = self.head(self.body(image)) * scale
        return {"logits": found, "double": found * 2} if self.named else (found, found * 2)

def make():
    return Net(), (torch.zeros(1, 3, 8, 8), torch.ones(1, 1))

def named():
    return Net(named=True), {"scale": torch.ones(1, 1), "image": torch.zeros(1, 3, 8, 8)}

def wrong():
    return Net()

def broken():
    raise ValueError("no weights here")
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_nets", None)


@pytest.fixture
def program(tmp_path):
    """Return a saved program with a free batch."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten())
    free = ({0: torch.export.Dim("batch", min=1, max=64)},)
    found = torch.export.export(net.eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=free)
    torch.export.save(found, tmp_path / "my.pt2")
    return tmp_path / "my.pt2"


def test_a_program_tells_its_tensors(program):
    assert PROGRAM.opens(program)
    source = PROGRAM.open(program)
    [given], [found] = source.specs()
    assert (given.shape, found.shape) == ((None, 3, 8, 8), (None, 144))
    assert source.model == "my"
    assert source.cost == {"parameters": 112}
    assert not any(source.lacks(form) for form in FORMS)


def test_a_program_of_a_fixed_batch_keeps_it(tmp_path):
    found = torch.export.export(torch.nn.Linear(3, 2).eval(), (torch.zeros(4, 3),))
    torch.export.save(found, tmp_path / "four.pt2")
    assert PROGRAM.open(tmp_path / "four.pt2").specs()[0][0].shape == (4, 3)


def rewritten(path, change):
    """Write the archive again with each part passed through `change(name, content)`."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as out:
        for name, content in parts.items():
            out.writestr(name, change(name, content))
    return path


class Bomb:
    def __reduce__(self):
        return exec, ("import builtins; builtins.edgesdk_was_here = True",)


def test_sample_inputs_are_never_unpickled(program):
    import builtins

    def change(name, content):
        return pickle.dumps(Bomb()) if "sample_inputs" in name else content

    PROGRAM.open(rewritten(program, change))
    assert not hasattr(builtins, "edgesdk_was_here")


def with_json(part, change):
    def rewrite(name, content):
        if part not in name or not name.endswith(".json"):
            return content
        data = json.loads(content)
        change(data)
        return json.dumps(data).encode()

    return rewrite


def pickled_weight(data):
    next(iter(data["config"].values()))["use_pickle"] = True


def custom_object(data):
    next(iter(data["config"].values()))["path_name"] = "opaque_obj_0"


def loads_a_hub(data):
    data["graph_module"]["graph"]["nodes"][0]["target"] = "torch.hub.load"


def evaluates(data):
    data["graph_module"]["graph"]["sym"] = {"expr_str": "__import__('os').getcwd()"}


@pytest.mark.parametrize(
    ("part", "change", "match"),
    [
        ("weights_config", pickled_weight, "holds a pickle"),
        ("weights_config", custom_object, "holds a pickle"),
        ("models/", loads_a_hub, r"torch\.hub\.load"),
        ("models/", evaluates, "__import__"),
    ],
)
def test_what_would_run_code_is_refused(program, part, change, match):
    with pytest.raises(UnsupportedError, match=match):
        PROGRAM.open(rewritten(program, with_json(part, change)))


@pytest.mark.parametrize("content", [b"", b"nothing", pickle.dumps([1])])
def test_what_is_no_program_is_a_sentence(tmp_path, content):
    (tmp_path / "x.pt2").write_bytes(content)
    with pytest.raises(UsageError, match=r"no archive of torch\.export"):
        PROGRAM.open(tmp_path / "x.pt2")


def test_an_archive_without_a_program_is_a_sentence(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt2", "w") as out:
        out.writestr("x/data.pkl", b"")
    with pytest.raises(UsageError, match=r"torch 2\.8 or newer"):
        PROGRAM.open(tmp_path / "x.pt2")


def test_a_function_gives_network_and_inputs(nets):
    assert FUNCTION.opens(nets.__class__("my_nets:make"))
    source = FUNCTION.open("my_nets:make")
    inputs, outputs = source.specs()
    assert [(s.name, s.shape) for s in inputs] == [("image", (None, 3, 8, 8)), ("scale", (None, 1))]
    assert [(s.name, s.shape) for s in outputs] == [
        ("output_0", (None, 4)),
        ("output_1", (None, 4)),
    ]
    assert source.model == "my_nets-make"
    assert FUNCTION.open("my_nets:make").sha256 == source.sha256


def test_inputs_and_outputs_may_have_names(nets):
    inputs, outputs = FUNCTION.open("my_nets:named").specs()
    assert [s.name for s in inputs] == ["image", "scale"]
    assert [s.name for s in outputs] == ["logits", "double"]


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("my_nets:wrong", "must return a torch module and its example inputs"),
        ("my_nets:broken", "ValueError: no weights here"),
        ("my_nets:absent", "AttributeError"),
        ("no_such_module:make", "ModuleNotFoundError"),
    ],
)
def test_a_wrong_function_is_a_sentence(nets, word, match):
    with pytest.raises(UsageError, match=match):
        export(word, target="onnx")


@pytest.mark.parametrize("word", ["C:\\nets\\a.onnx", "C:net", "a b:c", "net.onnx"])
def test_other_words_are_no_functions(tmp_path, word):
    assert not FUNCTION.opens(tmp_path.__class__(word))


def test_a_program_is_exported_and_proven(program, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the export extra")
    bundle = export(program, target="onnx", preprocess=["signed"], output_dir=tmp_path / "out")
    assert bundle.verify["verdict"] == "pass"
    assert bundle.inputs[0].shape == (None, 3, 8, 8)
