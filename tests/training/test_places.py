"""What a client keeps between rounds."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk_training.federated.places import Place  # noqa: E402


def test_a_round_that_is_asked_for_again_begins_where_it_began(tmp_path):
    place = Place(tmp_path)
    assert place.kept() is place.kept(0) is None
    for number in range(2):
        place.keep(number, {"w": torch.tensor([float(number)])})
    assert place.kept()["w"] == 1
    assert place.kept(2)["w"] == 1
    place.keep(1, {"w": torch.tensor([5.0])})  # its server was killed before it stored round 1
    assert place.kept(1)["w"] == 0
    assert place.kept(2)["w"] == 5
