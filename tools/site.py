"""Gather the pages of the web site: all Markdown of the repository and what it links to.

The pages keep their places, so that every relative link means the same on the site. A folder
that a page links to gets a page that lists it.
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "build" / "site-source"
PAGES = ("*.md", "docs/**/*.md", "training/*.md", "android_demo/*.md")
LINK = re.compile(r'\]\(([^)#:\s]+)[^)]*\)|src="([^":]+)"')


def pages() -> list[Path]:
    """Return the pages, relative to the root."""
    return sorted(p.relative_to(ROOT) for pattern in PAGES for p in ROOT.glob(pattern))


def targets(page: Path) -> set[Path]:
    """Return what a page links to, relative to the root; pages of other sites are left out."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.S)
    words = {one or other for one, other in LINK.findall(text)}
    found = ((ROOT / page.parent / word).resolve() for word in words)
    return {path.relative_to(ROOT) for path in found if path.exists()}


def listing(folder: Path) -> str:
    """Return a page that links to the files of a folder."""
    names = sorted(p.name for p in (ROOT / folder).iterdir() if p.is_file())
    return "\n".join([f"# {folder}", "", *(f"- [{name}]({name})" for name in names)]) + "\n"


def gather() -> None:
    """Write the source of the site anew."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    wanted = {target for page in pages() for target in targets(page)} | set(pages())
    folders = {path for path in wanted if (ROOT / path).is_dir()}
    files = {path for path in wanted if (ROOT / path).is_file()}
    for folder in folders:
        files |= {p.relative_to(ROOT) for p in (ROOT / folder).iterdir() if p.is_file()}
        if not (ROOT / folder / "README.md").exists():
            place = SOURCE / folder / "index.md"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(listing(folder), "utf-8")
    for path in files:
        (SOURCE / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, SOURCE / path)


if __name__ == "__main__":
    gather()
