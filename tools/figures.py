"""Draw docs/images/accuracy-cost.svg from the committed accuracy result.

python tools/figures.py
"""

from pathlib import Path

from readme_tables import accuracy_rows

from edgesdk_benchmarks._plot import plot

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write the figure: every model at its own input size, what enlarges at all of these."""
    out = ROOT / "docs" / "images" / "accuracy-cost.svg"
    out.write_text(plot(accuracy_rows(), "LFW accuracy, %"))
    print(out)


if __name__ == "__main__":
    main()
