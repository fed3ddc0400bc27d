"""Encoders that users bring: tiny ones with weights drawn, through the same interface."""

import json
import shutil
import sys
from types import ModuleType

import numpy as np
import pytest

import edgesdk
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.own_encoders import companions, embedded, grid, open_encoders
from edgesdk.tasks._generated_sets import read_sides
from edgesdk_export.sources.checkpoint import CheckpointSource
from edgesdk_training._train import train
from edgesdk_training.joint_space import FeatureSet
from tests.drawn import labelled_set, photo
from tools import embed_pairs

torch = pytest.importorskip("torch", reason="needs the train extra")

WORDS = ["[PAD]", "[UNK]", "a", "red", "dog", "on", "grass"]
WIDTH = 8


@pytest.fixture
def pair(tmp_path):
    """Write a pair of ONNX files whose weights were drawn."""
    onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
    helper, folder = onnx.helper, tmp_path / "pair"
    folder.mkdir()
    random = np.random.default_rng(0)
    value = helper.make_tensor_value_info
    for name, kind, shape, nodes, weights in (
        (
            "picture", 1, ["n", 3, 16, 16],
            [("ReduceMean", ["x", "axes"], "m", {"keepdims": 0}), ("MatMul", ["m", "w"], "y", {})],
            {"w": random.normal(size=(3, WIDTH)).astype("f4"), "axes": np.array([2, 3])},
        ),
        (
            "text", 7, ["n", 5],
            [("Gather", ["w", "x"], "g", {}),
             ("ReduceSum", ["g", "axes"], "y", {"keepdims": 0})],
            {"w": random.normal(size=(len(WORDS), WIDTH)).astype("f4"), "axes": np.array([1])},
        ),
    ):  # fmt: skip
        graph = helper.make_graph(
            [helper.make_node(op, ins, [out], **more) for op, ins, out, more in nodes], name,
            [value("x", kind, shape)], [value("y", 1, ["n", WIDTH])],
            [onnx.numpy_helper.from_array(array, key) for key, array in weights.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, folder / f"{name}.onnx")
    (folder / "vocabulary.txt").write_text("\n".join(WORDS))
    (folder / "encoders.json").write_text(json.dumps({"length": 5, "mean": [0, 0, 0]}))
    return folder


def check(encoders, width):
    seen, said = encoders.pictures([photo(0), photo(1)]), encoders.texts(["a red dog", "grass"])
    assert seen.shape == said.shape == (2, width)
    assert seen.dtype == said.dtype == np.float32
    assert (seen[0] != seen[1]).any()
    assert (said[0] != said[1]).any()
    assert all(len(sha256) == 64 for sha256 in encoders.files.values())
    assert encoders.files
    row = embedded(encoders, photo(2), "a red dog on grass", 3)
    assert row["objects"].shape == row["words"].shape == (3, width)
    assert row["present"].tolist() == [1, 1, 0]
    lengths = np.linalg.norm([row["image"], row["caption"], *row["words"][:2]], axis=1)
    assert lengths == pytest.approx(1, abs=1e-4)
    assert not row["objects"][2].any()


def test_a_pair_of_onnx_files_is_a_joint_space(pair):
    check(open_encoders(f"onnx:{pair}"), WIDTH)


def test_a_phrase_takes_the_crop_that_it_fits_best(pair):
    encoders = open_encoders(f"onnx:{pair}")
    picture = photo(3)
    row = embedded(encoders, picture, "grass", 1)
    cut = [picture[y:b, x:r] for x, y, r, b in grid(picture, "grass")]
    seen = encoders.pictures(cut)
    near = seen @ row["words"][0] / np.linalg.norm(seen, axis=1)
    assert row["objects"][0] @ row["words"][0] == pytest.approx(near.max(), abs=1e-4)


def test_a_finder_s_boxes_take_the_place_of_the_grid(pair):
    asked = []

    def finder(picture, phrase):
        asked.append(phrase)
        return [(0, 0, 20, 20)] if phrase == "grass" else []

    encoders = open_encoders(f"onnx:{pair}")
    row = embedded(encoders, photo(4), "red dog on grass", 2, finder)
    assert asked == ["red dog", "grass"]
    assert row["present"].tolist() == [0, 1]


def test_a_set_becomes_a_file_of_features_for_the_recipe(pair, tmp_path, monkeypatch, capsys):
    place = labelled_set(tmp_path / "set")
    said = {f"{side}/{n}.png": "a red dog" for side in ("real", "fake/doubled") for n in range(12)}
    (place / "captions.json").write_text(json.dumps(said))
    out = tmp_path / "features.npz"
    words = ["embed_pairs", str(place), "--encoders", f"onnx:{pair}", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    embed_pairs.main()
    assert "24 pictures, 12 without a caption left out" in capsys.readouterr().out
    found = FeatureSet(out)
    assert (len(found), int(found.generated.sum())) == (24, 12)
    assert set(found.sources) == {"picture.onnx", "text.onnx"}
    settings = {"epochs": 1, "holdout": 0.4}
    left = train("item", settings=settings, data={"images": [out]}, out=tmp_path / "runs")
    source = CheckpointSource(read_checkpoint(left.checkpoints["student"]))
    assert set(source.lineage["companions"]) == {*found.sources.values()}
    before = out.read_bytes()
    monkeypatch.setattr("tools.embed_pairs.embedded", None)  # all of it is known
    embed_pairs.main()
    assert out.read_bytes() == before


@pytest.fixture
def head(pair, tmp_path):
    """Train and export a head for the pair, and return its bundle and the labelled set."""
    place = labelled_set(tmp_path / "set")
    said = {f"{kind}/{n}.png": "a red dog" for kind in ("real", "fake/doubled") for n in range(12)}
    (place / "captions.json").write_text(json.dumps(said))
    sides, encoders = read_sides(place), open_encoders(f"onnx:{pair}")
    rows = [embedded(encoders, sides.source.read(n), "a red dog", 2) for n in sides.names]
    arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    more = {"generated": sides.generated, "companions": companions(encoders)}
    np.savez(tmp_path / "f.npz", **arrays, **more)
    settings = {"epochs": 1, "holdout": 0.4}
    left = train("item", settings=settings, data={"images": [tmp_path / "f.npz"]}, out=tmp_path)
    checkpoint = left.checkpoints["student"]
    return edgesdk.export(checkpoint, target="onnx", output_dir=tmp_path / "bundles"), place


def test_an_exported_head_runs_with_the_user_s_encoders(head, pair, tmp_path):
    bundle, place = head
    files, said = [place / "real" / "3.png"], place / "captions.json"
    found = edgesdk.run(bundle, files, captions=said, encoders=f"onnx:{pair}")
    (row,) = found["pictures"]
    assert row["verdict"] in ("generated", "real", "undecided")
    assert 0 <= row["distance"] <= 2
    assert [part["phrase"] for part in row["objects"]] == ["red dog"]
    assert "never saw has not been measured" in (bundle.path / "MODEL_CARD.md").read_text()
    with pytest.raises(UsageError, match="head for encoders of your own"):
        edgesdk.run(bundle, files, captions=said)
    other = shutil.copytree(pair, tmp_path / "other")
    (other / "encoders.json").write_text(json.dumps({"length": 4}))
    model = (other / "text.onnx").read_bytes()
    (other / "text.onnx").write_bytes(model.replace(b"text", b"tixt"))
    with pytest.raises(UsageError, match="belongs to encoders whose files have the hashes"):
        edgesdk.run(bundle, files, encoders=f"onnx:{other}")
    with pytest.raises(UsageError, match="leave --encoders out"):
        edgesdk.run("f2c-detector", files, encoders=f"onnx:{pair}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_model_of_transformers_is_a_joint_space(tmp_path):
    library = pytest.importorskip("transformers", reason="reads models of transformers")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    config = library.CLIPConfig(
        text_config=small | {"vocab_size": 10, "max_position_embeddings": 16, "eos_token_id": 1},
        vision_config=small | {"image_size": 32, "patch_size": 16},
        projection_dim=12,
    )
    library.CLIPModel(config).save_pretrained(tmp_path)
    letters = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "dog</w>": 3, "red</w>": 4}
    (tmp_path / "vocab.json").write_text(json.dumps(letters))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    sight = library.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)
    reader = library.CLIPTokenizer(
        vocab=letters, merges=[], unk_token="<|endoftext|>", model_max_length=16
    )
    library.CLIPProcessor(sight, reader).save_pretrained(tmp_path)
    encoders = open_encoders(f"transformers:{tmp_path}")
    seen = encoders.pictures([photo(0), photo(1)])
    assert (seen.shape, encoders.texts(["a red dog"]).shape) == ((2, 12), (1, 12))
    assert list(encoders.files) == ["model.safetensors"]


def test_a_model_of_open_clip_is_asked_by_its_own_functions(tmp_path, monkeypatch):
    """The package itself is not installed here: a stand-in with its functions is asked."""

    class Model:
        def eval(self):
            return self

        def encode_image(self, batch):
            return batch.mean((2, 3))

        def encode_text(self, tokens):
            return tokens.float()

    library = ModuleType("open_clip")
    library.list_models = lambda: ["ViT-B-32"]
    see = lambda image: torch.from_numpy(np.asarray(image.resize((8, 8)), "f4")).movedim(2, 0)  # noqa: E731
    library.create_model_and_transforms = lambda name, pretrained: (Model(), None, see)
    tokens = lambda texts: torch.tensor([[len(t), t.count("a"), 1] for t in texts])  # noqa: E731
    library.get_tokenizer = lambda name: tokens
    monkeypatch.setitem(sys.modules, "open_clip", library)
    (tmp_path / "weights.pt").write_bytes(b"weights")
    check(open_encoders(f"open_clip:ViT-B-32:{tmp_path / 'weights.pt'}"), 3)
    with pytest.raises(UsageError, match="Did you mean 'ViT-B-32'"):
        open_encoders(f"open_clip:ViT-B-3:{tmp_path / 'weights.pt'}")
    with pytest.raises(UsageError, match="nothing is fetched"):
        open_encoders("open_clip:ViT-B-32:laion2b")


@pytest.mark.parametrize(
    ("where", "says"),
    [("clip:folder", "none of onnx"), ("onnx:", "none of onnx"), ("onnx:nowhere", "lacks picture")],
)
def test_what_is_no_pair_is_told(where, says):
    with pytest.raises(UsageError, match=says):
        open_encoders(where)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UnsupportedError, match="open_clip"):
        open_encoders("open_clip:ViT-B-32:weights.pt")
