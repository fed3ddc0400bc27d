"""The verbs. Thin and lazy: each one imports its component when it is called.

The command line is made from the signatures and docstrings below, so that both say the
same. Names of arguments, defaults and help texts have this one source.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgesdk.core.bundle import Bundle
    from edgesdk.core.protocols import RunResult
    from edgesdk.core.result import BenchResult
    from edgesdk.core.session import Session
    from edgesdk.core.verify import Verification

    Progress = Callable[[int, int, str], None]


def models() -> dict[str, Any]:
    """List shipped models, students, recipes and runtimes.

    Returns:
        Lists of plain dictionaries under "models", "students", "recipes", "runtimes".
    """
    from edgesdk.verbs.catalogue import catalogue

    return catalogue()


def targets() -> list[dict[str, Any]]:
    """List export targets: precisions, runtimes, and what this machine lacks for each.

    Returns:
        One plain dictionary per target.
    """
    from edgesdk.verbs.catalogue import target_rows

    return target_rows()


def doctor() -> dict[str, Any]:
    """Check this machine: what works, what is missing, what conflicts, and the one command.

    Returns:
        "rows" (what, status ok|missing|conflict, found, command) and "environment".
    """
    from edgesdk.verbs.doctor import diagnose

    return diagnose()


def train(
    recipe: str,
    *,
    student: str | None = None,
    data: Sequence[str] = (),
    settings: Sequence[str] | Mapping[str, Any] = (),
    config: Path | str | None = None,
    teacher: str | None = None,
    qat: bool = False,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    fresh: bool = False,
    output_dir: Path | str = "runs",
    progress: Progress | None = None,
) -> RunResult:
    """Train a student by a recipe; the same command continues an interrupted run.

    Args:
        recipe: Name of the recipe, see `edgesdk models`.
        student: Student to train; default: the recipe's first one.
        data: A data set as ROLE=PATH, such as public=faces.tar; repeat to join several.
        settings: One setting of the recipe as NAME=VALUE; repeat for more.
        config: TOML file of settings; NAME=VALUE wins over it.
        teacher: Teacher by name (sface) or path of an ONNX file; default: the recipe's.
        qat: Quantisation-aware training as the last step, for int8; the same as qat=true.
        seed: Seed of weights, order and augmentation.
        device: cpu, cuda or cuda:N.
        threads: Threads of the CPU.
        fresh: Start over instead of continuing.
        output_dir: Folder that holds the runs.
        progress: Called with (done, total, label).

    Returns:
        What the run left behind.

    Raises:
        UsageError: an unknown recipe, student, role or setting, or unreadable data.
        MissingDependencyError: torch or the teacher is not installed.
    """
    from edgesdk.verbs.train import start

    return start(
        recipe,
        student=student,
        data=data,
        settings=settings,
        config=config,
        teacher=teacher,
        qat=qat,
        seed=seed,
        device=device,
        threads=threads,
        fresh=fresh,
        output_dir=Path(output_dir),
        progress=progress,
    )


def export(
    model: Path | str | None = None,
    *,
    target: str,
    precision: str | None = None,
    batch: int | None = None,
    profile: str | None = None,
    calib: Path | str | None = None,
    calib_samples: int = 512,
    calib_seed: int = 0,
    data: Path | str | None = None,
    max_drop: float = 0.01,
    verify: bool = True,
    require_commercial: bool = False,
    force: bool = False,
    output_dir: Path | str = "bundles",
    progress: Progress | None = None,
) -> Bundle:
    """Export a model to a target and prove that its numbers survived.

    Args:
        model: Checkpoint, run, bundle folder or shipped name; default: newest run or bridge-face.
        target: Target, see `edgesdk targets`; the command line takes several, joined by commas.
        precision: fp32, fp16 or int8; default: the target's first one.
        batch: Fixed batch size; default: a free one.
        profile: Device profile to build for.
        calib: Folder or tar of real crops for int8; default: synthetic faces.
        calib_samples: Number of calibration crops.
        calib_seed: Seed that draws them.
        data: Folder or tar with pairs.txt: measures accuracy and re-fits the threshold.
        max_drop: Largest loss of accuracy on `data`, absolute.
        verify: Compare the artefact with its source.
        require_commercial: Refuse weights that may not be used commercially.
        force: Export again although the bundle exists.
        output_dir: Folder that holds the bundles.
        progress: Called with (done, total, label).

    Returns:
        The finished bundle.

    Raises:
        UsageError: an unknown model, target, precision or profile.
        MissingDependencyError: the target's toolchain is not installed.
        GateFailedError: the artefact differs from its source by more than allowed.
    """
    from edgesdk.verbs.export import export_one

    options = {
        "precision": precision,
        "batch": batch,
        "profile": profile,
        "calib": calib,
        "calib_samples": calib_samples,
        "calib_seed": calib_seed,
        "data": data,
        "max_drop": max_drop,
        "verify": verify,
        "force": force,
    }
    return export_one(model, target, options, require_commercial, Path(output_dir), progress)


def verify(
    bundle: Path | str | Bundle,
    *,
    data: Path | str | None = None,
    max_drop: float = 0.01,
    update: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Check a bundle on this machine: hashes, golden vectors, and its source where it is known.

    Args:
        bundle: Bundle folder or shipped name.
        data: Folder or tar with pairs.txt for the accuracy.
        max_drop: Largest loss of accuracy on `data`, absolute.
        update: Write the new verdict into the bundle.
        progress: Called with (done, total, label).

    Returns:
        The verdict with its numbers.

    Raises:
        UsageError: it is no bundle.
        EdgeSdkError: a file was altered.
    """
    from edgesdk.core.shipped import open_bundle
    from edgesdk_export._pipeline import verify_bundle

    return verify_bundle(
        open_bundle(bundle, force=True),
        data=None if data is None else Path(data),
        max_drop=max_drop,
        update=update,
        progress=progress,
    )


def load(
    bundle: Path | str | Bundle,
    *,
    runtime: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    allow_fallback: bool = False,
    force: bool = False,
) -> Session:
    """Open a bundle for inference on tensors.

    Args:
        bundle: Bundle folder or shipped name.
        runtime: Runtime; default: the first one of the bundle that works here.
        device: cpu, cuda:0 or auto.
        threads: Threads of the CPU.
        allow_fallback: Accept another device than the one asked for.
        force: Open a rejected bundle.

    Returns:
        A session; close it or use it in a `with` block.

    Raises:
        UsageError: it is no bundle, or the runtime cannot open its format.
        UnsupportedError: no runtime works here, or the device is absent.
    """
    from edgesdk.core.shipped import open_bundle
    from edgesdk_runtimes._open import open_session

    opened = open_bundle(bundle, force=force)
    return open_session(opened, runtime, device, threads, allow_fallback)


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
    from edgesdk.core.shipped import open_bundle

    opened = open_bundle(bundle, force=force)
    if require_commercial:
        from edgesdk.core.licence import require_commercial as check

        check(opened.licence, opened.name)
    from edgesdk.verbs.run import run

    return run(opened, [Path(p) for p in pictures], runtime, device, threads, aligned, lan, https)


def bench(
    bundles: Sequence[Path | str | Bundle],
    *,
    runtime: Sequence[str] = (),
    scenario: Sequence[str] = ("latency",),
    device: str = "cpu",
    threads: int = 1,
    batch: int | None = None,
    warmup: int = 10,
    iterations: int = 100,
    duration: float | None = None,
    force: bool = False,
    lan: bool = False,
    https: bool = False,
    timeout: float = 300.0,
    output_dir: Path | str = "reports/results",
    progress: Progress | None = None,
) -> list[BenchResult]:
    """Measure bundles side by side, interleaved in one run.

    Args:
        bundles: Bundle folders or shipped names.
        runtime: Runtime to measure with; repeat for several; default: each bundle's first one.
        scenario: latency, throughput or offline; repeat for several.
        device: cpu, cuda:0 or auto; android[:SERIAL] or browser measure there.
        threads: Threads of the CPU.
        batch: Batch size of the throughput scenario.
        warmup: Least number of warm-up runs (and 200 ms).
        iterations: Least number of samples.
        duration: Least time measured per bundle, in seconds; 3 by default, 30 on a phone.
        force: Measure again although the result exists.
        lan: Serve the page of `--device browser` on the local network.
        https: Serve it through TLS, with a certificate made for this run.
        timeout: Longest silence of a remote device, in seconds.
        output_dir: Folder for one JSON per result.
        progress: Called with (done, total, label).

    Returns:
        One result per bundle, runtime and scenario, with raw samples and a verdict.

    Raises:
        UsageError: nothing to measure, or numbers that make no sense.
        UnsupportedError: the device or what reaches it is absent.
        GateFailedError: what ran gave wrong golden outputs.
        InvalidBenchmarkError: every result broke a rule of validity.
    """
    from edgesdk.verbs.bench import measure

    return measure(
        bundles,
        runtimes=runtime,
        scenarios=scenario,
        device=device,
        threads=threads,
        batch=batch,
        warmup=warmup,
        iterations=iterations,
        duration=duration,
        force=force,
        lan=lan,
        https=https,
        timeout=timeout,
        output_dir=Path(output_dir),
        progress=progress,
    )


def report(
    results: Sequence[Path | str],
    *,
    title: str = "edgesdk benchmark",
    output_dir: Path | str = "reports",
) -> Path:
    """Draw results as one self-contained HTML page, with Markdown and JSON beside it.

    Args:
        results: Result files, or folders of them.
        title: Heading of the page.
        output_dir: Folder for report.html, report.md and report.json.

    Returns:
        Path of report.html.

    Raises:
        UsageError: no result was found, or a file is no result.
    """
    from edgesdk_benchmarks.report import report as draw

    return draw([Path(p) for p in results], Path(output_dir), title=title)


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
    from edgesdk.verbs.inspect import describe

    return describe(Path(path))
