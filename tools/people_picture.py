"""Draw docs/images/people.png: who `edgesdk gallery search` finds on a made group photo.

    python tools/people_picture.py

The photo holds the official portrait of the astronaut Eileen Collins (NASA, public domain) upright,
small and leaning, and drawn faces that are nobody's. The gallery is built from the portrait alone,
mirrored and of another brightness, so that no pixel is compared with itself.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

import edgesdk
from edgesdk.core.samples import synthetic_faces

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs/images/people.png"
WIDE, HIGH = 960, 430
# Side, left, top and turn in degrees of each portrait; side, left and top of each drawn face.
PORTRAITS = ((380, 20, 30, 0), (190, 420, 50, 0), (240, 640, 20, 20))
DRAWN = ((100, 440, 280), (120, 590, 285), (90, 780, 300))
COLOURS = {"nobody": (170, 90, 30), "undecided": (120, 120, 120)}
KNOWN = (20, 120, 60)


def photo() -> Image.Image:
    """Return the group photo."""
    page = Image.new("RGB", (WIDE, HIGH), (214, 220, 226))
    portrait = Image.open(ROOT / "examples/astronaut.jpg").convert("RGB")
    for side, left, top, turn in PORTRAITS:
        small = portrait.resize((side, side), Image.Resampling.LANCZOS)
        form = Image.new("L", small.size, 255)
        turned, form = (p.rotate(turn, Image.Resampling.BICUBIC) for p in (small, form))
        page.paste(turned, (left, top), form)
    for (side, left, top), face in zip(DRAWN, synthetic_faces(3, 1, 112), strict=True):
        page.paste(
            Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS), (left, top)
        )
    return page


def enrolled() -> Image.Image:
    """Return the portrait that the gallery is built from."""
    portrait = ImageOps.mirror(Image.open(ROOT / "examples/astronaut.jpg").convert("RGB"))
    return ImageEnhance.Brightness(portrait).enhance(0.8)


def drawn(page: Image.Image, found: list[dict]) -> Image.Image:
    """Return the photo with a box and a name for each face."""
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(17)
    for row in found:
        x, y, width, height = row["box"]
        colour = COLOURS.get(row["said"], KNOWN)
        pen.rectangle((x, y, x + width, y + height), outline=colour, width=3)
        text = f"{row['said']} {row['similarity']:.2f}"
        box = pen.textbbox((x, y + height + 2), text, font)
        pen.rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill=colour)
        pen.text((x, y + height + 2), text, "white", font)
    return page


def main() -> None:
    """Build the gallery, search the photo, draw the picture."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "people").mkdir()
        enrolled().save(place / "people/Eileen.jpg", quality=92)
        photo().save(place / "holiday.png")
        edgesdk.gallery("build", place / "people.gallery", place / "people")
        seen = edgesdk.gallery("search", place / "people.gallery", place / "holiday.png")
    picture = drawn(photo(), seen["found"])
    picture.quantize(128, dither=Image.Dither.FLOYDSTEINBERG).save(OUT, optimize=True)
    print([(row["said"], round(row["similarity"], 3)) for row in seen["found"]])
    print(f"wrote {OUT.relative_to(ROOT)} ({OUT.stat().st_size:,} bytes)", np.shape(picture))


if __name__ == "__main__":
    main()
