"""The public faces as training sees them."""

from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgesdk.core.errors import UsageError  # noqa: E402
from edgesdk_training.augment import Augmentation, shrink  # noqa: E402
from edgesdk_training.faces import SIZES_PER_BATCH, Faces, _sharp, all_rows  # noqa: E402
from edgesdk_training.holdout import hold_out  # noqa: E402
from edgesdk_training.morphs import draw_morphs  # noqa: E402

STILL = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def faces():
    generator = torch.Generator().manual_seed(0)
    count = 40
    features = torch.nn.functional.normalize(torch.randn(count, 8, generator=generator))
    return Faces(
        pictures=torch.randint(0, 256, (count, 32, 32, 3), generator=generator, dtype=torch.uint8),
        morphs=None, features=features, labels=torch.arange(count) // 2, classes=20,
        train=torch.arange(20), labelled=torch.arange(20),
        held=hold_out(np.arange(count) // 2, 5, 0), how=STILL, smallest=0,
        teacher="none", name="noise", seed=0,
    )  # fmt: skip


def test_smaller_faces_are_shown_enlarged(faces):
    chosen = torch.arange(8)
    sharp = faces.batch(chosen, 32, torch.Generator().manual_seed(1))
    mixed = replace(faces, smallest=16).batch(chosen, 32, torch.Generator().manual_seed(1))
    assert mixed.shape == sharp.shape == (8, 3, 32, 32)
    parts = [
        (size, part)
        for part in torch.arange(8).chunk(SIZES_PER_BATCH)
        for size in range(16, 33)
        if torch.allclose(mixed[part], seen_at(faces, part, size), atol=1e-5)
    ]
    assert len(parts) == SIZES_PER_BATCH
    assert len({size for size, _ in parts}) > 1


def test_a_morph_is_a_blend_of_two_training_faces(faces):
    morphs = draw_morphs(faces.pictures, faces.train.numpy(), 6, seed=1)
    again = draw_morphs(faces.pictures, faces.train.numpy(), 6, seed=1)
    assert len(morphs) == 6
    assert np.array_equal(morphs[5], again[5])
    assert set(morphs.first.tolist()) | set(morphs.second.tolist()) <= set(faces.train.tolist())
    one, other = (faces.pictures[i[2]].numpy().astype(float) for i in (morphs.first, morphs.second))
    share = morphs.share[2].item()
    assert abs(morphs[2] - ((1 - share) * one + share * other[:, ::-1])).max() <= 0.51
    assert np.array_equal(morphs.between(2, 4)[1], morphs[3])


def test_enlarged_pictures_are_left_out_of_morphs():
    train, sides = np.array([0, 2, 3, 5]), np.array([64, 64, 48, 112, 112, 24])
    assert _sharp(train, sides, Namespace(size=64)).tolist() == [0, 3]
    assert _sharp(train, sides, Namespace(size=48)).tolist() == [0, 2, 3]
    assert _sharp(train, sides, Namespace(size=112)).tolist() == train.tolist()


def test_what_a_pack_brings_is_taken_or_left():
    brought, said = np.eye(4, 3, dtype=np.float32), np.ones((4, 3), np.float32)
    pack, plain = Namespace(embeddings=brought), Namespace(embeddings=None)
    context = Namespace(
        data=lambda _: Namespace(parts=[pack, plain]),
        embeddings=lambda teacher, _: said[:, : teacher.width],
    )
    teacher = Namespace(name="big", width=3)
    assert np.array_equal(all_rows(context, teacher), np.concatenate([brought, said]))
    assert np.array_equal(all_rows(context, teacher, stored=False), np.concatenate([said, said]))
    other = Namespace(name="big", width=2)
    assert all_rows(context, other, stored=False).shape == (8, 2)
    with pytest.raises(UsageError, match="stored embeddings and big have unlike lengths"):
        all_rows(context, other)


def test_numbers_after_the_pictures_are_morphs(faces):
    morphs = draw_morphs(faces.pictures, faces.train.numpy(), 6, seed=1)
    both = replace(faces, morphs=morphs)
    seen = both.batch(torch.tensor([3, 40, 45]), 32, torch.Generator().manual_seed(1))
    whole = torch.stack([faces.pictures[3], *morphs.blend(torch.tensor([0, 5]))])
    assert torch.allclose(seen, whole.permute(0, 3, 1, 2) / 127.5 - 1, atol=1e-5)


def seen_at(faces, part, size):
    pictures = faces.pictures[part].permute(0, 3, 1, 2).float()
    return shrink(shrink(pictures, size), 32) / 127.5 - 1


def test_likeness_is_one_for_the_teacher_itself(faces):
    from edgesdk_training.losses import in_width

    wanted = in_width(faces.features, 8, faces.seed)

    class Knows(torch.nn.Module):
        def __init__(self, rows):
            super().__init__()
            self.rows = rows

        def heads(self, x):
            return None, self.rows[: len(x)]

    held = torch.from_numpy(faces.held.items)
    assert faces.likeness(Knows(wanted[held]), 16)["holdout_cosine"] == pytest.approx(1, abs=1e-5)
    assert faces.likeness(Knows(-wanted[held]), 16)["holdout_cosine"] == pytest.approx(-1, abs=1e-5)
    assert replace(faces, held=None).likeness(Knows(wanted), 16) == {}
