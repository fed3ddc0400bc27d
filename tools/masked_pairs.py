"""Write pairs of aligned faces, one of each pair behind a pasted mask, as a set to judge on.

    python tools/masked_pairs.py lfw.tar --masks mask_templates.tar --most 400 -o masked_pairs.tar
    python tools/exported_accuracy.py masked-face --data masked_pairs.tar

Every second pair stays bare. The column `stratum` tells which are which, so that the gate and the
card split them.
"""

import argparse
from pathlib import Path

from edgesdk.core.files import write_atomic
from edgesdk.pairs import PairSet, read_pairs
from edgesdk_training.occluders import Bank, draw_bank, read_templates
from tools.command import told
from tools.drawn_pairs import packed
from tools.face_pack import encoded
from tools.masked_faces import MASKS, SEED, SIDE, chosen, crops, masked

HEAD = "same,path_a,path_b,fold,stratum"


def written(pairs: PairSet, bank: Bank) -> dict[str, bytes]:
    """Return name -> content of every file of the set."""
    bare = crops(pairs, photos=False)
    behind = masked(bare, bank, SEED)
    files, lines = {}, [HEAD]
    for number, (a, b) in enumerate(pairs.pairs.T):
        hide = number % 2 == 1
        names = [f"bare/{a:05d}.jpg", f"{'masked' if hide else 'bare'}/{b:05d}.jpg"]
        pictures = bare[a], (behind if hide else bare)[b]
        files |= {name: encoded(face) for name, face in zip(names, pictures, strict=True)}
        kind = "one masked" if hide else "bare"
        lines.append(f"{int(pairs.same[number])},{','.join(names)},{pairs.fold[number]},{kind}")
    return {"pairs.csv": ("\n".join(lines) + "\n").encode(), **dict(sorted(files.items()))}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", help="aligned faces with pairs.txt")
    parser.add_argument("--masks", required=True, help="mask templates")
    parser.add_argument("--most", type=int, default=0, help="pairs at most, 0 for all")
    parser.add_argument("-o", "--out", type=Path, required=True)
    asked = parser.parse_args()
    pairs = chosen(read_pairs(asked.pairs), asked.most)
    bank = draw_bank(read_templates(asked.masks), SIDE, MASKS, SEED, plain=0.0)
    write_atomic(asked.out, packed(written(pairs, bank)))
    print(f"{asked.out}: {len(pairs)} pairs")


if __name__ == "__main__":
    told(main)
