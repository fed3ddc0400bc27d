"""From which share of a crop under the mask on a face counts as masked, as one committed file.

    python tools/mask_share.py --faces mfr2.tar -o benchmarks/results/mask-share.json

The set has `labels.txt` (name, number, kind of mask or no-mask), as MFR2 does; its photos are
found and aligned as users' are. edgesdk/strata.py holds the share.
"""

import argparse
import re
from pathlib import Path

import numpy as np

import edgesdk
from edgesdk.core.errors import UsageError
from edgesdk.core.files import write_json
from edgesdk.picture_sets import Pictures
from edgesdk.strata import LEAST_SHARE, SEGMENTER, mask_shares

BARE = "no-mask"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", required=True, help="folder or archive with labels.txt")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    pictures = Pictures(asked.faces)
    text = pictures.bytes(next(n for n in pictures.files if n.endswith("labels.txt"))).decode()
    rows = [re.split(r"[,\s]+", line.strip()) for line in text.splitlines() if line.strip()]
    kinds = {f"{name}_{int(n):04d}": kind for name, n, kind, *_ in rows if n.isdecimal()}
    shares: dict[bool, list[float]] = {True: [], False: []}
    with edgesdk.FacePipeline(SEGMENTER) as pipeline:
        for name in pictures.names:
            try:
                crop = pipeline.cut(pictures.read(name), aligned=False).crop
            except UsageError as error:
                print(error)
                continue
            kind = kinds.get(Path(name).stem)
            if kind:
                shares[kind != BARE].append(float(mask_shares([crop])[0]))
    masked, bare = (np.array(shares[kind]) for kind in (True, False))
    result = {
        "command": f"python tools/mask_share.py --faces {Path(asked.faces).name}",
        "segmenter": SEGMENTER,
        "least_share": LEAST_SHARE,
        "masked": len(masked),
        "masked_found": round(float((masked >= LEAST_SHARE).mean()), 4),
        "masked_quantiles": [round(float(q), 4) for q in np.quantile(masked, [0, 0.1, 0.5, 1])],
        "bare": len(bare),
        "bare_kept": round(float((bare < LEAST_SHARE).mean()), 4),
        "bare_quantiles": [round(float(q), 4) for q in np.quantile(bare, [0, 0.5, 0.9, 1])],
    }
    print(result)
    write_json(asked.output, result)


if __name__ == "__main__":
    main()
