"""What hides a face: drawn and pasted, in place, told by its opacity."""

import io
import tarfile

import numpy as np
import pytest

from edgesdk.core.errors import UsageError
from edgesdk_training.occluders import DRAWN, PLACES, draw_bank, paste, read_templates

torch = pytest.importorskip("torch", reason="needs the train extra")
Image = pytest.importorskip("PIL.Image", reason="draws with Pillow")


def points(*across: int) -> str:
    rows = zip("abcdef", across, (5, 0, 5, 30, 40, 30), strict=True)
    return "\n".join(f"mask_{name}: {x}, {y}" for name, x, y in rows)


ENTRIES = {"red": points(0, 30, 60, 5, 30, 55), "red_left": points(2, 12, 60, 6, 18, 58)}


@pytest.fixture
def templates(tmp_path):
    """Return an archive of one red mask in two views, as MaskTheFace has it."""
    picture = Image.new("RGBA", (61, 41), (200, 0, 0, 255))
    content = io.BytesIO()
    picture.save(content, "PNG")
    entries = [f"[{name}]\ntemplate: masks/red.png\n{at}\n" for name, at in ENTRIES.items()]
    path = tmp_path / "masks.tar"
    with tarfile.open(path, "w") as archive:
        for name, raw in (
            ("masks/masks.cfg", "\n".join([*entries, "[empty]"]).encode()),
            ("masks/red.png", content.getvalue()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def test_templates_tell_kind_view_and_points(templates):
    found = read_templates(templates)
    assert [(t.kind, t.view) for t in found] == [("red", ""), ("red", "left")]
    assert found[0].picture.shape[2] == 4
    assert found[0].points.shape == (6, 2)


def test_a_set_without_a_list_is_refused(tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match=r"masks\.cfg"):
        read_templates(tmp_path)
    (tmp_path / "masks" / "masks.cfg").write_text("[red]\nmask_a: 1\n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_templates(tmp_path)


def test_a_template_lies_on_the_lower_face(templates):
    bank = draw_bank(read_templates(templates), 56, 8, 0, plain=0.0)
    assert set(bank.kinds) == {"red"}
    covered = (bank.layers[:, 3] > 128).float().mean(0)
    nose, forehead = PLACES[""][1], (56, 25)
    assert covered[nose[1] // 2 + 12, nose[0] // 2] == 1
    assert covered[forehead[1] // 2, forehead[0] // 2] == 0
    inside = bank.layers[:, :3, nose[1] // 2 + 12, nose[0] // 2].float().mean(0)
    assert torch.allclose(inside, torch.tensor([200.0, 0.0, 0.0]), atol=2)


def test_every_drawn_kind_hides_something_and_the_seed_decides():
    bank = draw_bank([], 32, 60, 3)
    assert set(bank.kinds) == set(DRAWN)
    part = (bank.layers[:, 3] > 128).float().mean((1, 2))
    assert (part > 0.005).all()
    assert (part < 0.7).all()
    assert torch.equal(bank.layers, draw_bank([], 32, 60, 3).layers)
    assert not torch.equal(bank.layers, draw_bank([], 32, 60, 4).layers)
    few = bank.only(lambda kind: kind == "hand")
    assert set(few.kinds) == {"hand"}
    assert len(few.layers) == bank.kinds.count("hand")


def test_pasting_changes_what_it_says_it_hides_and_nothing_else():
    faces = torch.rand(40, 3, 32, 32) * 255
    bank = draw_bank([], 32, 30, 0)
    generator = torch.Generator().manual_seed(0)
    seen, opacity = paste(faces, bank, 0.5, generator)
    untouched = opacity.expand_as(faces) == 0
    assert torch.equal(seen[untouched], faces[untouched])
    hidden = (opacity > 0).any(3).any(2).any(1)
    assert 8 < int(hidden.sum()) < 32
    assert seen.min() >= 0
    assert seen.max() <= 255
    again, _ = paste(faces, bank, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(seen, again)


def test_a_homography_meets_four_points_exactly():
    from edgesdk_training.occluders import _homography

    source = np.array([[0, 0], [10, 0], [10, 8], [0, 9]], float)
    target = np.array([[3, 4], [20, 1], [18, 25], [2, 19]], float)
    mapped = np.c_[source, np.ones(4)] @ _homography(source, target).T
    assert np.allclose(mapped[:, :2] / mapped[:, 2:], target, atol=1e-6)
