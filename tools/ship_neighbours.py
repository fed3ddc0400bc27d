"""Put what draws neighbours into the zoo, with how well it draws pictures held out.

python tools/ship_neighbours.py runs/relabel-neighbours-12345678 ...
"""

import argparse
from pathlib import Path

from tools.command import told
from tools.zoo import checkpoint_of, put

LICENCE = """Licence of the weights in this folder

These weights were trained by the edgesdk project on pictures that allow research ({data}).
Where these forbid commercial use, or until that is cleared, treat the weights as bound by the
strictest term of their data: research and evaluation only.

No picture of these sets is part of this repository. The code of edgesdk has its own licence,
Apache-2.0. This text is no legal advice.
"""


def ship(run: Path) -> None:
    """Write the zoo's checkpoint and bundle of one run."""
    source = checkpoint_of(run)
    put(source, LICENCE.format(data=source.provenance["data"]))
    print(source.model, dict(source.metrics))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    for run in parser.parse_args().runs:
        ship(run)


if __name__ == "__main__":
    told(main)
