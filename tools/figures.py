"""Draw the figures of docs/images from committed results.

python tools/figures.py
"""

from pathlib import Path

import reliability
from detector_tables import result
from readme_tables import accuracy_rows

from edgesdk_benchmarks._plot import plot

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write each figure.

    Of accuracy against cost every model stands at its own input size, what enlarges at all.
    """
    images = ROOT / "docs" / "images"
    (images / "accuracy-cost.svg").write_text(plot(accuracy_rows(), "LFW accuracy, %"))
    (images / "f2c-reliability.svg").write_text(reliability.plot(result()["reliability"]))
    print(images)


if __name__ == "__main__":
    main()
