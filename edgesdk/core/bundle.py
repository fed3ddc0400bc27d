"""The bundle: the one contract between exporters, runtimes, benchmark and phones.

A bundle is a folder with `bundle.json`, written last, by rename: its presence means
that the folder is complete. It lists every file with its hash, and its own.
A checkpoint is a folder with `model.safetensors` and `meta.json`.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import (
    canonical,
    clean,
    exists,
    read_json,
    sha256_bytes,
    sha256_file,
    tupled,
    write_json,
)
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.tensors import TensorSpec
from edgesdk.core.typed import MALFORMED, check_plain, check_types
from edgesdk.core.values import check_name, check_task, check_values

# History of the schema: 1, the first one.
SCHEMA_VERSION = 1
# One entry per old schema: version -> function that lifts its dictionary by one.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

MANIFEST = "bundle.json"
VERIFY = "verify.json"
BY_THE_SYSTEM = (".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An artefact ready to run, with everything needed to run and to judge it.

    Attributes:
        path: Its folder.
        model: Such as "bridge-face".
        task: Such as "face-embedding".
        target: Exporter's name.
        precision: fp32, fp16 or int8.
        format: What runtimes match on.
        entry: File or folder to open, relative to `path`.
        files: Relative path -> {"sha256", "bytes"} of every file but bundle.json.
        inputs: Input tensors as a session's caller sees them.
        outputs: Output tensors likewise.
        preprocess: By input name.
        postprocess: Such as {"kind": "embedding", "dim": 128, "normalised": true,
            "metric": "cosine"}.
        thresholds: "far_1e-2" -> {"value", "low", "high"} of the cosine.
        labels: Class names.
        runtimes: Names in order of preference.
        companions: Hashes of networks that belong with it.
        source_sha256: Hash of the weights and graph it was made from.
        recipe: Training recipe's name.
        recipe_sha256: Hash of the training settings.
        calib_sha256: Hash of the calibration arrays, None when none were used.
        commit: Source revision, "" when unknown.
        tool_versions: Every distribution that touched the file.
        licence: {"weights": …, "data": …}; "unknown" is a legal value.
        decisions: Sentences: what was chosen, and why.
        cost: parameters, macs and activation_floats of one item.
        metrics: Measured accuracy of the source: name -> value.
        build: What is needed to build or open it again.
        proxy: File that gives the same numbers where `entry` cannot run, "" for none.
        verify: {"file", "level", "verdict"}.
        profile: Device profile, None for none.
        ledger: What protects the private data behind the weights: mechanism, epsilon, queries,
            composition, protects; empty where none is told.
    """

    path: Path
    model: str
    task: str
    target: str
    precision: str
    format: str
    entry: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    preprocess: Mapping[str, Preprocess]
    postprocess: Mapping[str, Any]
    licence: Mapping[str, str]
    source_sha256: str
    verify: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    recipe: str = ""
    recipe_sha256: str = ""
    calib_sha256: str | None = None
    commit: str = ""
    tool_versions: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
    cost: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)
    proxy: str = ""
    profile: str | None = None
    ledger: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's proper name: model[-mark]-target-precision[-profile]."""
        mark = self.build.get("mark", "")
        return bundle_name(self.model, self.target, self.precision, self.profile, mark)

    @property
    def entry_path(self) -> Path:
        """Absolute path of the file or folder to open."""
        return self.path / self.entry

    @property
    def sha256(self) -> str:
        """Hash over all files: the identity of the artefact."""
        return sha256_bytes(canonical({k: v["sha256"] for k, v in self.files.items()}))

    @property
    def bytes(self) -> int:
        """Size of the file or folder to open, in bytes."""
        inside = (n for n in self.files if n == self.entry or n.startswith(self.entry + "/"))
        return sum(int(self.files[n]["bytes"]) for n in inside)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest without its own hash."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "path"}
        data |= {k: [s.to_json() for s in data[k]] for k in ("inputs", "outputs")}
        data["preprocess"] = {k: p.to_json() for k, p in self.preprocess.items()}
        return {"schema_version": SCHEMA_VERSION, **data}


def bundle_name(
    model: str, target: str, precision: str, profile: str | None = None, mark: str = ""
) -> str:
    """Return the folder name of a bundle; a mark tells a model from another of the same name."""
    return "-".join(filter(None, [model, mark, target, precision, profile]))


def list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return relative path -> {"sha256", "bytes"} of every file below `folder`."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    return {
        p.relative_to(folder).as_posix(): {"sha256": sha256_file(p), "bytes": p.stat().st_size}
        for p in paths
    }


def seal(bundle: Bundle) -> Bundle:
    """Hash the files below `bundle.path` and write its bundle.json.

    Returns:
        The bundle with `files` filled in.
    """
    sealed = replace(bundle, files=list_files(bundle.path))
    manifest = sealed.to_json()
    text = canonical(json.loads(json.dumps(clean(manifest))))
    write_json(bundle.path / MANIFEST, {**manifest, "manifest_sha256": sha256_bytes(text)})
    return sealed


def read_bundle(path: Path | str, *, allow_rejected: bool = False) -> Bundle:
    """Open a bundle folder and check every hash.

    Raises:
        UsageError: it is no bundle, half-written, or of an unknown schema.
        EdgeSdkError: it was rejected, or a file is missing or altered.
    """
    folder = Path(path)
    if not exists(folder) or not folder.is_dir():
        raise UsageError(f"bundle {folder} is not a folder; make one with: edgesdk export")
    if folder.name.endswith(".rejected") and not allow_rejected:
        raise EdgeSdkError(
            f"bundle {folder} was rejected by its verification, see {folder / VERIFY}; "
            "export it again, or look at what it does with: edgesdk run --force"
        )
    if not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} holds no {MANIFEST}: it is no bundle, or was never finished; "
            "make it with: edgesdk export"
        )
    data = read_json(folder / MANIFEST, "manifest")
    bundle = parse_manifest(data, folder)
    _check_files(bundle)
    return bundle


def refuse_foreign(folder: Path) -> None:
    """Raise UsageError where `folder` exists and holds what no export wrote: it would be lost."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is no folder of edgesdk; choose another place with -o")
    if not folder.exists():
        return
    try:
        known = {MANIFEST, *json.loads((folder / MANIFEST).read_text("utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        known = set()
    paths = (p for p in folder.rglob("*") if not p.is_dir() and p.name not in BY_THE_SYSTEM)
    foreign = sorted({p.relative_to(folder).as_posix() for p in paths} - known)
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise UsageError(
            f"{folder} holds files that edgesdk did not write ({shown}); move them away, or "
            "choose another place with -o"
        )


def parse_manifest(data: Any, folder: Path) -> Bundle:
    """Return the bundle that the manifest `data` describes, without looking at its files."""
    if not isinstance(data, dict) or not isinstance(data.get("schema_version"), int):
        raise UsageError(f"{folder / MANIFEST} is no bundle manifest; export it again")
    version = data["schema_version"]
    if version > SCHEMA_VERSION or version < 1:
        raise UsageError(
            f"{folder / MANIFEST} has schema {version}, this edgesdk reads up to "
            f"{SCHEMA_VERSION}; upgrade with: pip install -U edgesdk"
        )
    recorded = data.pop("manifest_sha256", None)
    try:
        found = sha256_bytes(canonical(data))
    except (ValueError, RecursionError):  # Python's JSON reads Infinity, which no manifest holds
        found = ""
    if recorded != found:
        raise EdgeSdkError(f"{folder / MANIFEST} was altered after the export; export it again")
    while version < SCHEMA_VERSION:
        data, version = MIGRATIONS[version](data), version + 1
    return _bundle_from(data, folder)


def _bundle_from(data: dict[str, Any], folder: Path) -> Bundle:
    data.pop("schema_version")
    try:
        check_plain(data)
        values = tupled(data)
        for key in ("inputs", "outputs"):
            values[key] = tuple(TensorSpec.from_json(s) for s in data[key])
        values["preprocess"] = {k: Preprocess.from_json(p) for k, p in data["preprocess"].items()}
        bundle = Bundle(path=folder, **values)
        check_types(bundle)
        check_values(bundle)
        return bundle
    except MALFORMED as error:
        raise UsageError(
            f"{folder / MANIFEST} lacks or has unknown fields ({error}); export it again"
        ) from None


def _check_files(bundle: Bundle) -> None:
    for name, entry in bundle.files.items():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name:
            raise UsageError(f"bundle {bundle.path} lists a file outside itself: {name!r}")
        path = bundle.path / name
        if not os.path.isfile(path):
            raise EdgeSdkError(f"bundle {bundle.path} lacks its file {name}; export it again")
        found = sha256_file(path)
        if found != entry["sha256"]:
            raise EdgeSdkError(
                f"{path} was altered: expected SHA-256 {entry['sha256']}, found {found}; "
                "export it again or restore the file"
            )
    if not any(n == bundle.entry or n.startswith(bundle.entry + "/") for n in bundle.files):
        raise UsageError(f"bundle {bundle.path} names an entry it does not hold: {bundle.entry!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Trained weights: a folder with model.safetensors (BatchNorm folded) and meta.json.

    Attributes:
        path: Its folder.
        model: Name of the bundle made from it, such as "bridge-face".
        student: Student plug-in that rebuilds the network.
        student_config: Fields of the student's config.
        task: Such as "face-embedding".
        preprocess: By input name.
        postprocess: As in Bundle.
        labels: Class names.
        thresholds: As in Bundle.
        metrics: Measured values, each from a committed command.
        cost: parameters, macs and activation_floats of one item.
        provenance: recipe, recipe_sha256, teacher, data, seed, commit.
        licence: {"weights": …, "data": …}.
        weights_sha256: Hash of model.safetensors; checked when it is read.
        ledger: As in Bundle.
    """

    path: Path
    model: str
    student: str
    student_config: Mapping[str, Any]
    task: str
    preprocess: Mapping[str, Preprocess]
    postprocess: Mapping[str, Any]
    licence: Mapping[str, str]
    weights_sha256: str
    labels: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, int] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights_path(self) -> Path:
        """Path of the safetensors file."""
        return self.path / "model.safetensors"

    @property
    def network_sha256(self) -> str:
        """Hash of the weights and the network they belong to: that of all bundles made of them."""
        network = [self.weights_sha256, self.student, clean(self.student_config)]
        return sha256_bytes(canonical(network))

    def config(self, student: Any) -> Any:
        """Return the configuration of the network, of the student plug-in that built it.

        Raises:
            UsageError: `student_config` is none of that student.
        """
        try:
            config = student.config(**self.student_config)
            check_types(config)
            return config
        except MALFORMED as error:
            raise UsageError(
                f"{self.path / 'meta.json'} holds no configuration of the student "
                f"{self.student!r} ({error}); train again"
            ) from None

    def write_meta(self) -> None:
        """Write meta.json; the weights must lie there already."""
        data = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "path"}
        data["preprocess"] = {k: p.to_json() for k, p in self.preprocess.items()}
        write_json(self.path / "meta.json", {"schema_version": 1, **data})


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Open a checkpoint folder and check the hash of its weights.

    Raises:
        UsageError: it is no checkpoint.
        EdgeSdkError: the weights were altered.
    """
    folder = Path(path)
    data = read_json(folder / "meta.json", "checkpoint")
    try:
        if data.pop("schema_version") != 1:
            raise ValueError("schema_version is not 1")
        data["preprocess"] = {k: Preprocess.from_json(p) for k, p in data["preprocess"].items()}
        checkpoint = Checkpoint(path=folder, **tupled(data))
        check_types(checkpoint)
        check_name(checkpoint.model)
        check_task(checkpoint)
    except MALFORMED as error:
        raise UsageError(
            f"{folder / 'meta.json'} is no checkpoint ({error}); train again"
        ) from None
    if not checkpoint.weights_path.is_file():
        raise UsageError(f"checkpoint {folder} lacks model.safetensors; train again")
    if sha256_file(checkpoint.weights_path) != checkpoint.weights_sha256:
        raise EdgeSdkError(f"{checkpoint.weights_path} was altered after training; train again")
    return checkpoint
