import pytest
from PIL import Image

from edgesdk.core.samples import synthetic_faces

PEOPLE = 4


@pytest.fixture
def faces(tmp_path):
    """A set of four made-up people with two pictures each, in two folds."""
    folder, lines = tmp_path / "faces", ["2\t2"]
    for number, face in enumerate(synthetic_faces(PEOPLE, seed=5, size=112)):
        (folder / f"P{number}").mkdir(parents=True)
        Image.fromarray(face).save(folder / f"P{number}/P{number}_0001.png")
        Image.fromarray(255 - (255 - face) // 8 * 7).save(folder / f"P{number}/P{number}_0002.png")
    for a, b in ((0, 1), (2, 3)):
        lines += [f"P{a}\t1\t2", f"P{b}\t1\t2", f"P{a}\t1\tP{b}\t1", f"P{a}\t2\tP{b}\t2"]
    (folder / "pairs.txt").write_text("\n".join(lines))
    return folder
