"""Networks from outside: an ONNX file is read once and brought into one form."""

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.files import sha256_file
from edgesdk.core.onnx_wire import outline
from edgesdk.core.source import TORCH
from edgesdk.verbs.export import export

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tests.foreign import CONV, POOL, open_file, weights, write  # noqa: E402


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "my.onnx")


def test_the_file_tells_tensors_name_and_hash(file):
    source = open_file(file)
    [image], [out] = source.specs()
    assert (image.name, image.shape, image.dtype) == ("image", (None, 3, 16, 16), "float32")
    assert (out.name, out.shape) == ("out", (None, 8, 1, 1))
    assert (source.model, source.task, source.precision) == ("my", "tensor", "fp32")
    assert source.sha256 == sha256_file(file)
    assert source.cost == {"parameters": 216}


def test_what_reads_it_as_a_torch_module_is_an_extra(file, monkeypatch):
    source, here = open_file(file), plugins.installed
    monkeypatch.setattr(plugins, "installed", lambda name: name != "onnx2pytorch" and here(name))
    assert r"edgesdk[onnx-torch]" in source.lacks(TORCH)
    assert source.lacks("onnx") is None


def test_it_is_read_as_a_torch_module_of_the_same_numbers(tmp_path):
    pytest.importorskip("onnx2pytorch", reason="needs the onnx-torch extra")
    import torch

    shared = ("Identity", ["w"], ["same"], {})
    conv = ("Conv", ["image", "same"], ["c"], {"pads": [1, 1, 1, 1]})
    source = open_file(write(tmp_path / "net.onnx", [shared, conv, POOL]))
    assert source.lacks(TORCH) is None
    image = np.random.default_rng(1).random((3, 3, 16, 16), np.float32)
    want = source.runner()[0]({"image": image})["out"]
    module = source.torch_module()
    with torch.no_grad():
        assert np.abs(module(torch.from_numpy(image)).numpy() - want).max() < 1e-5
    free = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=({0: free},))
    assert program.module()(torch.from_numpy(image)).shape == want.shape


def test_flags_tell_the_rest(file, tmp_path):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    source = open_file(
        file,
        name="pet",
        task="image-classification",
        labels=tmp_path / "names.txt",
        licence="MIT",
        preprocess=("imagenet", "color=BGR"),
    )
    assert (source.model, source.task, source.labels) == (
        "pet",
        "image-classification",
        ("cat", "dog"),
    )
    assert source.licence == {"weights": "MIT", "data": "unknown"}
    how = source.preprocess["image"]
    assert (how.size, how.color, how.mean[0], how.layout) == ((16, 16), "BGR", 123.675, "NCHW")


def test_a_model_toml_tells_the_same_and_flags_win(file):
    file.with_name("model.toml").write_text(
        'name = "pet"\ntask = "x"\nlabels = ["cat"]\nlicence = {weights = "MIT", data = "own"}\n'
        "[inputs.image.preprocess]\nmean = 0\nstd = 255.0\n"
    )
    source = open_file(file, task="tensor")
    assert (source.model, source.task, source.labels) == ("pet", "tensor", ("cat",))
    assert source.preprocess["image"].std == (255.0, 255.0, 255.0)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("nmae = 'x'", "Did you mean 'name'"),
        ("[inputs.imgae]\nshape = [1]", "Did you mean 'image'"),
        ("[inputs.image]\nsize = [1]", "unknown key of input 'image'"),
        ("[inputs.image.preprocess]\nsize = 'a'", "makes no sense"),
        ("= 3", "cannot be read"),
        ("inputs = 5", "makes no sense"),
        ("[inputs]\nimage = 5", "makes no sense"),
        ("task = ['x']", "makes no sense"),
        ("name = 3", "makes no sense"),
        ("labels = 7", "makes no sense"),
        ("labels = '/etc/passwd'", "no file beside it"),
        ("samples = '../x.npz'", "no file beside it"),
        ("[inputs.image]\nrange = [[0], 1]", "makes no sense"),
        ("[inputs.image]\nrange = [0.0, nan]", "makes no sense"),
    ],
)
def test_a_wrong_model_toml_is_named(file, text, match):
    file.with_name("model.toml").write_text(text)
    with pytest.raises(UsageError, match=match):
        open_file(file)


def test_a_model_toml_of_another_file_is_left_alone(file):
    file.with_name("model.toml").write_text("file = 'other.onnx'\nname = 'other'")
    assert open_file(file).model == "my"


@pytest.mark.parametrize("word", ["imagnet", "size=big", "meen=1"])
def test_a_wrong_way_of_preprocessing_is_named(file, word):
    with pytest.raises(UsageError, match="pre"):
        open_file(file, preprocess=(word,))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("kind", ["external", "fed", "old"])
def test_every_precision_is_made_of_an_unusual_file(tmp_path, kind, precision):
    value = helper.make_tensor_value_info("w", TensorProto.FLOAT, [8, 3, 3, 3])
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 16, 16])
    more = {
        "external": {
            "save": {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
        },
        "fed": {"inputs": [image, value], "opset": 9, "ir": 3},
        "old": {"opset": 11, "ir": 6},
    }[kind]
    file = write(tmp_path / "my.onnx", **more)
    bundle = export(
        file, target="onnx", precision=precision, preprocess=["signed"], calib_samples=16,
        output_dir=tmp_path / "out",
    )  # fmt: skip
    assert bundle.verify["verdict"] == "pass"
    assert read_bundle(bundle.path).inputs[0].shape == (None, 3, 16, 16)
    found = outline(bundle.entry_path.read_bytes())
    assert (found.beside, found.fed, found.opset >= 13) == ((), (), True)


def test_weights_beside_the_file_are_part_of_its_hash(tmp_path):
    save = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0}
    file = write(tmp_path / "my.onnx", save=save)
    assert outline(file.read_bytes()).beside == ("w.bin",)
    before = open_file(file).sha256
    data = bytearray((tmp_path / "w.bin").read_bytes())
    data[0] ^= 1
    (tmp_path / "w.bin").write_bytes(data)
    assert open_file(file).sha256 != before
    (tmp_path / "w.bin").unlink()
    with pytest.raises(UsageError, match=r"w\.bin"):
        open_file(file)


def test_half_and_coded_files_are_recognised_and_kept(tmp_path):
    half = write(tmp_path / "h.onnx", elem=TensorProto.FLOAT16, inits=[weights(np.float16)])
    source = open_file(half)
    assert (source.precision, source.specs()[0][0].dtype) == ("fp16", "float16")
    with pytest.raises(UnsupportedError, match="fp16 already"):
        export(half, target="onnx", precision="fp32", output_dir=tmp_path / "out")
    # The first convolution stays in float. Most codes of the second are small: processors
    # without VNNI add pairs of products in 16 bits, which two large ones do not fit into.
    second = ("Conv", ["c", "w2"], ["d"], {})
    more = 0.1 * np.random.default_rng(1).normal(size=(8, 8, 1, 1)).astype(np.float32)
    more[range(8), range(8)] += 1
    coded = write(
        tmp_path / "c.onnx",
        [CONV, second, ("GlobalAveragePool", ["d"], ["out"], {})],
        inits=[weights(), numpy_helper.from_array(more, "w2")],
    )
    made = export(
        coded, target="onnx", precision="int8", preprocess=["signed"], calib_samples=16,
        output_dir=tmp_path / "out",
    )  # fmt: skip
    alone = tmp_path / "coded.onnx"
    alone.write_bytes(made.entry_path.read_bytes())
    assert open_file(alone).precision == "int8"
    again = export(alone, target="onnx", preprocess=["signed"], output_dir=tmp_path / "out")
    assert (again.precision, again.calib_sha256) == ("int8", None)
    assert all("without VNNI" in " ".join(bundle.decisions) for bundle in (made, again))


def test_functions_are_written_out_and_foreign_operators_refused(tmp_path):
    body = [helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])]
    own = helper.make_function(
        "mine", "MyConv", ["x", "k"], ["y"], body, [helper.make_opsetid("", 17)]
    )
    nodes = [("MyConv", ["image", "w"], ["c"], {"domain": "mine"}), POOL]
    source = open_file(write(tmp_path / "f.onnx", nodes, functions=[own], domains=["mine"]))
    assert "functions" in source.notes[0]
    with pytest.raises(UnsupportedError, match="MyConv of mine"):
        open_file(write(tmp_path / "g.onnx", nodes, domains=["mine"]))


def test_a_batch_that_is_baked_in_is_the_batch(tmp_path):
    flat = [CONV, ("Reshape", ["c", "size"], ["out"], {})]
    size = numpy_helper.from_array(np.array([1, 2048], np.int64), "size")
    file = write(tmp_path / "b.onnx", flat, out=("batch", 2048), inits=[weights(), size])
    source = open_file(file)
    assert [spec.shape[0] for side in source.specs() for spec in side] == [1, 1]
    assert "its batch is 1" in source.notes[0]
    fixed = open_file(write(tmp_path / "c.onnx", shape=(4, 3, 16, 16), out=(4, 8, 1, 1)))
    assert fixed.specs()[0][0].shape[0] == 4


def test_free_sizes_are_told_or_asked_for(tmp_path):
    file = write(tmp_path / "d.onnx", shape=("n", 3, "h", "w"))
    with pytest.raises(UsageError, match=r"N x 3 x N x N.*--samples.*--write-toml"):
        open_file(file)
    assert open_file(file, preprocess=("unit", "size=24x20")).specs()[0][0].shape[2:] == (24, 20)
    np.savez(tmp_path / "x.npz", image=np.zeros((5, 3, 8, 8), np.float32))
    source = open_file(file, samples=tmp_path / "x.npz")
    assert source.specs()[0][0].shape == (None, 3, 8, 8)
    (tmp_path / "model.toml").write_text("[inputs.image]\nshape = ['N', 3, 12, 12]")
    assert open_file(file).specs()[0][0].shape == (None, 3, 12, 12)


def two_inputs(path, shape):
    nodes = [
        ("Cast", ["in:0/ids", ], ["f"], {"to": TensorProto.FLOAT}),
        ("Cast", ["keep"], ["k"], {"to": TensorProto.FLOAT}),
        ("Mul", ["f", "k"], ["sum.1"], {}),
        ("Neg", ["sum.1"], ["2nd"], {}),
    ]  # fmt: skip
    inputs = [
        helper.make_tensor_value_info("in:0/ids", TensorProto.INT64, ["n", 5]),
        helper.make_tensor_value_info("keep", TensorProto.BOOL, shape),
    ]
    outputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 5]) for n in ("sum.1", "2nd")
    ]
    return write(path, nodes, inputs=inputs, outputs=outputs, inits=[])


def test_several_inputs_of_other_types_keep_their_names(tmp_path):
    inputs, outputs = open_file(two_inputs(tmp_path / "t.onnx", ["n", 5])).specs()
    assert [(s.name, s.dtype) for s in inputs] == [("in:0/ids", "int64"), ("keep", "bool")]
    assert [(s.name, s.shape) for s in outputs] == [("sum.1", (None, 5)), ("2nd", (None, 5))]


def test_inputs_must_share_a_batch_and_outputs_must_keep_it(tmp_path):
    with pytest.raises(UnsupportedError, match="do not share a first axis"):
        open_file(two_inputs(tmp_path / "t.onnx", [1, 5]))
    nodes = [CONV, ("ReduceMean", ["c"], ["out"], {"keepdims": 0})]
    with pytest.raises(UnsupportedError, match="its first axis must be the batch"):
        open_file(write(tmp_path / "r.onnx", nodes, out=()))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"<html>not found</html>", "no ONNX file that can be read"),
        (bytes(64), "no ONNX file|no network"),
    ],
)
def test_what_is_no_network_is_a_sentence(tmp_path, content, match):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(UsageError, match=match):
        open_file(tmp_path / "x.onnx")


def test_a_file_that_was_cut_off_is_a_sentence(file):
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(UsageError, match=r"can be read|no network"):
        open_file(file)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("a.pt", "pickle"), ("a.pth", "torch.export.save"), ("a.h5", "tf2onnx"),
        ("a.pb", "tf2onnx"), ("a.tflite", "artefact"), ("a.safetensors", "package.module"),
        ("a.bmp", "neither a checkpoint"),
    ],
)  # fmt: skip
def test_other_files_are_told_how_to_come_here(tmp_path, name, match):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=match):
        export(tmp_path / name, target="onnx", output_dir=tmp_path / "out")


def test_flags_of_foreign_networks_are_refused_for_our_own(source, tmp_path):
    with pytest.raises(UsageError, match="tells --name, --licence itself"):
        export(source.path, target="onnx", name="x", licence="MIT", output_dir=tmp_path / "out")


def test_a_network_of_odd_names_and_types_is_proven_on_its_samples(tmp_path):
    file, rng = two_inputs(tmp_path / "t.onnx", ["n", 5]), np.random.default_rng(0)
    ids = rng.integers(3, 90, (70, 5))
    np.savez(tmp_path / "x.npz", **{"in:0/ids": ids, "keep": rng.random((70, 5)) < 0.5})
    bundle = export(file, target="onnx", samples=tmp_path / "x.npz", output_dir=tmp_path / "out")
    assert bundle.verify["verdict"] == "pass"
    assert bundle.inputs[0].range == (ids.min(), ids.max())
    assert {spec.name for spec in read_bundle(bundle.path).outputs} == {"sum.1", "2nd"}


def test_a_range_in_the_model_toml_is_drawn_from(file, tmp_path):
    file.with_name("model.toml").write_text("[inputs.image]\nrange = [5, 7]")
    bundle = export(file, target="onnx", output_dir=tmp_path / "out")
    drawn = np.fromfile(bundle.path / "golden" / "image.f32", np.float32)
    assert 5 <= drawn.min() < drawn.max() <= 7
    file.with_name("model.toml").write_text("[inputs.image]\nrange = [7, 5]")
    with pytest.raises(UsageError, match="range"):
        open_file(file)


def test_a_task_is_a_known_one_and_reads_the_outputs(tmp_path):
    nodes = [CONV, ("GlobalAveragePool", ["c"], ["p"], {}), ("Flatten", ["p"], ["out"], {})]
    file = write(tmp_path / "my.onnx", nodes, out=("batch", 8))
    with pytest.raises(UsageError, match="Did you mean 'face-embedding'"):
        open_file(file, task="face-embeding")
    assert open_file(file, task="face").postprocess == {
        "kind": "embedding", "dim": 8, "normalised": False, "metric": "cosine",
    }  # fmt: skip
