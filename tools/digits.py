"""Write scikit-learn's digits (8 x 8, UCI, CC BY 4.0) with noise, as `--data clients=` reads them.

pip install scikit-learn
python tools/digits.py --noise 0.25 -o digits25.npz
"""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--noise", type=float, default=0.25, help="deviation, white is 1")
    options.add_argument("-o", "--output", type=Path, required=True)
    asked = options.parse_args()
    from sklearn.datasets import load_digits

    digits = load_digits()
    noise = np.random.default_rng(0).normal(0, asked.noise, digits.images.shape)
    pictures = ((digits.images / 16 + noise).clip(0, 1) * 255).round().astype(np.uint8)
    np.savez_compressed(asked.output, x_train=pictures, y_train=digits.target.astype(np.uint8))


if __name__ == "__main__":
    main()
