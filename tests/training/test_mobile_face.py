"""A MobileFaceNet that begins with weights of others: read, merged, put behind a completion."""

from types import SimpleNamespace

import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError

torch = pytest.importorskip("torch", reason="needs the train extra")

STUDENT = plugins.load(plugins.STUDENTS, "masked-face")


def stored(net):
    """Return the layers of a file for `net`: kernels of 3 at stride 2, two linear layers last."""
    from edgesdk_training.nets.mobile_face import Convolved

    random, layers = torch.Generator().manual_seed(0), []

    def drawn(*shape):
        return torch.randn(shape, generator=random) * 0.3

    for part in net.modules():
        if isinstance(part, Convolved):
            outputs, inputs, *side = part[0].weight.shape
            side = [3, 3] if part[0].stride == (2, 2) else side
            slopes = drawn(outputs) if len(part) == 2 else None
            layers.append((drawn(outputs, inputs, *side), drawn(outputs), slopes))
    return [*layers, (drawn(512, 512, 1, 1), drawn(512), None), (drawn(192, 512), drawn(192), None)]


def test_layers_of_a_file_answer_as_they_do_there():
    from torch.nn.functional import conv2d, linear, pad

    from edgesdk_training.nets.mobile_face import MobileFace, put

    layers = stored(net := MobileFace())
    put(net.eval(), layers)
    face, (kernel, bias, slopes) = torch.rand(1, 3, 112, 112), layers[0]
    # TensorFlow pads an even map below and to the right at stride 2.
    first = conv2d(pad(face, (0, 1, 0, 1)), kernel, bias, stride=2)
    first = torch.where(first > 0, first, first * slopes[:, None, None])
    assert torch.allclose(net.front[0](face), first, atol=1e-5)
    read = torch.rand(2, 512)
    (one, one_bias, _), (two, two_bias, _) = layers[-2:]
    last = linear(linear(read, one.flatten(1), one_bias), two, two_bias)
    assert torch.allclose(net.identity(read), last, rtol=1e-3, atol=1e-3)


def test_layers_of_another_network_are_refused():
    from edgesdk_training.nets.mobile_face import MobileFace, put

    layers = stored(MobileFace())
    with pytest.raises(ValueError, match="52 convolutions wanted, found 51"):
        put(MobileFace(), layers[1:])
    with pytest.raises(ValueError, match="does not fit"):
        put(MobileFace(), [layers[1], layers[0], *layers[2:]])


def test_a_recogniser_is_taken_over_and_its_front_stays():
    from edgesdk_training.nets.mobile_face import MobileFace
    from edgesdk_training.recipes.deocclusion import Deocclusion, Settings

    begin = SimpleNamespace(student="masked-face", student_config={"mobile": True})
    asked = {"mobile": True, "init": "x", "aside": True, "complete_epochs": 0}
    for tail in (True, False):
        net = MobileFace()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("edgesdk_training.checkpoint.load_weights", lambda *_, **__: None)
            Deocclusion().begin(Settings(**asked, tail=tail), None, net, begin)
        assert {p.requires_grad for p in net.front.parameters()} == {not tail}
        assert all(p.requires_grad for p in net.tail.parameters())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgesdk_training.checkpoint.load_weights", lambda *_, **__: None)
        Deocclusion().begin(
            Settings(**asked, gated="masked"), None, net := MobileFace("masked"), begin
        )
    learn = {name.partition(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert learn == {"corrections"}
    begin.student_config["mobile"] = False
    with pytest.raises(UsageError, match="is a masked-face; give a mobile masked-face"):
        Deocclusion().begin(Settings(**asked), None, MobileFace(), begin)
    with pytest.raises(UsageError, match="mobile=true reads faces as they come"):
        Settings(mobile=True)
    with pytest.raises(UsageError, match="keep draws a MobileFaceNet back"):
        Settings(keep=0.3)


def test_it_reads_all_of_the_face_beside_the_completion():
    config = STUDENT.config(mobile=True, aside=True)
    module = STUDENT.folded(STUDENT.build(config)).eval()
    image = torch.from_numpy(STUDENT.example(config)["image"])
    embedding, mask, whole = module(image)
    assert torch.equal(embedding, module.recogniser(image))
    assert (list(embedding.shape), mask.shape[2:], whole.shape) == (
        [2, 192], image.shape[2:], image.shape
    )  # fmt: skip
    assert STUDENT.specs(config)[1][0].shape == (None, 192)
    assert STUDENT.postprocess(config)["dim"] == 192
    alone = STUDENT.config(mobile=True, complete=False)
    assert STUDENT.model_name(alone) == "masked-face-mobile-plain"
    assert sum(p.numel() for p in module.recogniser.parameters()) <= 1_100_000
    with pytest.raises(UsageError, match="mobile=true reads faces of 112 px"):
        STUDENT.config(mobile=True, size=64)


@pytest.mark.parametrize(("kind", "moved"), [("masked", [0, 0, 1]), ("bare", [1, 1, 0])])
def test_a_gated_network_corrects_faces_of_its_kind_alone(kind, moved):
    from edgesdk_training.nets.mobile_face import MobileFace

    config = STUDENT.config(mobile=True, aside=True, gated=kind, given=True, views=False)
    torch.manual_seed(0)
    gated, plain = STUDENT.build(config).eval(), MobileFace().eval()
    for weights in gated.recogniser.corrections.parameters():
        torch.nn.init.normal_(weights, 0, 0.1)
    own = gated.recogniser.state_dict()
    plain.load_state_dict({k: v for k, v in own.items() if not k.startswith("corrections")})
    image, hidden = torch.rand(3, 3, 112, 112) * 2 - 1, torch.zeros(3, 1, 112, 112)
    # A hair or a hand is no mask; half a face is.
    hidden[1, :, :3], hidden[2, :, 56:] = 1, 1
    away = (gated(image, hidden) - plain(image)).abs().amax(1)
    assert (away > 1e-3).tolist() == [bool(one) for one in moved]
    assert ((away < 1e-6) | (away > 1e-3)).all()
    assert sum(p.numel() for p in gated.recogniser.parameters()) <= 1_100_000


def test_a_gated_network_begins_as_it_was_and_only_corrections_learn():
    from edgesdk_training.nets.mobile_face import MobileFace, opened
    from edgesdk_training.recipes.deocclusion import Settings

    net = MobileFace("masked").eval()
    face, gate = torch.rand(1, 256 // 2, 14, 14), torch.ones(1, 1, 1, 1)
    assert torch.equal(net.corrected(face, gate), net.tail(face))
    parts = torch.tensor([0.0, 0.03, 0.055, 0.08, 1.0])
    asked = {"init": "x", "aside": True, "complete_epochs": 0, "gated": "masked"}
    assert opened(parts[:, None, None, None]).flatten().tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    with pytest.raises(UsageError, match="set mobile, and keep=0"):
        Settings(**asked)
    with pytest.raises(UsageError, match="set mobile, and keep=0"):
        Settings(**asked, mobile=True, keep=0.1)
    with pytest.raises(UsageError, match="found eyes"):
        STUDENT.config(mobile=True, aside=True, gated="eyes")
    with pytest.raises(UsageError, match="gated=bare corrects a MobileFaceNet"):
        STUDENT.config(gated="bare")


def test_what_a_gated_recogniser_learns_on_tells_what_is_hidden():
    config = STUDENT.config(mobile=True, aside=True, gated="bare")
    module = STUDENT.build(config).eval()
    image = torch.from_numpy(STUDENT.example(config)["image"])
    embedding, mask, _ = module(image)
    read = module.readable(image)
    assert torch.equal(read[:, :3], image)
    assert torch.allclose(read[:, 3:], mask)
    assert torch.allclose(module.recogniser(read), embedding, atol=1e-5)


@pytest.mark.parametrize(
    "asked",
    [
        {"mobile": True, "aside": True},
        {"mobile": True, "aside": True, "gated": "bare"},
        {"size": 32, "complete": False},
    ],
)
def test_a_mirrored_face_is_answered_like_the_face(asked):
    torch.manual_seed(0)
    module = STUDENT.build(STUDENT.config(**asked, views=False)).eval()
    both = STUDENT.build(STUDENT.config(**asked, views=False, mirrored=True)).eval()
    both.load_state_dict(module.state_dict())
    image = torch.from_numpy(STUDENT.example(STUDENT.config(**asked))["image"])
    said = both(image)
    assert torch.allclose(said.norm(dim=1), torch.ones(2), atol=1e-5)
    read = module.readable(image) if asked.get("gated") else image
    apart = [module.recogniser(x) for x in (read, read.flip(3))]
    assert torch.allclose(said, torch.nn.functional.normalize(sum(apart)), atol=1e-5)
    assert not torch.allclose(apart[0], apart[1], atol=1e-5)


def test_squares_of_what_the_last_layer_says_fit_half_precision():
    from edgesdk_training.nets.mobile_face import MobileFace

    net = MobileFace().eval()
    torch.nn.init.constant_(net.identity.bias, 25.0)
    said = net.heads(torch.zeros(1, 3, 112, 112))[1]
    assert (said.square().sum() > 65_504).all()
    half = net.half()(torch.zeros(1, 3, 112, 112, dtype=torch.float16))
    assert half.float().norm().item() == pytest.approx(1, abs=1e-2)


def test_a_file_that_is_none_is_refused(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="needs the tflite extra")
    from tools.mobile_face import read

    (path := tmp_path / "x.tflite").write_bytes(b"no model")
    with pytest.raises(UsageError, match=r"is no \.tflite file that runs"):
        read(path)


@pytest.mark.parametrize("kind", ["", "masked", "bare"])
def test_channels_are_made_alike_and_answers_stay(kind):
    from edgesdk_training.nets.alike import convolutions, make_alike, peaks_of, streams
    from edgesdk_training.nets.mobile_face import MobileFace

    torch.manual_seed(0)
    net, faces = MobileFace(kind).eval(), torch.rand(4, 4 if kind else 3, 112, 112) * 2 - 1
    # Two faces bare, two hidden, so that all layers say something.
    faces[:2, 3:], faces[2:, 3:] = 0, 1
    for layer in convolutions(net):
        torch.nn.init.normal_(layer.weight, 0, layer.weight[0].numel() ** -0.5)
        layer.weight.data *= torch.rand(len(layer.weight), 1, 1, 1) * 10
    with torch.no_grad():
        before, maps = net(faces), streams(net)
        uneven = [unevenness(peaks) for peaks in peaks_of(net, maps, faces)]
        make_alike(net, faces)
        after = net(faces)
        even = [unevenness(peaks) for peaks in peaks_of(net, maps, faces)]
    assert torch.allclose(before, after, atol=1e-5)
    assert all(one < other for one, other in zip(even, uneven, strict=True))
    said = {id(layer) for one in maps for layer in one.said}
    assert said == {id(layer) for layer in convolutions(net)}


def unevenness(peaks):
    return float(peaks.max() / peaks.median())
