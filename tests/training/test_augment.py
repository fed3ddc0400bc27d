"""Augmentation and losses as functions."""

from dataclasses import replace

import numpy as np
import pytest

from edgesdk.core.preprocess import resize

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training import losses  # noqa: E402
from edgesdk_training.augment import Augmentation, augment, shrink, turned  # noqa: E402

NOTHING = Augmentation(flip=0, shift=0, zoom=0, light=0, blur=0)


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.integers(0, 256, (4, 48, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [16, 24, 48, 64])
def test_unvaried_pictures_are_those_of_the_bundles_preprocessing(pictures, size):
    found = augment(pictures, size, NOTHING, torch.Generator())
    want = np.stack([resize(p, (size, size)) for p in pictures.numpy()]).transpose(0, 3, 1, 2)
    assert np.abs(found.numpy() - want).max() < 1e-3


def test_turns_stay_in_range_and_leave_black_corners(pictures):
    x = pictures.permute(0, 3, 1, 2).float() + 1
    assert torch.allclose(turned(x, 0.0, torch.Generator()), x, atol=1e-3)
    found = turned(x, 20.0, torch.Generator().manual_seed(0))
    assert torch.equal(found, turned(x, 20.0, torch.Generator().manual_seed(0)))
    assert (found[:, :, 0, 0] == 0).any()
    assert (found[:, :, 24, 24] > 0).all()
    disc = torch.zeros(64, 1, 48, 48)
    disc[:, :, 23:25, 44] = 1  # right of the middle
    places = turned(disc, 20.0, torch.Generator().manual_seed(1))[:, 0].flatten(1).argmax(1)
    up, right = 23.5 - places // 48, places % 48 - 23.5
    angles = torch.rad2deg(torch.atan2(up.float(), right.float()))
    assert angles.abs().max() < 22
    assert angles.min() < -10 < 10 < angles.max()


def test_mirroring_alone_is_exact(pictures):
    how = Augmentation(flip=1, shift=0, zoom=0, light=0, blur=0)
    found = augment(pictures, 48, how, torch.Generator())
    want = pictures.permute(0, 3, 1, 2).float().flip(3)
    assert torch.allclose(found, want, atol=0.1)


def test_mirroring_falls_on_single_pictures(pictures):
    how = replace(NOTHING, flip=0.5)
    found = augment(pictures[:1].expand(64, -1, -1, -1), 16, how, torch.Generator().manual_seed(0))
    plain = augment(pictures[:1], 16, NOTHING, torch.Generator())
    mirrored = {torch.allclose(one, plain[0], atol=1e-3) for one in found}
    assert mirrored == {True, False}


def test_a_shift_moves_rows_and_columns_apart(pictures):
    how = replace(NOTHING, shift=0.25)
    smooth = torch.linspace(0, 255, 48).round().to(torch.uint8)
    ramp = smooth[None, :, None, None].expand(64, -1, 48, 3)
    found = augment(ramp, 16, how, torch.Generator().manual_seed(0))
    plain = augment(ramp[:1], 16, NOTHING, torch.Generator())
    moved = (found - plain)[:, 0, 8, 8]
    # A ramp down the rows feels the shift of rows alone: a quarter of the range at most.
    assert 30 < moved.max() < 65
    assert -65 < moved.min() < -30
    assert torch.allclose(found, found[..., :1].expand_as(found), atol=1e-2)


def test_blurring_softens_and_keeps_the_mean(pictures):
    found = augment(pictures, 16, replace(NOTHING, blur=3.0), torch.Generator().manual_seed(1))
    plain = augment(pictures, 16, NOTHING, torch.Generator())
    assert (found.std((2, 3)) < plain.std((2, 3))).all()
    assert torch.allclose(found.mean((2, 3)), plain.mean((2, 3)), atol=8)


def test_a_batch_can_be_drawn_again(pictures):
    draw = lambda seed: augment(pictures, 16, Augmentation(), torch.Generator().manual_seed(seed))  # noqa: E731
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert draw(1).min() >= 0
    assert draw(1).max() <= 255


def test_shrinking_keeps_the_mean(pictures):
    whole = pictures.permute(0, 3, 1, 2).float()
    assert torch.allclose(shrink(whole, 16).mean((2, 3)), whole.mean((2, 3)), atol=1e-2)


def test_spreading_keeps_angles():
    rows = losses.centred(torch.randn(10, 8))
    wide = losses.spread(rows, 32, seed=0)
    assert wide.shape == (10, 32)
    assert torch.allclose(wide @ wide.T, rows @ rows.T, atol=1e-5)


def test_any_width_of_teacher_fits():
    torch.manual_seed(0)
    features = torch.randn(200, 12) * torch.tensor([5.0] * 4 + [0.1] * 8)
    rows = losses.centred(features)
    for width in (4, 12, 32):
        fitted = losses.in_width(features, width, seed=0)
        assert fitted.shape == (200, width)
        assert torch.allclose(fitted.norm(dim=1), torch.ones(200), atol=1e-5)
        assert (fitted @ fitted.T - rows @ rows.T).abs().max() < 0.1


def test_losses_are_zero_at_their_target_and_grow_away_from_it():
    target = losses.centred(torch.randn(16, 8))
    assert losses.regression(target * 3, target).item() == pytest.approx(0, abs=1e-6)
    assert losses.regression(-target, target).item() == pytest.approx(4, abs=1e-5)
    turned = target @ torch.linalg.qr(torch.randn(8, 8)).Q
    assert losses.relation(turned, target).item() == pytest.approx(0, abs=1e-6)
    assert losses.relation(torch.randn(16, 8), target).item() > 0.01
    index = torch.arange(16)
    right = losses.contrast(target, target, index, 50.0)
    assert right.item() < losses.contrast(target.flip(0), target, index, 50.0).item()
    logits = torch.randn(16, 5)
    assert losses.softened(logits, logits, 4.0).item() == pytest.approx(0, abs=1e-5)
    assert losses.softened(logits, -logits, 4.0).item() > 0.1


def test_whitening_evens_out_how_one_person_varies():
    from edgesdk_training.whiten import within_whitening

    torch.manual_seed(0)
    labels = torch.arange(50).repeat_interleave(20)
    people = torch.randn(50, 4)[labels]
    rows = people + torch.randn(1000, 4) * torch.tensor([2.0, 1.0, 0.5, 0.1])
    within = lambda x: torch.stack([x[labels == i].var(0) for i in range(50)]).mean(0)  # noqa: E731
    spread = within(rows @ within_whitening(rows, labels, 1e-6).T)
    assert (spread.max() / spread.min()).item() == pytest.approx(1, abs=0.1)
    gentle = within_whitening(rows, labels, 1e6)
    assert torch.allclose(gentle / gentle[0, 0], torch.eye(4), atol=1e-3)


def test_a_class_is_told_from_those_drawn_and_those_of_the_batch():
    from edgesdk_training.distiller import class_loss

    torch.manual_seed(0)
    head, identity = torch.nn.Linear(4, 9), torch.randn(5, 4)
    labels, none = torch.tensor([3, -1, 7, 3, 0]), torch.empty(0, dtype=torch.long)
    whole = class_loss(head, identity, labels, none)
    known = labels >= 0
    want = torch.nn.functional.cross_entropy(head(identity[known]), labels[known])
    assert torch.allclose(whole, want)
    assert torch.allclose(class_loss(head, identity, labels, torch.arange(9)), want)
    assert class_loss(head, identity, labels, torch.tensor([1])) < whole
    assert class_loss(head, identity, torch.full((5,), -1), none) == 0
