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

def ends():
    raise SystemExit(3)

def nothing():
    return None

def narrow():
    return Net(), (torch.zeros(1, 5, 8, 8), torch.ones(1, 1))

def too_few():
    return Net(), (torch.zeros(1, 3, 8, 8),)

def misnamed():
    return Net(), {"image": torch.zeros(1, 3, 8, 8), "scael": torch.ones(1, 1)}

def scripted():
    import warnings
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.trace(nn.Flatten(), torch.zeros(1, 3)), (torch.zeros(1, 3),)

def half():
    return Net().half(), (torch.zeros(1, 3, 8, 8).half(), torch.ones(1, 1).half())

def empty():
    return Net().to("meta"), (torch.zeros(1, 3, 8, 8), torch.ones(1, 1))

def coarse():
    return nn.Flatten(), (torch.zeros(1, 3, 8, dtype=torch.bfloat16),)

class Odd(nn.Module):
    def forward(self, image):
        return {"a": image, "b": [image]}

def nested():
    return Odd(), (torch.zeros(1, 3),)

class Counting(nn.Module):
    def forward(self, image):
        image += 1
        for _ in range(image.shape[0]):
            image = image * 1.5
        return {"found": image}

def counting():
    return Counting(), (torch.zeros(1, 3),)

class Keys(nn.Module):
    def forward(self, first, *, scale, **more):
        return first * scale + more["third"]

def keys():
    one = torch.zeros(1, 3)
    return Keys(), {"first": one, "scale": one, "third": one}
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
        ("my_nets:ends", "SystemExit: 3.*without parameters"),
        ("my_nets:nothing", r"such as \(net, .* found None"),
        ("my_nets:narrow", r"does not run on its example inputs float32 \[1, 5, 8, 8\]"),
        ("my_nets:too_few", "missing 1 required.*one tensor .* per input"),
        ("my_nets:misnamed", "Did you mean 'scale'"),
        ("my_nets:nested", r"gives \(Tensor, \(Tensor\)\); it must"),
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


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("my_nets:half", r"is float16; give the network in float32 \(net\.float\(\)\)"),
        ("my_nets:scripted", "gives a ScriptModule; give the module"),
        ("my_nets:empty", "'meta', which holds no numbers; load the weights"),
        ("my_nets:coarse", "input 'input' of my_nets:coarse is bfloat16, which no target takes"),
    ],
)
def test_other_floats_than_float32_are_a_sentence(nets, word, match):
    with pytest.raises(UnsupportedError, match=match):
        FUNCTION.open(word)


def test_inputs_by_name_alone_are_given_by_position(nets):
    source = FUNCTION.open("my_nets:keys")
    assert [s.name for s in source.specs()[0]] == ["first", "scale", "third"]
    one, two, three = (torch.full((2, 3), float(n)) for n in (1, 2, 3))
    assert torch.equal(source.torch_module()(one, two, three), one * two + three)
    free = torch.export.Dim("batch", min=1, max=64)
    shapes = ({0: free},) * 3
    torch.export.export(source.torch_module(), (one, two, three), dynamic_shapes=shapes)


def test_named_outputs_keep_a_free_batch_and_counted_items_do_not(nets):
    pytest.importorskip("onnxscript", reason="needs the export extra")
    free = export("my_nets:named", target="onnx", output_dir=nets / "out")
    assert free.inputs[0].shape == (None, 3, 8, 8)
    with pytest.raises(UnsupportedError, match="itself joins the items of a batch"):
        export("my_nets:counting", target="onnx", output_dir=nets / "out")
    alone = export("my_nets:counting", target="onnx", batch=1, output_dir=nets / "out")
    assert (alone.inputs[0].shape, alone.verify["verdict"]) == ((1, 3), "pass")


class Forms(torch.nn.Module):
    """Takes tensors in a dictionary, by name and none at all; gives more than tensors."""

    def forward(self, pair, factor=None, *, scale):
        assert factor is None
        return {"sum": (pair["a"] + pair["b"]) * scale, "count": 3, "none": None}


class Noise(torch.nn.Module):
    def forward(self, image):
        return torch.nn.functional.dropout(image, 0.5, training=True)


def saved(path, net, args, named=None, shapes=None):
    torch.export.save(torch.export.export(net, args, named, dynamic_shapes=shapes), path)
    return path


def test_nested_and_named_inputs_of_a_program_are_tensors_in_a_row(tmp_path):
    one, two, three = (torch.full((2, 3), float(n)) for n in (1, 2, 3))
    free = {0: torch.export.Dim("batch", min=1, max=64)}
    shapes = {"pair": {"a": free, "b": free}, "factor": None, "scale": free}
    source = PROGRAM.open(
        saved(tmp_path / "f.pt2", Forms(), ({"a": one, "b": two}, None), {"scale": three}, shapes)
    )
    inputs, outputs = source.specs()
    assert [(s.name, s.shape) for s in inputs] == [
        ("pair_a", (None, 3)), ("pair_b", (None, 3)), ("scale", (None, 3)),
    ]  # fmt: skip
    assert [s.name for s in outputs] == ["sum"]
    assert torch.equal(source.torch_module()(one, two, three), (one + two) * three)


@pytest.mark.parametrize("least", [1, 2])
def test_a_program_saved_for_few_items_runs_with_more(tmp_path, least):
    pytest.importorskip("onnxscript", reason="needs the export extra")
    shapes = ({0: torch.export.Dim("batch", min=least, max=8)},)
    net = torch.nn.Linear(3, 2).eval()
    file = saved(tmp_path / "few.pt2", net, (torch.zeros(2, 3),), shapes=shapes)
    bundle = export(file, target="onnx", output_dir=tmp_path / "out")
    assert (bundle.inputs[0].shape, bundle.verify["verdict"]) == ((None, 3), "pass")


def test_a_program_that_changes_or_draws_is_a_sentence(tmp_path):
    image = (torch.zeros(2, 3),)
    file = saved(tmp_path / "train.pt2", torch.nn.BatchNorm1d(3).train(), image)
    with pytest.raises(UnsupportedError, match=r"own buffer '\w+' .*net\.eval"):
        PROGRAM.open(file)
    file = saved(tmp_path / "noise.pt2", Noise(), image)
    with pytest.raises(UnsupportedError, match="gives other numbers each time"):
        export(file, target="onnx", output_dir=tmp_path / "out")
