"""Draw the picture of a report that the README shows, in headless Chromium.

    make report-picture       # runs the demo first, then: python tools/report_picture.py

What it shows was measured on the machine that ran the demo.
"""

import argparse
from pathlib import Path

from chromium import Chromium
from command import told

from edgesdk.core.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
# The first section of the page, a head of the second: that more follows is seen.
WIDTH, HEIGHT = 1200, 1340


def draw(page: Path, picture: Path) -> None:
    """Save the top of a page as a small PNG."""
    from PIL import Image

    if not page.is_file():
        raise UsageError(f"report {page} does not exist; make it with: make demo")
    with Chromium() as browser:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        browser.open(page.resolve().as_uri())
        browser.picture(picture)
    seen = Image.open(picture).convert("RGB")
    seen.quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


def main() -> None:
    """Draw one picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", type=Path, default=ROOT / "reports/demo/report.html")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/images/report.png")
    words = parser.parse_args()
    draw(words.page, words.output)
    print(words.output, words.output.stat().st_size)


if __name__ == "__main__":
    told(main)
