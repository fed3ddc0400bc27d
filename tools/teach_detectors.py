"""Teach f2c-detector and its rivals on one set, and each again without one group of generators.

    python tools/teach_detectors.py learn -o runs --epochs 4 --short 2
    python tools/judge_detectors.py runs/f2c-* --fakes judge --real generators_dev.tar -o f2c.json

A group holds the families that end in the same way, so that what is left out is a last stage
never seen. The most important runs come first; finished ones are taken as they are, and the
command goes on where it was interrupted. With `--apart` only the runs that leave a group out are
made, seed after seed, so that whatever there was time for is whole seeds. With `--init` one more
f2c-detector begins with those weights; it stands in a folder of its own, `begun`. With
`--one FAMILY` each is taught on that family alone instead, to be judged on all others:

    python tools/teach_detectors.py learn -o one --one ae-nearest --epochs 12
    python tools/judge_detectors.py one/f2c-* --left-out one/f2c-* --fakes judge -o one.json
    python tools/teach_detectors.py learn-draws -o apart --apart --short 1
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesdk_training._train import train
from edgesdk_training.nets.generators import FAMILIES
from tools.command import told

CLUES = ("f2c", "npr", "raw", "high-pass")
# By last stage; beginnings of the families' names.
GROUPS = {
    "resized": "ae-nearest+ae-bi+ae-residual+gan-nearest+vq-nearest+vq-gan+sr-nearest+sr-gan"
    "+latent-",
    "transposed": "ae-tconv+ae-fir+patch-4+patch-8+gan-tconv+gan-fir+vq-tconv+vq-patch",
    "shuffled": "ae-shuffle+patch-shuffle+gan-shuffle+sr-shuffle",
    "diffusion": "diffusion",
}
# Families are left out by the beginnings of their names: what another begins is never alone.
ALONE = [a for a in FAMILIES if not any(a.startswith(b) for b in FAMILIES if b != a)]


def runs(asked: argparse.Namespace) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Yield folder, seed and settings of every run, the most important first."""
    if asked.one:
        others = "+".join(name for name in FAMILIES if name != asked.one)
        for seed in range(asked.seeds):
            for clue in CLUES:
                yield asked.out, seed, {"epochs": asked.epochs, "clue": clue, "without": others}
        return
    if asked.apart:
        for seed in range(asked.seeds):
            for clue in asked.clues:
                for group in GROUPS.values():
                    settings = {"epochs": asked.short, "clue": clue, "without": group}
                    yield asked.out, seed, settings
        return
    if asked.init:
        yield asked.out / "begun", 0, {"epochs": asked.epochs, "lr": 1e-3, "init": asked.init}
    for clue in CLUES:
        yield asked.out, 0, {"epochs": asked.epochs, "clue": clue}
    for seed in range(asked.seeds):
        for clue in CLUES:
            for group in GROUPS.values():
                yield asked.out, seed, {"epochs": asked.short, "clue": clue, "without": group}
    for seed in range(1, asked.seeds):
        for clue in CLUES:
            yield asked.out, seed, {"epochs": asked.epochs, "clue": clue}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", type=Path, help="sets of tools/make_fakes.py")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs"))
    parser.add_argument("--epochs", type=int, default=11)
    parser.add_argument("--short", type=int, default=11, help="epochs where a group is left out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clues", nargs="+", choices=CLUES, default=CLUES, help="of --apart")
    parser.add_argument("--apart", action="store_true", help="only runs that leave a group out")
    parser.add_argument("--one", choices=ALONE, help="teach on this family alone, all seeds")
    parser.add_argument("--init", default="", help="weights for one more run to begin with")
    asked = parser.parse_args()
    for folder, seed, settings in runs(asked):
        images = {"images": asked.images}
        student = "npr-detector" if settings.get("clue") == "npr" else None
        result = train(
            "f2c", student=student, settings=settings, data=images, seed=seed, out=folder
        )
        print(settings, {k: round(v, 4) for k, v in result.metrics.items()}, flush=True)


if __name__ == "__main__":
    told(main)
