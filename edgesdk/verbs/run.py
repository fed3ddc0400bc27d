"""Run a bundle: on pictures here, or live in the browser of a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.licence import require_commercial as refuse_research_only
from edgesdk.core.shipped import open_bundle
from edgesdk.verbs._text import table
from edgesdk.verbs._verb import Verb

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle


def run(
    bundle: Path | str | Bundle,
    pictures: Sequence[Path | str] = (),
    *,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    aligned: bool | None = None,
    require_commercial: bool = False,
    force: bool = False,
    lan: bool = False,
    https: bool = False,
) -> dict[str, Any]:
    """Embed the faces of pictures and compare the first one with each other one.

    Args:
        bundle: Bundle folder or shipped name.
        pictures: Picture files: whole photos or aligned face crops.
        runtime: Runtime; default: the first one of the bundle that works here.
        device: cpu, cuda:0 or auto; browser serves a live page for a camera until Ctrl-C.
        threads: Threads of the CPU.
        aligned: Pictures are aligned crops (or are not); default: small squares are.
        require_commercial: Refuse weights that may not be used commercially.
        force: Open a rejected bundle.
        lan: Serve the page of `--device browser` on the local network.
        https: Serve it through TLS, with a certificate made for this run.

    Returns:
        "faces" (embedding, box) and "comparisons" (similarity, same); live: "served".

    Raises:
        UsageError: a picture cannot be read or shows no face.
        MissingDependencyError: a whole photo needs the detector, which is not installed.
    """
    opened = open_bundle(bundle, force=force)
    if require_commercial:
        refuse_research_only(opened.licence, opened.name)
    from edgesdk_runtimes._open import runner_of

    runner = runner_of(device)
    if runner is not None:
        if pictures or runtime:
            raise UsageError(
                f"--device {device} takes its pictures from a camera and brings its own runtime; "
                "leave pictures and --runtime out"
            )
        return _live(runner, opened, device, lan, https)
    if lan or https:
        raise UsageError("--lan and --https serve a page; they need --device browser")
    from edgesdk.face import run_pictures

    return run_pictures(opened, [Path(p) for p in pictures], runtime, device, threads, aligned)


def _live(runner: str, bundle: Bundle, device: str, lan: bool, https: bool) -> dict[str, Any]:
    """Serve the live page until Ctrl-C."""
    from edgesdk.core.protocols import Reach

    plugin = plugins.load(plugins.RUNTIMES, runner)
    if not hasattr(plugin, "live"):
        raise UsageError(f"{device!r} measures only; use: edgesdk bench --device {device}")
    why = plugin.available()
    if why is not None:
        raise UnsupportedError(why)
    served: dict[str, Any] = plugin.live(bundle, device, Reach(lan=lan, https=https))
    return served


def show(data: Mapping[str, Any]) -> str:
    """Return similarities and decisions, or what was served."""
    if "served" in data:
        return f"served {data['bundle']} at {data['served']}; no picture came here"
    rows = [
        [Path(c["a"]).name, Path(c["b"]).name, f"{c['similarity']:.4f}", c["decision"]]
        for c in data["comparisons"]
    ]
    if not rows:
        face = data["faces"][0]
        values = ", ".join(f"{v:.4f}" for v in face["embedding"][:6])
        return f"{face['picture']}: embedding of {len(face['embedding'])}: [{values}, ...]"
    rule = data.get("rule")
    return table(["picture", "compared with", "similarity", "decision"], rows) + (
        f"\n{rule}" if rule else ""
    )


PLUGIN = Verb(run, show, place=6)
