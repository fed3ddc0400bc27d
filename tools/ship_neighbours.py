"""Put what draws neighbours into the zoo, with how well it draws pictures held out.

python tools/ship_neighbours.py runs/relabel-neighbours-12345678 ...
"""

import argparse
import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import edgesdk
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.files import write_atomic
from edgesdk.core.shipped import shipped_bundle, shipped_checkpoint, zoo
from edgesdk.core.stages import publish, staging
from tools.command import told

LICENCE = """Licence of the weights in this folder

These weights were trained by the edgesdk project on pictures that allow research ({data}).
Where these forbid commercial use, or until that is cleared, treat the weights as bound by the
strictest term of their data: research and evaluation only.

No picture of these sets is part of this repository. The code of edgesdk has its own licence,
Apache-2.0. This text is no legal advice.
"""


def ship(run: Path) -> None:
    """Write the zoo's checkpoint and bundle of one run."""
    source = read_checkpoint(run / "checkpoint")
    home = shipped_checkpoint(source.model)
    with TemporaryDirectory() as place, staging(home) as stage:
        shutil.copyfile(source.weights_path, stage / source.weights_path.name)
        licence = LICENCE.format(data=source.provenance["data"])
        write_atomic(stage / "LICENSE.weights", licence.encode())
        replace(source, path=stage).write_meta()
        shutil.copytree(stage, Path(place) / home.name)
        # By its bare name, for the card tells what was asked.
        with chdir(place):
            bundle = edgesdk.export(home.name, target="onnx", output_dir=zoo(), force=True)
        assert bundle.path == shipped_bundle(source.model), bundle.path
        publish(stage, home)
    print(home.name, dict(source.metrics))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    for run in parser.parse_args().runs:
        ship(run)


if __name__ == "__main__":
    told(main)
