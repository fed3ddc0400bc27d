import threading
import time
from itertools import chain

import numpy as np
import pytest

from edgesdk import FacePipeline
from edgesdk.core.errors import UsageError
from edgesdk.core.preprocess import ARCFACE_112
from edgesdk.detect import Detection
from edgesdk.stream import WAITING


def photo(number):
    return np.full((150, 150 + number, 3), number, np.uint8)


class Counts:
    """Finds as many faces as the picture's first pixel says; notes who looks at once."""

    def __init__(self, concurrent):
        self.concurrent = concurrent
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, picture):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.005)
        with self.lock:
            self.now -= 1
        count = int(picture[0, 0, 0]) % 4
        return [
            Detection((i, 0, 112, 112), ARCFACE_112 + np.array([i, 0]), 0.9) for i in range(count)
        ]


@pytest.mark.parametrize("concurrent", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_many_photos_give_what_each_gives_alone(make_face_bundle, concurrent, workers):
    detector = Counts(concurrent)
    with FacePipeline(make_face_bundle(), detector=detector) as opened:
        alone = [opened.faces(photo(n)) for n in range(30)]
        detector.most = 0
        found = list(opened.each(map(photo, range(30)), workers=workers))
    assert detector.most == (workers if concurrent else 1)
    assert [len(faces) for faces in found] == [n % 4 for n in range(30)]
    for one, other in zip(chain(*alone), chain(*found), strict=True):
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-6)
        np.testing.assert_array_equal(one.crop, other.crop)


def test_faces_takes_a_list(make_face_bundle):
    with FacePipeline(make_face_bundle(), detector=Counts(True)) as opened:
        assert [len(faces) for faces in opened.faces([photo(2), photo(0)])] == [2, 0]
        assert opened.faces([]) == []
        with pytest.raises(UsageError, match=r"gone\.jpg does not exist"):
            opened.faces([photo(1), "gone.jpg"])


def test_a_picture_that_cannot_be_read_leaves_the_others(make_face_bundle):
    with FacePipeline(make_face_bundle(), detector=Counts(True)) as opened:
        found = list(opened.each([photo(1), "gone.jpg", UsageError("said"), photo(3)]))
        largest = list(opened.each([photo(0), photo(3)], largest=True))
    assert [len(f) if isinstance(f, list) else str(f) for f in found] == [
        1, "picture gone.jpg does not exist; check the path", "said", 3,
    ]  # fmt: skip
    assert isinstance(largest[0], UsageError)
    assert len(largest[1]) == 1


def test_few_pictures_are_in_memory_at_once(make_face_bundle):
    pulled = 0

    def source():
        nonlocal pulled
        for n in range(200):
            pulled = n + 1
            yield photo(n % 4)

    with FacePipeline(make_face_bundle(), detector=Counts(True)) as opened:
        for given, _ in enumerate(opened.each(source(), workers=2), 1):
            # Those ahead, and those whose faces were embedded together.
            assert pulled - given <= 2 * WAITING + 16


def test_the_stages_are_timed(make_face_bundle):
    with FacePipeline(make_face_bundle(), detector=Counts(True)) as opened:
        opened.faces([photo(3)] * 4)
        spent = opened.spent.ns
    assert sorted(spent) == ["align", "decode", "detect", "embed"]
    assert spent["detect"] >= 4 * 5e6
