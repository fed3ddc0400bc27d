"""The small set of pairs of the examples is what its tool draws."""

import numpy as np

from edgesdk.pairs import read_pairs
from tools import drawn_pairs


def test_the_set_is_what_its_tool_draws(examples, tmp_path):
    (tmp_path / "pairs.tar").write_bytes(drawn_pairs.packed(drawn_pairs.drawn_set()))
    shipped, drawn = read_pairs(examples / "pairs.tar"), read_pairs(tmp_path / "pairs.tar")
    assert shipped.pictures == drawn.pictures
    assert shipped.pairs.tolist() == drawn.pairs.tolist()
    for number in range(0, len(shipped.pictures), 9):
        # JPEG decoders may differ by a step.
        difference = shipped.read(number).astype(int) - drawn.read(number)
        assert np.abs(difference).max() <= 8


def test_the_set_can_fit_a_threshold_and_no_person_is_in_two_folds(examples):
    found = read_pairs(examples / "pairs.tar")
    assert (found.same.sum(), (~found.same).sum(), len(set(found.fold))) == (72, 72, 4)
    owners = found.people[found.pairs]
    assert ((owners[0] == owners[1]) == found.same).all()
    for person in set(owners.ravel()):
        assert len(set(found.fold[(owners == person).any(0)])) == 1
