"""Draw the pictures of docs/browser.md: both pages at the size of a phone, in headless Chromium.

    python tools/browser_pictures.py

What they show was measured on the machine that draws them, and on no phone.
"""

import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from camera import camera_flags, photo_frame, write_clip
from chromium import Chromium, visit

import edgesdk
from edgesdk.core.bundle import read_bundle, seal

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
# Where YuNet finds eyes, nose and mouth in examples/astronaut.jpg.
POINTS = np.array([[200.2, 101.7], [246.9, 102.4], [220.0, 124.4], [199.1, 142.9], [239.7, 143.7]])
WIDTH = 585  # of a picture in the docs: one and a half pixels per pixel of the page


def keep(browser: Chromium, name: str) -> None:
    """Save what the page shows as a small PNG."""
    from PIL import Image

    path = IMAGES / f"browser-{name}.png"
    browser.picture(path)
    picture = Image.open(path).convert("RGB")
    size = (WIDTH, round(WIDTH * picture.height / picture.width))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    small.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, path.stat().st_size)


def bench(browser: Chromium, link: str) -> None:
    """Start, running and result."""
    browser.phone()
    browser.open(link)
    browser.until("!document.getElementById('plan').hidden")
    keep(browser, "start")
    browser.value("document.getElementById('start').click()")
    browser.until("document.getElementById('step').textContent.startsWith('measuring')")
    browser.until("document.getElementById('bar').value > 0.4")
    browser.phone(dark=True)
    keep(browser, "running")
    browser.state("done", "failed")
    browser.phone()
    keep(browser, "result")


def failure(browser: Chromium, link: str) -> None:
    """A bundle whose manifest swaps red and blue."""
    browser.phone(dark=True)
    browser.open(f"{link}&start")
    browser.state("failed")
    keep(browser, "failure")


def live(browser: Chromium, link: str) -> None:
    """Somebody recognised."""
    browser.phone()
    browser.open(f"{link}&start")
    browser.state("live")
    browser.until("document.getElementById('rate').textContent !== '0'")
    browser.value(
        "document.getElementById('who').value = 'Astronaut';"
        "document.getElementById('enrol').requestSubmit()"
    )
    browser.until("document.getElementById('level').classList.contains('known')")
    time.sleep(2)
    keep(browser, "live")


def swapped(folder: Path) -> Path:
    """Return a bundle that says BGR where the golden vectors are RGB."""
    import shutil
    from dataclasses import replace

    from edgesdk.core.shipped import shipped_bundle

    found = read_bundle(shipped_bundle("bridge-face"))
    shutil.copytree(found.path, folder)
    how = {name: replace(p, color="BGR") for name, p in found.preprocess.items()}
    return seal(replace(found, path=folder, preprocess=how)).path


def main() -> int:
    """Draw all pictures."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        int8 = edgesdk.export("bridge-face", target="onnx", precision="int8", output_dir=folder)
        words = ["--device", "browser", "-o", folder / "out", "--quiet"]
        visit(["bench", "bridge-face", int8.path, *words], bench)
        visit(["bench", swapped(folder / "swapped"), *words], failure)
        photo = edgesdk.read_image(ROOT / "examples" / "astronaut.jpg")
        clip = write_clip(folder / "clip.y4m", [photo_frame(photo, POINTS)] * 2)
        words = ["run", "bridge-face", "--device", "browser"]
        visit(words, live, camera_flags(clip), signal.SIGINT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
