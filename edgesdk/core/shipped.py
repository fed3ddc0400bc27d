"""The models that come with edgesdk, and which bundle a word means."""

from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from edgesdk.core.bundle import MANIFEST, Bundle, Checkpoint, read_bundle, read_checkpoint
from edgesdk.core.errors import EdgeSdkError, UsageError, did_you_mean
from edgesdk.core.files import exists
from edgesdk.core.notes import note

SHIPPED_TARGET = "onnx-fp32"
# Where training and export leave what they make, unless told otherwise.
BUNDLES, CHECKPOINT = "bundles", "checkpoint"


def zoo() -> Path:
    """Return the folder of shipped models."""
    return Path(str(files("edgesdk"))) / "zoo"


def shipped(task: str = "") -> list[str]:
    """Return the names of shipped models: of all, or of those of a task."""
    names = sorted(p.parent.name for p in zoo().glob("*/meta.json"))
    return [n for n in names if not task or read_checkpoint(zoo() / n).task == task]


def shipped_checkpoint(name: str) -> Path:
    """Return the checkpoint folder of a shipped model."""
    return zoo() / name


def shipped_bundle(name: str) -> Path:
    """Return the ONNX bundle folder of a shipped model."""
    return zoo() / f"{name}-{SHIPPED_TARGET}"


def open_checkpoint(checkpoint: Path | str) -> Checkpoint:
    """Return the checkpoint in a folder, or the shipped one of that name.

    Raises:
        UsageError: there is neither.
    """
    path = Path(checkpoint)
    if exists(path):
        return read_checkpoint(path)
    if str(checkpoint) in shipped():
        return read_checkpoint(shipped_checkpoint(str(checkpoint)))
    raise UsageError(
        f"checkpoint {checkpoint} does not exist and no shipped model has that name. "
        f"{did_you_mean(str(checkpoint), shipped())}"
    )


def _bundle_of_run(run: Path) -> Bundle:
    """Return the bundle in `bundles/` that was made of a run: of several, that for ONNX Runtime."""
    wanted = read_checkpoint(run / CHECKPOINT).network_sha256
    found = []
    for manifest in sorted(Path(BUNDLES).glob(f"*/{MANIFEST}")):
        with suppress(EdgeSdkError):
            found.append(read_bundle(manifest.parent))
    made = [bundle for bundle in found if bundle.source_sha256 == wanted]
    if not made:
        raise UsageError(
            f"run {run.name} has no bundle in {BUNDLES}/ yet; make one with: "
            f"edgesdk export {run.name} --target onnx"
        )
    chosen = next((b for b in made if b.name.endswith(SHIPPED_TARGET)), made[0])
    note(f"bundle {chosen.path}: made of the run {run.name}")
    return chosen


def open_bundle(bundle: Path | str | Bundle, force: bool = False) -> Bundle:
    """Return the bundle behind a path, a shipped name or the name of a training run.

    Raises:
        UsageError: there is neither such a folder nor such a name, or the run has no bundle yet.
    """
    if isinstance(bundle, Bundle):
        return bundle
    if not isinstance(bundle, str | Path):
        raise UsageError(f"a bundle is a name, a folder or a Bundle, found {bundle!r}")
    path = Path(bundle)
    run = next((r for r in (Path("runs") / path, path) if (r / CHECKPOINT).is_dir()), None)
    if run is not None and not (path / MANIFEST).is_file():
        return _bundle_of_run(run)
    if exists(path):
        return read_bundle(path, allow_rejected=force)
    if str(bundle) in shipped():
        found = read_bundle(shipped_bundle(str(bundle)))
        note(f"bundle {found.name}: the shipped one of {bundle}")
        return found
    raise UsageError(
        f"bundle {bundle} does not exist and no shipped model has that name. "
        f"{did_you_mean(str(bundle), shipped())}"
    )
