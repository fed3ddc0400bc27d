"""The frequency clue: its filter is the published one, its data treat both sides alike."""

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.generated import kind_of
from edgesdk_training._train import train
from tests.drawn import photo

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training import clue_data, soft  # noqa: E402
from edgesdk_training.draws import Draws, varied  # noqa: E402
from edgesdk_training.fakes import Redrawer, clean_photo, variants  # noqa: E402
from edgesdk_training.nets import clue_net  # noqa: E402
from edgesdk_training.nets.generators import (  # noqa: E402
    FAMILIES,
    Autoencoder,
    Family,
    enlarge,
)
from tools.teach_detectors import GROUPS  # noqa: E402

PUBLISHED = {
    0.07: 0.036, 0.08: 0.080, 0.1: 0.141, 0.15: 0.222, 0.2: 0.262, 0.25: 0.285, 0.3: 0.299,
    0.35: 0.309, 0.4: 0.316, 0.45: 0.321, 0.5: 0.324, 0.6: 0.327, 0.7071: 0.327,
}  # fmt: skip


def test_the_weights_are_the_published_table():
    frequencies = torch.tensor(list(PUBLISHED), dtype=torch.float64)
    found = clue_net.clue_weights(frequencies).numpy()
    np.testing.assert_allclose(found, list(PUBLISHED.values()), atol=5e-4)


def test_there_is_no_weight_up_to_tau_and_none_below_zero():
    frequencies = torch.linspace(0, 0.75, 2001, dtype=torch.float64)
    weights = clue_net.clue_weights(frequencies)
    assert not weights[frequencies <= clue_net.TAU].any()
    assert (weights >= 0).all()
    assert weights[frequencies > clue_net.TAU][0] < 1e-2


@pytest.mark.parametrize("size", [32, 64, 96, 225])
@pytest.mark.parametrize("clue", ["f2c", "high-pass", "top-band"])
def test_the_filter_is_that_of_numpy_fft_and_real(size, clue):
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 3, size, size))
    layer = clue_net.make_clue(clue, size)
    weights = layer.weights.double().numpy()
    wanted = np.fft.ifft2(weights * np.fft.fft2(pictures))
    assert np.abs(wanted.imag).max() < 1e-12
    found = layer(torch.from_numpy(pictures).float()).numpy()
    np.testing.assert_allclose(found, wanted.real, atol=1e-5)


def test_the_rival_npr_sees_nothing_in_pixels_that_were_doubled():
    small = torch.rand(1, 3, 16, 16)
    doubled = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert not clue_net.make_clue("npr", 32)(doubled).any()
    assert clue_net.make_clue("npr", 32)(torch.rand(1, 3, 32, 32)).any()


def test_standardised_clues_have_mean_0_and_deviation_1():
    model, pictures = clue_net.ClueNet("f2c", 32), torch.rand(16, 3, 32, 32)
    model.standardise(pictures)
    shown = (model.clue(pictures) - model.mean) / model.deviation
    np.testing.assert_allclose(shown.mean((0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(shown.std((0, 2, 3)), 1, atol=1e-4)


def test_calibration_lies_in_the_last_layer():
    model, pictures = clue_net.ClueNet("raw", 32).eval(), torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        before = model(pictures)
        model.calibrate(2.0, -0.5)
        torch.testing.assert_close(model(pictures), 2 * before - 0.5)


def test_clean_photos_are_shrunk_and_too_small_ones_are_left_out():
    random = np.random.default_rng(0)
    clean = clean_photo(photo(0, 400, 300), random)
    assert max(clean.shape[:2]) <= soft.SIDE
    assert all(side % soft.MULTIPLE == 0 for side in clean.shape[:2])
    assert clean_photo(photo(0, 400, 90), random) is None


@pytest.mark.parametrize("kind", soft.SOFT)
def test_soft_kinds_change_the_picture_and_follow_the_seed(kind):
    clean = clean_photo(photo(1), np.random.default_rng(0))
    found = [soft.SOFT[kind](clean, np.random.default_rng(3)) for _ in range(2)]
    assert found[0].dtype == np.uint8
    assert (found[0] == found[1]).all()
    assert (found[0][:96, :96] != clean[:96, :96]).any()


@pytest.fixture
def _small_batches(monkeypatch):
    monkeypatch.setattr("edgesdk_training.fakes.CROP", 16)
    monkeypatch.setattr("edgesdk_training.fakes.BATCH", 2)


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_draws_a_photo_again_and_follows_the_seed(family):
    photos = [clean_photo(photo(n), np.random.default_rng(n)) for n in range(3)]
    drawn = [Redrawer(FAMILIES[family], photos, seed=1, steps=2)(photos[0]) for _ in range(2)]
    assert drawn[0].shape == photos[0].shape
    assert (drawn[0] == drawn[1]).all()


@pytest.mark.usefixtures("_small_batches")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_made_in_other_ways(family):
    random = np.random.default_rng(0)
    photos = [clean_photo(photo(n), np.random.default_rng(n)) for n in range(3)]
    kind = FAMILIES[family]
    drawn = [varied(kind, random) for _ in range(8)]
    assert all((one.up, one.jump) == (kind.up, kind.jump) for one in drawn)
    assert len({*drawn}) > 4
    for one in {(d.kernel, d.halvings, d.ends): d for d in drawn}.values():
        assert Redrawer(one, photos, seed=1, steps=2)(photos[0]).shape == photos[0].shape


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("factor", [2, 4])
def test_transposed_convolutions_of_any_kernel_enlarge_by_the_factor(kernel, factor):
    layer = enlarge("tconv", 4, 3, factor, max(kernel, factor))
    assert layer(torch.rand(1, 4, 5, 6)).shape == (1, 3, 5 * factor, 6 * factor)


@pytest.mark.parametrize("codes", [0, 40])
def test_a_given_encoder_holds_what_it_can_and_is_not_learnt(codes):
    family = Family("tconv", latent=48, codes=codes, given=True)
    coder, pictures = Autoencoder(family), torch.rand(8, 3, 32, 32)
    coder.settle(pictures)
    before = coder.encoder.weight.clone()
    found = coder.encoder(pictures)
    assert found.shape == (8, 48, 8, 8)
    # All 48 parts of 4x4 pixels of three colours: nothing is lost.
    patches = torch.nn.functional.unfold(pictures, 4, stride=4)
    kernels = coder.encoder.weight.flatten(1)
    again = torch.linalg.solve(kernels, found.flatten(2))
    torch.testing.assert_close(again, patches, atol=1e-3, rtol=1e-3)
    drawn, loss = coder(pictures)
    assert drawn.shape == pictures.shape
    (drawn.square().mean() + loss).backward()
    assert coder.encoder.weight.grad is None
    assert (coder.encoder.weight == before).all()
    if codes:
        flat = found.movedim(1, -1).flatten(0, 2)
        apart = torch.cdist(flat, coder.codes.weight).argmin(1)
        assert len(apart.unique()) > codes / 2  # no code lies idle


@pytest.mark.usefixtures("_small_batches")
def test_draws_tell_how_each_was_made_and_follow_the_seed():
    photos = [clean_photo(photo(n), np.random.default_rng(n)) for n in range(3)]
    drawn = [Draws(FAMILIES["ae-tconv"], photos, 1, 4, 3) for _ in range(2)]
    assert drawn[0].about == drawn[1].about
    assert len(drawn[0].about) == 3
    assert all(0 < one["steps"] <= 4 for one in drawn[0].about)
    assert (drawn[0](photos[0]) == drawn[1](photos[0])).all()


@pytest.mark.usefixtures("_small_batches")
def test_a_redrawer_comes_nearer_to_the_photo_with_training():
    photos = [clean_photo(photo(n), np.random.default_rng(n)) for n in range(4)]

    def miss(steps):
        redraw = Redrawer(FAMILIES["sr-nearest"], photos, steps=steps)
        return np.abs(redraw(photos[0]) - photos[0].astype(float)).mean()

    assert miss(80) < 0.7 * miss(2)


def test_variants_lie_in_folders_that_tell_their_side():
    clean = clean_photo(photo(2), np.random.default_rng(0))
    found = dict(variants(clean, {"copy": lambda p: p}, np.random.default_rng(0), 1.0))
    assert set(found) == {"real", "fake/copy", *(f"soft/{kind}" for kind in soft.SOFT)}
    assert kind_of("fake/copy").generated
    assert not kind_of("soft/median").generated


TINY = {"epochs": 24, "batch": 16, "size": 32, "worked": 0.0}


def test_it_learns_what_was_doubled_and_calibrates_itself(drawn_set, tmp_path):
    result = train("f2c", settings=TINY, data={"images": [drawn_set]}, out=tmp_path / "runs")
    assert result.metrics["holdout_auc"] > 0.9
    checkpoint = read_checkpoint(result.checkpoints["student"])
    assert checkpoint.task == "generated-image-detection"
    assert 0 <= checkpoint.thresholds["real"]["value"] <= 0.5
    assert 0.5 <= checkpoint.thresholds["generated"]["value"] <= 1
    student = plugins.load(plugins.STUDENTS, "f2c-detector")
    logits = clue_data.logits_of(student.load(checkpoint), [photo(50)], 32)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("clue", ["high-pass", "npr", "raw"])
def test_rivals_train_by_the_same_recipe(drawn_set, tmp_path, clue):
    settings = TINY | {"epochs": 1, "clue": clue}
    result = train("f2c", settings=settings, data={"images": [drawn_set]}, out=tmp_path / "runs")
    assert read_checkpoint(result.checkpoints["student"]).model == f"f2c-detector-{clue}-32"


def test_npr_has_a_student_of_its_own(drawn_set, tmp_path):
    settings = TINY | {"epochs": 1}
    data = {"images": [drawn_set]}
    result = train(
        "f2c", student="npr-detector", settings=settings, data=data, out=tmp_path / "runs"
    )
    checkpoint = read_checkpoint(result.checkpoints["student"])
    assert checkpoint.model == "npr-detector-32"
    assert checkpoint.student_config["clue"] == "npr"
    with pytest.raises(UsageError, match="clue npr, found clue=raw"):
        plugins.load(plugins.STUDENTS, "npr-detector").config(clue="raw")


def test_it_begins_with_given_weights(drawn_set, tmp_path):
    def fit(**settings):
        sets = {"images": [drawn_set]}
        return train("f2c", settings=TINY | settings, data=sets, out=tmp_path / "runs")

    first = fit(epochs=12).checkpoints["student"]
    further, fresh = (fit(epochs=1, lr=1e-5, init=init) for init in (str(first), ""))
    assert further.metrics["holdout_auc"] > fresh.metrics["holdout_auc"]
    origin = read_checkpoint(further.checkpoints["student"]).provenance["init"]
    assert origin["weights_sha256"] == read_checkpoint(first).weights_sha256


def test_every_family_is_left_out_once():
    left = [
        family
        for group in GROUPS.values()
        for family in FAMILIES
        if family.startswith(tuple(group.split("+")))
    ]
    assert sorted(left) == sorted(FAMILIES)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"clue": "ncr"}, "Did you mean 'npr'"),
        ({"size": 33}, "found size=33"),
        ({"epochs": -1}, "epochs must be 0 or more"),
        ({"init": "item-detector"}, "is of item-detector, the student"),
        ({"without": "doubled"}, "needs real and generated pictures"),
    ],
)
def test_what_cannot_be_meant_is_refused(drawn_set, tmp_path, settings, says):
    with pytest.raises(UsageError, match=says):
        train("f2c", settings=settings, data={"images": [drawn_set]}, out=tmp_path / "runs")


def test_faces_without_labels_are_no_data(tmp_path):
    with pytest.raises(UsageError, match="make_fakes"):
        train("f2c", data={"images": ["synthetic"]}, out=tmp_path / "runs")


def test_draws_are_half_generated_and_every_kind_alike():
    kinds = [kind_of("real")] * 50 + [kind_of("soft/a")] * 5 + [kind_of("fake/a")] * 40
    kinds += [kind_of("fake/b")] * 2
    sample = clue_data.Sample([np.zeros((40, 40, 3), np.uint8)] * len(kinds), kinds)
    random = np.random.default_rng(0)
    drawn = [str(kinds[sample.draw(random, 0.4)]) for _ in range(2000)]
    shares = {kind: drawn.count(kind) / 2000 for kind in set(drawn)}
    wanted = {"real": 0.3, "soft/a": 0.2, "fake/a": 0.25, "fake/b": 0.25}
    assert shares == pytest.approx(wanted, abs=0.05)
