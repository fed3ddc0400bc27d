"""Augmentation and losses as functions."""

import numpy as np
import pytest

from edgesdk.core.preprocess import resize

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training import losses  # noqa: E402
from edgesdk_training.augment import Augmentation, augment, shrink  # noqa: E402

NOTHING = Augmentation(flip=0, shift=0, zoom=0, turn=0, light=0, blur=0)


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return torch.from_numpy(generator.integers(0, 256, (4, 48, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [16, 24, 48, 64])
def test_unvaried_pictures_are_those_of_the_bundles_preprocessing(pictures, size):
    found = augment(pictures, size, NOTHING, torch.Generator())
    want = np.stack([resize(p, (size, size)) for p in pictures.numpy()]).transpose(0, 3, 1, 2)
    assert np.abs(found.numpy() - want).max() < 1e-3


def test_mirroring_alone_is_exact(pictures):
    how = Augmentation(flip=1, shift=0, zoom=0, turn=0, light=0, blur=0)
    found = augment(pictures, 48, how, torch.Generator())
    want = pictures.permute(0, 3, 1, 2).float().flip(3)
    assert torch.allclose(found, want, atol=0.1)


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
