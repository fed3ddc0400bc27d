"""What `edgesdk run -o` writes."""

from pathlib import Path

from edgesdk.core.errors import UsageError
from edgesdk.core.files import check_place, write_atomic
from edgesdk.core.jobs import RunJob
from edgesdk.core.tensors import Array

PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def refuse_output(job: RunJob, item: str) -> None:
    """Raise UsageError where a file was asked of a task that writes none."""
    if job.output is not None:
        raise UsageError(
            f"-o {job.output}: {job.bundle.model} gives numbers for each {item} and draws no "
            "picture; leave -o out, and use --json to keep them"
        )


def check_suffix(output: Path | None, allowed: tuple[str, ...]) -> None:
    """Refuse a file to write before any work is done.

    Raises:
        UsageError: it has another suffix, or is a folder.
        EdgeSdkError: it cannot be written where it shall lie.
    """
    if output is None:
        return
    if output.suffix.lower() not in allowed:
        raise UsageError(f"-o {output} must end in {', '.join(allowed)}")
    check_place(output)
    if output.is_dir():
        raise UsageError(f"-o {output} is a folder; give the name of a file")


def write_picture(path: Path, picture: Array) -> None:
    """Write HxWx3 uint8 RGB by the suffix of `path`, atomically."""
    import io

    from PIL import Image

    form = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format=form)
    write_atomic(path, stream.getvalue())
