import numpy as np

from edgesdk.core.preprocess import Preprocess
from edgesdk.core.samples import synthetic_faces


def test_shape_dtype_and_count():
    faces = synthetic_faces(3, seed=1, size=40)
    assert len(faces) == 3
    assert all(f.shape == (40, 40, 3) and f.dtype == np.uint8 for f in faces)


def test_the_seed_decides():
    first, again, other = (synthetic_faces(4, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_longer_set_begins_with_the_shorter_one():
    assert np.array_equal(synthetic_faces(8, 0)[:3], synthetic_faces(3, 0))


def test_no_two_crops_are_alike_and_light_varies():
    tensors = Preprocess((16, 16))(synthetic_faces(64, 0)).reshape(64, -1)
    close = np.corrcoef(tensors) - np.eye(64)
    assert close.max() < 0.995
    means = tensors.mean(1)
    assert means.min() < -0.3
    assert means.max() > 0.2
    assert 0.3 < tensors.std() < 0.7
