"""Every artefact that this machine can build of a checkpoint and run, judged beside it.

Each is exported by the command line in a process of its own, for the converters' libraries
clash inside one, and judged at its own size on the pairs that judge the checkpoint in torch.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.biometrics import VerificationMetrics, cosine, decided_rightly, drop_interval
from edgesdk.core.bundle import Bundle, bundle_name, read_bundle
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.shipped import open_checkpoint
from edgesdk.core.target import read_target
from edgesdk.core.tensors import Array
from edgesdk.pairs import PairSet, embed_pictures, judge, thresholds
from edgesdk_benchmarks._models import Model, bundle_model, checkpoint_model

Row = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """A model's embeddings of a pair set at its own size, and what follows from them."""

    embeddings: Array
    pairs: PairSet

    @cached_property
    def metrics(self) -> VerificationMetrics:
        """How well they tell people apart."""
        return judge(self.embeddings, self.pairs)

    @cached_property
    def right(self) -> Array:
        """Bool [N]: decided rightly at the threshold of the other folds."""
        scores = cosine(*self.embeddings[self.pairs.pairs])
        return decided_rightly(scores, self.pairs.same, self.pairs.fold)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which artefacts are asked for.

    Attributes:
        checkpoints: Folders of the models.
        targets: Targets by name.
        calib: Folder or tar of crops for int8; None for the export's default.
    """

    checkpoints: tuple[Path, ...]
    targets: tuple[str, ...]
    calib: str | None


def make_plan(names: Sequence[str], targets: Sequence[str], calib: str | None) -> Plan:
    """Check what was typed, before anything is judged.

    Args:
        names: Shipped models or checkpoint folders.
        targets: Targets by name or alias; empty for all.
        calib: Folder or tar of crops for int8; None for the export's default.

    Raises:
        UsageError: there is no such checkpoint, target or file.
    """
    if calib is not None and not Path(calib).exists():
        raise UsageError(f"--calib {calib} does not exist; give a folder or tar of face crops")
    resolved = {plugins.resolve(plugins.EXPORTERS, target) for target in targets}
    wanted = sorted(resolved) or plugins.names(plugins.EXPORTERS)
    return Plan(tuple(open_checkpoint(name).path for name in names), tuple(wanted), calib)


def judge_artefacts(
    plan: Plan, pairs: PairSet, threads: int, known: Mapping[str, Row] | None = None
) -> Iterator[Row]:
    """Yield a row per artefact: its accuracy, its own thresholds, its loss against the source.

    Args:
        plan: What is asked for.
        pairs: The faces to tell apart.
        threads: Of the CPU.
        known: Rows of the same pairs by the hash of the bundle's files. They are not judged again,
            where the checkpoint in torch is worth what it was beside them.

    Yields:
        Columns of an accuracy row without times, and "kind" (native or interpreter),
        "calib_sha256" of the crops that an int8 artefact was calibrated on,
        "thresholds" as a bundle holds them, "drop" ("points" of accuracy lost and their 95 %
        bootstrap "interval" over the same pairs). Of what cannot be built or run here: model,
        target, precision and the "reason".

    Raises:
        UnsupportedError: torch is not installed.
    """
    for path in plan.checkpoints:
        with ExitStack() as stack:
            source = checkpoint_model(str(path), threads, stack)
            before = _judged(source, pairs)
        row = _row(source, "native", before, before)
        kept = known if known and _same(known.get(row["sha256"], {}), row) else {}
        yield row
        for target in plan.targets:
            for precision in read_target(target).precisions:
                about = {"model": source.facts["model"], "target": target, "precision": precision}
                yield _one(path, about, before, plan.calib, threads, kept)


def _same(earlier: Row, row: Row) -> bool:
    return all(earlier.get(key) == row[key] for key in ("accuracy", "auc"))


def _one(
    path: Path,
    about: Row,
    before: Judged,
    calib: str | None,
    threads: int,
    known: Mapping[str, Row],
) -> Row:
    """Return the row of one artefact, or why there is none."""
    why = _why_not(about["target"])
    if why is not None:
        return {**about, "reason": why}
    with TemporaryDirectory(prefix="edgesdk-") as folder, ExitStack() as stack:
        try:
            bundle = _exported(path, about, calib, Path(folder))
            if bundle.sha256 in known:
                return known[bundle.sha256]
            model = bundle_model(bundle, None, threads, stack)
            after = _judged(model, before.pairs)
        except EdgeSdkError as error:
            return {**about, "reason": str(error).replace(f"{folder}/", "")}
    kind = plugins.load(plugins.RUNTIMES, model.facts["runtime"]).kind
    return _row(model, str(kind), before, after) | {"calib_sha256": bundle.calib_sha256}


def _why_not(target: str) -> str | None:
    """Return why artefacts of a target cannot be built or run on this machine."""
    exporter = plugins.load(plugins.EXPORTERS, target)
    why = plugins.unavailable(f"target {target!r}", exporter)
    if why is not None:
        return why
    reasons = []
    for name in read_target(target).runtimes:
        reason = plugins.load(plugins.RUNTIMES, name).available()
        if reason is None:
            return None
        reasons.append(f"runtime {name}: {reason}")
    return "; ".join(reasons) or f"no runtime of target {target!r} is known"


def _exported(path: Path, about: Row, calib: str | None, folder: Path) -> Bundle:
    """Export into `folder` in a process of its own."""
    words = [sys.executable, "-m", "edgesdk", "export", str(path), "--json", "--quiet"]
    words += ["--target", about["target"], "--precision", about["precision"]]
    words += ["--output-dir", str(folder), *_calibration(about, calib)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        return read_bundle(folder / bundle_name(**about))
    try:
        said = str(json.loads(ended.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        said = ended.stderr.strip()[-500:] or f"the export ended with code {ended.returncode}"
    raise EdgeSdkError(said)


def _calibration(about: Row, calib: str | None) -> list[str]:
    """Return the words for the calibration crops, none where the target needs none."""
    calibrated = read_target(about["target"]).options.get("calibrated", ())
    return ["--calib", calib] if calib and about["precision"] in calibrated else []


def _judged(model: Model, pairs: PairSet) -> Judged:
    return Judged(embed_pictures(model.embed, pairs, model.side), pairs)


def _row(model: Model, kind: str, before: Judged, after: Judged) -> Row:
    lost = before.metrics.accuracy - after.metrics.accuracy
    return {
        **model.facts,
        "kind": kind,
        "face_px": model.side,
        **after.metrics.to_json(),
        "thresholds": thresholds(after.embeddings, after.pairs),
        "drop": {
            "points": 100 * lost,
            "interval": [100 * end for end in drop_interval(before.right, after.right)],
        },
    }


def line(row: Row) -> str:
    """Return the row in one line of text."""
    start = f"{row['model']:<16} {row['target']:<10} {row['precision']:<5} "
    if "reason" in row:
        return f"{start}left out: {row['reason']}"
    low, high = row["drop"]["interval"]
    fitted = row["thresholds"].get("far_1e-2")
    return (
        f"{start}{row['face_px']:>4} px  accuracy {100 * row['accuracy']:.2f} %  "
        f"lost {row['drop']['points']:.2f} ({low:.2f} to {high:.2f}) points  "
        f"threshold at FAR 1e-2 {'refused' if fitted is None else format(fitted['value'], '.4f')}"
    )
