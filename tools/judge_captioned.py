"""Judge the shipped item-detector on real generators that it was never taught on.

    python tools/judge_captioned.py generators_dev.tar --captions flickr.tar coco.tar \\
        -o training/results/item-generators.json

Generated pictures come with prompts, photos with nothing, so both sides are captioned alike: each
picture takes the nearest of the sentences that people said of the photos of `--captions`. As in
tools/judge_detectors.py, a generator stands against its own photos where there are such.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk.captions import Tokenizer, captions_inside
from edgesdk.core import plugins
from edgesdk.core.bundle import Checkpoint
from edgesdk.core.files import write_json
from edgesdk.core.shipped import open_checkpoint
from edgesdk.own_encoders import packed
from edgesdk.picture_sets import Pictures
from edgesdk_training.compact_space import FOUND, SEEN, Photos, features
from tools.command import told
from tools.judge_detectors import generators

Array = NDArray[Any]


def sentences(places: Sequence[Path]) -> list[str]:
    """Return all that is said of the photos of some sets, each sentence once."""
    sets = [Pictures(place) for place in places]
    said = [
        s for one in sets for told in [captions_inside(one)] for n in one.names for s in told.of(n)
    ]
    return list(dict.fromkeys(said))


def scorer(checkpoint: Checkpoint, bank: Sequence[str]) -> Callable[[Sequence[Array]], Array]:
    """Return what tells logits of pictures, each with the nearest sentence of the bank."""
    import torch

    student = plugins.load(plugins.STUDENTS, checkpoint.student)
    config = student.config(**checkpoint.student_config)
    net, preprocess = student.load(checkpoint), student.preprocess(config)["image"]
    tokenizer = Tokenizer(str(checkpoint.postprocess["vocabulary"]).split(), config.length)

    def score(pictures: Sequence[Array]) -> Array:
        with torch.inference_mode():
            parts = [pictures[i : i + SEEN] for i in range(0, len(pictures), SEEN)]
            maps = torch.cat([net.backbone(torch.from_numpy(preprocess(p))) for p in parts])
            names = [str(number) for number in range(len(pictures))]
            photos = Photos(names, [[""]] * len(names), np.zeros(len(names), bool), maps)
            seen = features(net, tokenizer, photos, bank, "", config.objects)
            rows = {key: array[seen.told == FOUND] for key, array in seen.arrays.items()}
            return np.asarray(net.head(torch.from_numpy(packed(rows)))[:, 0].double().numpy())

    return score


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, help="set of real generators and photos")
    parser.add_argument("--captions", type=Path, nargs="+", required=True, help="captioned photos")
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON to write")
    asked = parser.parse_args()
    checkpoint = open_checkpoint("item-detector")
    bank = sentences(asked.captions)
    about = {"item": {"threshold": checkpoint.thresholds["generated"]["value"]}}
    found = generators({"item": scorer(checkpoint, bank)}, asked.pictures, about, 10**9)["item"]
    write_json(
        asked.out,
        {
            "command": "python tools/judge_captioned.py",
            "weights_sha256": checkpoint.weights_sha256,
            "captions": f"the nearest of {len(bank):,} sentences, for both sides",
            "generators": found,
        },
    )
    print(found["all"])


if __name__ == "__main__":
    told(main)
