"""ExecuTorch programs: what is read from them, and the pool of threads that sessions share."""

import numpy as np
import pytest

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk_export._contents import contents_of

NET = "tools.shelf:normalize"


def test_where_it_is_not_installed_the_sentence_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(plugins, "installed", lambda name: name != "executorch")
    assert "edgesdk[executorch]" in plugins.load(plugins.RUNTIMES, "executorch").available()
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[executorch\]"):
        edgesdk.export("bridge-face", target="executorch", output_dir=tmp_path)
    (tmp_path / "net.pte").write_bytes(b"\0\0\0\0ET12")
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[executorch\]"):
        contents_of(tmp_path / "net.pte")


def test_a_file_that_is_no_program_is_named(tmp_path):
    (tmp_path / "net.pte").write_bytes(b"no program at all")
    with pytest.raises(UsageError, match="is no ExecuTorch program"):
        contents_of(tmp_path / "net.pte")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pytest.importorskip("executorch", reason="needs the executorch extra")
    out = tmp_path_factory.mktemp("pte")
    export = {"target": "executorch", "name": "net", "calib_samples": 64, "output_dir": out}
    return {p: edgesdk.export(NET, precision=p, **export) for p in ("fp32", "fp16", "int8")}


@pytest.mark.slow
def test_the_precision_and_who_computes_are_read_from_the_file(made):
    for precision, bundle in made.items():
        assert bundle.verify["verdict"] == "pass"
        found = contents_of(bundle.entry_path)
        assert set(found.arithmetic) == {precision}
        assert found.weights[precision] > 0
        assert found.metadata["edgesdk.model"] == "net"
        assert bundle.build["effective"]["arithmetic"] == dict(found.arithmetic)
        with edgesdk.load(bundle) as session:
            placed = session.placement()
        assert placed["xnnpack"] > 0


@pytest.mark.slow
def test_more_items_than_its_memory_holds_are_run_in_turns(made):
    images = np.random.default_rng(0).random((150, 3, 32, 32), np.float32)
    with edgesdk.load(made["fp32"]) as session:
        together = session.run({"image": images})["output"]
        parts = [session.run({"image": images[i : i + 1]})["output"] for i in (0, 64, 149)]
    assert together.shape == (150, 12)
    assert np.abs(np.concatenate(parts) - together[[0, 64, 149]]).max() < 1e-5


@pytest.mark.slow
def test_a_session_outlives_a_change_of_the_pool_of_threads(made):
    images = np.random.default_rng(0).random((4, 3, 32, 32), np.float32)
    with edgesdk.load(made["fp32"], threads=1) as one:
        want = one.run({"image": images})["output"]
        for threads in (2, 1, 2):
            with edgesdk.load(made["fp32"], threads=threads) as other:
                assert np.allclose(other.run({"image": images})["output"], want, atol=1e-5)
            assert np.allclose(one.run({"image": images})["output"], want, atol=1e-5)
