"""Export one target here, or several in one process each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk.core.licence import require_commercial as refuse_research_only
from edgesdk.core.notes import note
from edgesdk.core.source import ONNX, Told
from edgesdk.core.table import table
from edgesdk.core.target import precision_name, read_target
from edgesdk.core.verify import proof_words
from edgesdk.verbs._find import find_source
from edgesdk.verbs._verb import Progress, Verb
from edgesdk.verbs.targets import targets as target_rows

if TYPE_CHECKING:
    from edgesdk.core.bundle import Bundle

# Two converters fit into the memory of a small machine; more only fight for its cores.
AT_ONCE = 2


def export(
    model: Path | str | None = None,
    *,
    target: str,
    name: str | None = None,
    task: str | None = None,
    labels: Path | str | None = None,
    licence: str | None = None,
    samples: Path | str | None = None,
    preprocess: Sequence[str] = (),
    precision: str | None = None,
    batch: int | None = None,
    profile: str | None = None,
    calib: Path | str | None = None,
    calib_samples: int = 512,
    calib_seed: int = 0,
    strict: bool = False,
    data: Path | str | None = None,
    max_drop: float = 0.01,
    verify: bool = True,
    require_proof: bool = False,
    flush_denormals: bool = False,
    require_commercial: bool = False,
    require_precision: bool = False,
    force: bool = False,
    output_dir: Path | str = "bundles",
    progress: Progress | None = None,
) -> Bundle:
    """Export a model to a target and prove that its numbers survived.

    Args:
        model: Checkpoint, run, bundle, shipped name, or a network from outside: an ONNX file, a
            .pt2 saved by torch.export, or package.module:function; default: newest run or
            bridge-face.
        target: Target, see `edgesdk targets`; the command line takes several, joined by commas, or
            all that this machine can build.
        name: Name of a model from outside; default: that of its file.
        task: Task of a model from outside; default: tensor, of which only numbers are proven.
        labels: File with its class names, one per line.
        licence: Licence of its weights, by SPDX name.
        samples: An .npz file of real inputs, one array [N, ...] per input, by its name.
        preprocess: How a picture becomes its input: imagenet, unit, signed, pixels, or
            NAME=VALUE, such as mean=0,0,0; repeat for more. A model.toml beside it says the same.
        precision: fp32, fp16 or int8; default: the target's first one.
        batch: Fixed batch size; default: a free one.
        profile: Device profile to build for.
        calib: Real items for int8, as the task reads them; default: drawn ones.
        calib_samples: Number of calibration items.
        calib_seed: Seed that draws them.
        strict: Look at all pictures of `calib` and refuse damaged ones; default: of those chosen
            they are passed over and named.
        data: Set with the truth, as the task reads it: measures accuracy, fits thresholds.
        max_drop: Largest loss of accuracy on `data`, absolute.
        verify: Compare the artefact with its source.
        require_proof: Refuse what was proven on another file of its numbers, or not at all; the
            artefact itself in an interpreter counts, and is called so.
        flush_denormals: Take denormal weights for zero; see `edgesdk verify --audit`.
        require_commercial: Refuse weights that may not be used commercially.
        require_precision: Fail where most weights or products of the artefact are at another
            precision than the one asked for.
        force: Export again although the bundle exists.
        output_dir: Folder that holds the bundles.
        progress: Called with (done, total, label).

    Returns:
        The finished bundle.

    Raises:
        UsageError: an unknown model, target, precision or profile.
        MissingDependencyError: the target's toolchain is not installed.
        GateFailedError: the artefact differs from its source by more than allowed, or nothing
            on this machine could prove that it does not.
    """
    chosen = plugins.resolve(plugins.EXPORTERS, target)
    exporter = plugins.load(plugins.EXPORTERS, chosen)
    told = _told(name, task, labels, licence, samples, preprocess)
    source, why = find_source(model, ONNX in exporter.accepts, told)
    if require_commercial:
        refuse_research_only(source.licence, source.model)
    from edgesdk_export._pipeline import ExportOptions, export_bundle

    options = ExportOptions(
        target=chosen,
        precision=precision,
        batch=batch,
        profile=profile,
        calib=None if calib is None else Path(calib),
        calib_samples=calib_samples,
        calib_seed=calib_seed,
        strict=strict,
        data=None if data is None else Path(data),
        max_drop=max_drop,
        verify=verify,
        require_proof=require_proof,
        flush_denormals=flush_denormals,
        force=force,
        require_precision=require_precision,
        decisions=(why,),
    )
    return export_bundle(source, options, Path(output_dir), progress)


def _told(
    name: str | None,
    task: str | None,
    labels: Path | str | None,
    licence: str | None,
    samples: Path | str | None,
    preprocess: Sequence[str],
) -> Told:
    return Told(
        name=name,
        task=task,
        labels=None if labels is None else Path(labels),
        licence=licence,
        samples=None if samples is None else Path(samples),
        preprocess=tuple(preprocess),
    )


def several(words: Sequence[str], given: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Run the same command once per target, each in its own process.

    OpenMP, protobuf and abseil copies of the converters clash inside one process.

    Args:
        words: The command line.
        given: The arguments made of it.

    Returns:
        Per target "target", "exit_code" and "bundle" or "error"; None for a single target.
    """
    targets, progress = given["target"].split(","), given["progress"]
    if len(targets) == 1 and not _means_all(targets[0]):
        return None
    names = _names(targets, given["precision"])
    verb, *rest = _without_target(words)
    done: list[str] = []

    def one(name: str) -> dict[str, Any]:
        asked = ["--target", name, "--json", "--quiet"]
        command = [sys.executable, "-m", "edgesdk", verb, *asked, *rest]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        done.append(name)
        progress(len(done), len(names), "export")
        return _outcome(name, ended)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, names))


def _means_all(word: str) -> bool:
    return word.strip().lower() == "all"


def _names(targets: Sequence[str], precision: str | None) -> list[str]:
    """Return each target once; "all" stands for what this machine can build."""
    found: dict[str, None] = {}
    for word in filter(str.strip, targets):
        if _means_all(word):
            found |= dict.fromkeys(_buildable(precision))
        else:
            found[plugins.resolve(plugins.EXPORTERS, word)] = None
    if not found:
        raise UsageError("--target names no target that can be built here; see: edgesdk targets")
    return list(found)


def _buildable(precision: str | None) -> list[str]:
    """Return the targets that can be built here at a precision; tell why others are left out."""
    wanted, ready = precision and precision_name(precision), []
    for row in target_rows():
        why = row["why_not"]
        if wanted and wanted not in row["precisions"]:
            why = f"it offers {', '.join(row['precisions'])}"
        elif wanted in row["lacks"]:
            why = f"{wanted} needs {', '.join(row['lacks'][wanted])}"
        if why is None:
            ready.append(row["target"])
        else:
            note(f"target {row['target']}: left out, for {why}")
    return ready


def _without_target(words: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip or word.startswith(("--target=", "--format=")) or word in ("--json", "--quiet"):
            skip = False
        elif word in ("--target", "--format"):
            skip = True
        else:
            kept.append(word)
    return kept


def _outcome(name: str, ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        answer = json.loads(ended.stdout)
    except ValueError:
        answer = {"error": ended.stderr.strip()[-500:] or f"ended with code {ended.returncode}"}
    key = "error" if "error" in answer else "bundle"
    return {
        "target": name,
        "exit_code": ended.returncode,
        key: answer["error"] if key == "error" else answer,
    }


def show(result: Bundle | list[dict[str, Any]]) -> str:
    """Return what was made and what to type next, or one line per target."""
    if isinstance(result, list):
        return _show_several(result)
    lines = [
        f"bundle   {result.path}",
        f"file     {result.entry}, {result.bytes:,} bytes, {result.precision}",
        f"proof    {_proof(result.verify)}",
        *[f"decision {sentence}" for sentence in result.decisions],
        f"next: {_after(result)}",
    ]
    return "\n".join(lines)


def _after(bundle: Bundle) -> str:
    """Return what to type next: a speed is measured where the artefact itself runs."""
    if bundle.verify["verdict"] == "skipped":
        return f"edgesdk verify {bundle.path} --update"
    if not read_target(bundle.target, _package(bundle.target)).options.get("device", True):
        return f"edgesdk run {bundle.path} FILE"
    if bundle.verify["level"] == "proxy":
        return f"on the device it is for: edgesdk bench {bundle.path}"
    return f"edgesdk bench {bundle.path}"


def _package(target: str) -> str:
    exporter = plugins.load(plugins.EXPORTERS, target)
    return type(exporter).__module__.partition(".")[0]


def _proof(verify: Mapping[str, Any]) -> str:
    return proof_words(verify["verdict"], verify["level"])


def _show_several(rows: Sequence[Mapping[str, Any]]) -> str:
    body = []
    for row in rows:
        bundle = row.get("bundle")
        what = row["error"] if bundle is None else bundle["path"]
        verdict = f"exit {row['exit_code']}" if bundle is None else _proof(bundle["verify"])
        body.append([row["target"], verdict, what])
    return table(["target", "proof", "bundle"], body)


def exit_code(result: Bundle | list[dict[str, Any]]) -> int:
    """Return that of the first target that was not made."""
    rows = result if isinstance(result, list) else []
    return next((row["exit_code"] for row in rows if row["exit_code"]), 0)


PLUGIN = Verb(export, show, place=4, exit_code=exit_code, several=several)
