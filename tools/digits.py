"""Write scikit-learn's digits (8 x 8, UCI, CC BY 4.0) with noise, as `--data clients=` reads them.

pip install scikit-learn
python tools/digits.py --noise 0.25 -o digits25.npz
python tools/digits.py --noise 0.35 --uncut -o digits35-uncut.npz

Noise beyond black and white is cut off, which takes half of it from a dark picture; with --uncut
the greys stand for -1 to 2 in the place of 0 to 1, and hardly any is.
"""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--noise", type=float, default=0.25, help="deviation, white is 1")
    options.add_argument("--uncut", action="store_true", help="keep what is beyond black and white")
    options.add_argument("-o", "--output", type=Path, required=True)
    asked = options.parse_args()
    from sklearn.datasets import load_digits

    digits = load_digits()
    noise = np.random.default_rng(0).normal(0, asked.noise, digits.images.shape)
    seen = digits.images / 16 + noise
    greys = (seen + 1) / 3 if asked.uncut else seen
    pictures = (greys.clip(0, 1) * 255).round().astype(np.uint8)
    np.savez_compressed(asked.output, x_train=pictures, y_train=digits.target.astype(np.uint8))


if __name__ == "__main__":
    main()
