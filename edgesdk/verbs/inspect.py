"""Describe any file or folder that edgesdk makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import MANIFEST, read_bundle, read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import canonical, exists, read_json, sha256_bytes, sha256_file
from edgesdk.core.shipped import shipped, shipped_bundle
from edgesdk.core.verify import proof_words
from edgesdk.verbs._describe import described
from edgesdk.verbs._verb import Verb


def inspect(path: Path | str, *, write_toml: bool = False) -> dict[str, Any]:
    """Describe a bundle, checkpoint, result file, model file, Android app or library.

    Args:
        path: What to look at; a shipped name or a run's is allowed. A model file is .onnx, .pt2,
            .tflite, .mlpackage, .pte, OpenVINO's .xml, or an engine. An APK or AAR is checked:
            page size and ABI of its libraries, how its models lie, whether it works offline,
            signature, size.
        write_toml: Write a first model.toml beside an ONNX file or a .pt2, to be edited.

    Returns:
        Plain data: kind, hashes, inputs, pre-processing, licence, verdict; of an app also
        "findings", rows of rule, level, where, found, advice.

    Raises:
        UsageError: it is none of these.
    """
    place = _placed(Path(path))
    found = next((about for look in LOOKS if (about := look(place)) is not None), None)
    if found is None:
        raise UsageError(
            f"{path} is no bundle, checkpoint, model file, result, APK or AAR; "
            "see: edgesdk inspect --help"
        )
    if write_toml:
        if place.suffix.lower() not in (".onnx", ".pt2"):
            raise UsageError(f"--write-toml is for an ONNX file or a .pt2, {path} is none")
        from edgesdk_export._toml import write_toml as write

        found["toml"] = str(write(place, found["inputs"]))
    return found


def _placed(path: Path) -> Path:
    if not exists(path) and str(path) in shipped():
        return shipped_bundle(str(path))
    if not exists(path) and exists(Path("runs") / path / "checkpoint"):
        return Path("runs") / path
    if not exists(path):
        raise UsageError(f"{path} does not exist; give a bundle, checkpoint, result or model file")
    return path


def _bundle(path: Path) -> dict[str, Any] | None:
    if not (path / MANIFEST).is_file():
        return None
    bundle = read_bundle(path, allow_rejected=True)
    about = {"kind": "bundle", "path": str(path), "sha256": bundle.sha256, "bytes": bundle.bytes}
    proof = proof_words(bundle.verify["verdict"], bundle.verify["level"])
    return {**about, "proof": proof, **bundle.to_json()}


def _checkpoint(path: Path) -> dict[str, Any] | None:
    for folder in (path, path / "checkpoint"):
        if (folder / "meta.json").is_file():
            read_checkpoint(folder)
            about = {"kind": "checkpoint", "path": str(folder)}
            return {**about, **read_json(folder / "meta.json", "")}
    return None


def _app(path: Path) -> dict[str, Any] | None:
    if path.suffix.lower() not in (".apk", ".aar"):
        return None
    from edgesdk.apk import inspect_apk

    return {"kind": "apk", **_file(path), **inspect_apk(path)}


def _result(path: Path) -> dict[str, Any] | None:
    data = read_json(path, "file") if path.suffix == ".json" else None
    if not isinstance(data, dict) or "schema_version" not in data:
        return None
    return {"kind": "result", **_file(path), **data}


def _model(path: Path) -> dict[str, Any] | None:
    """Describe a model file by what is in it."""
    if path.suffix.lower() == ".pt2":
        return _program(path)
    from edgesdk_export._contents import contents_of

    found = contents_of(path)
    if found is None:
        return None
    about = {f.name: getattr(found, f.name) for f in fields(found)}
    return {"kind": about.pop("kind"), **_file(path), **about}


def _program(path: Path) -> dict[str, Any]:
    from edgesdk_export._source import source_of
    from edgesdk_export.sources.torch_program import TorchProgramSource

    source = source_of(TorchProgramSource(path))
    inputs, outputs = ([_row(s.to_json()) for s in side] for side in source.specs())
    return {"kind": "torch-program", **_file(path), "inputs": inputs, "outputs": outputs}


def _row(spec: Mapping[str, Any]) -> dict[str, Any]:
    shape = ["N" if size is None else size for size in spec["shape"]]
    return {"name": spec["name"], "shape": shape, "type": spec["dtype"]}


LOOKS = (_bundle, _checkpoint, _app, _result, _model)


def _file(path: Path) -> dict[str, Any]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        hashes = {p.relative_to(path).as_posix(): sha256_file(p) for p in files}
        return {
            "path": str(path),
            "sha256": sha256_bytes(canonical(hashes)),
            "bytes": sum(p.stat().st_size for p in files),
        }
    return {"path": str(path), "sha256": sha256_file(path), "bytes": path.stat().st_size}


def exit_code(data: Mapping[str, Any]) -> int:
    """Return 4 where an app breaks a rule that stores enforce."""
    return 4 if any(row["level"] == "error" for row in data.get("findings", ())) else 0


PLUGIN = Verb(inspect, described, place=9, exit_code=exit_code)
