"""Describe any file or folder that edgesdk makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesdk.core.bundle import MANIFEST, read_bundle, read_checkpoint
from edgesdk.core.errors import UsageError
from edgesdk.core.files import exists, read_json, sha256_file
from edgesdk.core.shipped import shipped, shipped_bundle
from edgesdk.verbs._text import table
from edgesdk.verbs._verb import Verb


def inspect(path: Path | str) -> dict[str, Any]:
    """Describe a bundle, checkpoint, result file, model file, Android app or library.

    Args:
        path: What to look at; a shipped name is allowed. An APK or AAR is checked: page size and
            ABI of its libraries, how its models lie, whether it works offline, signature, size.

    Returns:
        Plain data: kind, hashes, inputs, pre-processing, licence, verdict; of an app also
        "findings", rows of rule, level, where, found, advice.

    Raises:
        UsageError: it is none of these.
    """
    path = Path(path)
    if not exists(path) and str(path) in shipped():
        path = shipped_bundle(str(path))
    if not exists(path):
        raise UsageError(f"{path} does not exist; give a bundle, checkpoint, result or model file")
    if (path / MANIFEST).is_file():
        bundle = read_bundle(path, allow_rejected=True)
        about = {
            "kind": "bundle",
            "path": str(path),
            "sha256": bundle.sha256,
            "bytes": bundle.bytes,
        }
        return {**about, **bundle.to_json()}
    if (path / "meta.json").is_file() or (path / "checkpoint" / "meta.json").is_file():
        folder = path if (path / "meta.json").is_file() else path / "checkpoint"
        read_checkpoint(folder)
        return {"kind": "checkpoint", "path": str(folder), **read_json(folder / "meta.json", "")}
    if path.suffix == ".onnx":
        return {"kind": "onnx", **_file(path), **_onnx(path)}
    if path.suffix.lower() in (".apk", ".aar"):
        from edgesdk.apk import inspect_apk

        return {"kind": "apk", **_file(path), **inspect_apk(path)}
    if path.suffix == ".json":
        data = read_json(path, "file")
        if isinstance(data, dict) and "schema_version" in data:
            return {"kind": "result", **_file(path), **data}
    raise UsageError(
        f"{path} is no bundle, checkpoint, ONNX file, result, APK or AAR; "
        "see: edgesdk inspect --help"
    )


def _file(path: Path) -> dict[str, Any]:
    return {"path": str(path), "sha256": sha256_file(path), "bytes": path.stat().st_size}


def _onnx(path: Path) -> dict[str, Any]:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - ONNX Runtime has one class per cause, all private
        raise UsageError(f"{path} is no ONNX file that can be opened ({error})") from None
    return {
        "inputs": [
            {"name": i.name, "shape": i.shape, "type": i.type} for i in session.get_inputs()
        ],
        "outputs": [
            {"name": o.name, "shape": o.shape, "type": o.type} for o in session.get_outputs()
        ],
        "metadata": dict(session.get_modelmeta().custom_metadata_map),
    }


def show(data: Mapping[str, Any]) -> str:
    """Return indented JSON and findings as a table; raw samples are for --json."""
    facts = {k: v for k, v in data.items() if k != "findings"}
    brief = {k: f"{len(v)} entries" if _is_long(v) else v for k, v in facts.items()}
    text = json.dumps(brief, indent=1, ensure_ascii=False, default=str)
    if not data.get("findings"):
        return text
    keys = ("level", "rule", "where", "found", "advice")
    return f"{text}\n{table(keys, [[row[k] for k in keys] for row in data['findings']])}"


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 40


def exit_code(data: Mapping[str, Any]) -> int:
    """Return 4 where an app breaks a rule that stores enforce."""
    return 4 if any(row["level"] == "error" for row in data.get("findings", ())) else 0


PLUGIN = Verb(inspect, show, place=9, exit_code=exit_code)
