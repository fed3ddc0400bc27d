"""The tool that draws a masked-face back to what its recogniser began with."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from edgesdk.core import plugins  # noqa: E402
from edgesdk.core.bundle import read_checkpoint  # noqa: E402
from edgesdk.core.errors import UsageError  # noqa: E402
from edgesdk.core.shipped import shipped_checkpoint  # noqa: E402
from edgesdk_training.checkpoint import save_checkpoint  # noqa: E402
from tools.draw_back import drawn  # noqa: E402

STUDENT = plugins.load(plugins.STUDENTS, "masked-face")


@pytest.fixture
def small(tmp_path):
    """Return a function that leaves a small masked-face of random weights."""
    config = STUDENT.config(size=32, complete=False, deep=False)

    def leave(seed):
        torch.manual_seed(seed)
        model = STUDENT.folded(STUDENT.build(config))
        folder = tmp_path / str(seed)
        folder.mkdir()
        save_checkpoint(
            folder / "checkpoint", "masked-face", STUDENT, config, model, licence={},
            provenance={"settings": {"keep": 0.0}}, metrics={"holdout_bare": 0.9, "iou": 0.8},
        )  # fmt: skip
        return read_checkpoint(folder / "checkpoint")

    return leave


@pytest.mark.parametrize("keep", [0.0, 0.25, 1.0])
def test_every_weight_lies_that_part_of_the_way_back(small, tmp_path, keep):
    learnt, first = small(1), small(2)
    drawn(learnt, first, keep, tmp_path / "drawn").write_meta()
    found = read_checkpoint(tmp_path / "drawn")
    a, b, mixed = (STUDENT.load(c).state_dict() for c in (learnt, first, found))
    assert all(torch.allclose(mixed[k], a[k].lerp(b[k], keep), atol=1e-6) for k in mixed)
    assert found.provenance["settings"]["keep"] == keep
    assert dict(found.metrics) == {"iou": 0.8}
    assert (found.weights_sha256 == learnt.weights_sha256) == (keep == 0)


def test_another_student_is_refused_in_a_sentence(small, tmp_path):
    other = read_checkpoint(shipped_checkpoint("tracker"))
    with pytest.raises(UsageError, match="is a tracker; give a masked-face"):
        drawn(small(1), other, 0.5, tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()


def test_channels_made_alike_are_not_mixed_with_others(small, tmp_path):
    alike = small(1)
    alike = replace(alike, provenance={**alike.provenance, "alike": True})
    with pytest.raises(UsageError, match=r"--set keep=0\.5"):
        drawn(alike, small(2), 0.5, tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()


def test_what_is_there_is_not_written_over(small, tmp_path):
    (tmp_path / "drawn").mkdir()
    with pytest.raises(UsageError, match="drawn is there already"):
        drawn(small(1), small(2), 0.5, tmp_path / "drawn")
