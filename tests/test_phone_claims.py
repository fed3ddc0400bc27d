"""No figure of a phone stands in the docs that no phone gave.

A number of faces per second beside a word for a phone is allowed only in a paragraph that links
to a committed result of a real one: device.kind android, not emulated, native.
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WHERE = (
    "*.md", "docs/**/*.md", "android_demo/*.md", "training/*.md", "benchmarks/**/*.md",
    "benchmarks/**/*.html", "examples/**/*.md", "examples/**/*.txt",
)  # fmt: skip
PAGES = sorted({p for pattern in WHERE for p in ROOT.glob(pattern)})
RATE = r"(?:faces|frames|images|pictures|inferences|crops)\s*(?:/|per)\s*s(?:econd)?\b|\bfps\b"
FIGURE = re.compile(rf"\d[\d.,]*\s*(?:k\s*)?(?:{RATE})", re.I)
PHONE = re.compile(
    r"\b(phones?|smartphones?|handsets?|android|ios|iphones?|ipads?|pixel|galaxy|snapdragon|adreno|"
    r"dimensity|exynos|kirin|mediatek|tensor g\d|qualcomm|helio|bionic|a1\d chip|soc)\b",
    re.I,
)


def unproven(text: str, folder: Path) -> list[str]:
    """Return the paragraphs and table rows that claim a phone's speed without its result."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        is_table = sum(line.lstrip().startswith("|") for line in lines) > 2
        head = lines[0] if is_table else ""
        for part in lines[2:] if is_table else [block]:
            flat = " ".join(part.split())
            # In a table the unit may stand in the head, beside a number in the row.
            counted = FIGURE.search(flat) or (
                re.search(RATE, head, re.I) and re.search(r"\|\s*[\d.,]*\d", flat)
            )
            if counted and PHONE.search(flat) and not _proven(flat, folder):
                found.append(flat)
    return found


def _proven(text: str, folder: Path) -> bool:
    for link in re.findall(r"\]\(([^)\s]+\.json)\)", text):
        path = (folder / link).resolve()
        try:
            data = json.loads(path.read_text())
            device, runtime = data["device"], data["runtime"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        real = device.get("kind") in ("android", "ios") and device.get("emulated") is False
        if real and runtime.get("native") is True:
            return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_page_claims_a_phones_speed(page):
    assert unproven(page.read_text(), page.parent) == []


def test_the_pages_were_found():
    assert {"README.md", "docs/cli.md", "android_demo/README.md"} <= {
        p.relative_to(ROOT).as_posix() for p in PAGES
    }


@pytest.mark.parametrize(
    "text",
    [
        "It reaches 763 faces/s on a phone.",
        "A Pixel 8 gives 1,200 faces per second.",
        "Snapdragon 8 Gen 3: 30 fps",
        "763\nfaces/s\non Android",
        "| device | faces/s |\n|---|---|\n| Pixel 8 | 763 |",
        "| device | speed |\n|---|---|\n| iPhone 15 | 763 faces/s |",
        "On a phone: 763 faces/s, see [the result](missing.json).",
    ],
)
def test_a_claim_is_found(tmp_path, text):
    assert len(unproven(f"First words.\n\n{text}\n\nLast words.", tmp_path)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The host does 763 faces/s.\n\nNothing was measured on a phone.",
        "| device | faces/s |\n|---|---|\n| host | 763 |\n\nAndroid: not measured.",
        "Android 8 has API level 26, and faces/s are told by the app.",
    ],
)
def test_what_claims_nothing_passes(tmp_path, text):
    assert unproven(text, tmp_path) == []


@pytest.mark.parametrize(
    ("device", "runtime", "allowed"),
    [
        ({"kind": "android", "emulated": False}, {"native": True}, True),
        ({"kind": "android", "emulated": True}, {"native": True}, False),
        ({"kind": "android"}, {"native": True}, False),
        ({"kind": "android", "emulated": False}, {"native": False}, False),
        ({"kind": "browser", "emulated": False}, {"native": False}, False),
        ({"kind": "host", "emulated": False}, {"native": True}, False),
    ],
)
def test_only_a_real_phones_result_allows_it(tmp_path, device, runtime, allowed):
    (tmp_path / "r.json").write_text(json.dumps({"device": device, "runtime": runtime}))
    text = "A phone does 763 faces/s, see [the result](r.json)."
    assert (unproven(text, tmp_path) == []) == allowed
