"""Each session of torch computes with its own number of threads, whoever opened one after it."""

import numpy as np
import pytest

from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.shipped import shipped_checkpoint


def test_a_later_session_does_not_change_the_threads_of_an_earlier_one(monkeypatch):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    from edgesdk_runtimes.torch import open_checkpoint

    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: set_to[-1] if set_to else 0)
    checkpoint = read_checkpoint(shipped_checkpoint("bridge-face"))
    image = {"image": np.zeros((1, 3, 16, 16), np.float32)}
    with (
        open_checkpoint(checkpoint, threads=1) as one,
        open_checkpoint(checkpoint, threads=2) as two,
    ):
        for session in (one, two, one, one):
            session.run(image)
    assert set_to == [1, 2, 1]
