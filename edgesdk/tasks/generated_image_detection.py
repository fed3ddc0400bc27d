"""Whether a picture was generated: by its own pixels or by its caption, with a verdict."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk.captions import read_captions
from edgesdk.core.biometrics import auc
from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.protocols import Task
from edgesdk.core.question import Question
from edgesdk.core.session import Session
from edgesdk.core.table import table
from edgesdk.core.task import (
    FromFiles,
    Headline,
    Judged,
    Metric,
    ModelInfo,
    Run,
    Samples,
    info_of,
    measured,
)
from edgesdk.core.tensors import Array
from edgesdk.generated import cuts_of, probability, told
from edgesdk.own_encoders import open_encoders
from edgesdk.tasks._captioned import check_companions, tell_misnamed, without_captions
from edgesdk.tasks._detectors import beside, detector_of
from edgesdk.tasks._each import each_picture
from edgesdk.tasks._generated_sets import LabelledSides, native_samples, read_sides
from edgesdk.tasks._inputs import draw_inputs, textures
from edgesdk.tasks._verdict_sheet import (
    HIDDEN,
    as_jpeg,
    check_places,
    cuts_told,
    heat_map,
    in_short,
    own_pictures,
    verdict_of,
    write_csv,
    write_sheet,
)
from edgesdk.videos import EVERY_S

WARNING = (
    "Such detectors lose 10 to 20 points on pictures in the wild, and know best the generators "
    "they were taught on: a verdict is a hint, no proof."
)


class GeneratedImageDetection:
    """Crops of a picture, or a picture and its caption, in; the logit of "generated" out."""

    aliases = ("deepfake-detection", "ai-image-detection")
    extra = ""
    requires: tuple[str, ...] = ()
    item = "crop"
    file_item = "picture"
    live = ""

    def pictures(self, count: int, seed: int, side: int) -> list[Array]:
        """Return coloured clutter."""
        return textures(count, seed, side)

    def draw(self, info: ModelInfo, count: int, seed: int) -> Samples:
        """Return pre-processed coloured clutter."""
        return draw_inputs(info, count, seed, textures, "drawn pictures")

    def read(self, info: ModelInfo, place: Path, count: int, seed: int) -> Samples:
        """Return native crops, or pictures with their captions, of a folder or tar archive."""
        return native_samples(info, place, count, seed)

    def evaluation(self, place: Path) -> LabelledSides:
        """Open a folder or tar archive with folders `real` (or `nature`), `soft` and `fake`."""
        return read_sides(place)

    def judge(self, info: ModelInfo, runs: Sequence[Run], data: LabelledSides) -> list[Judged]:
        """Judge runs by the AUC of generated above real pictures, soft ones among these."""
        rows: list[list[float]] = [[] for _ in runs]
        detector = detector_of(info)
        for picture, said in data.read():
            for mine, run in zip(rows, runs, strict=True):
                mine.append(detector.look(run, picture, said)["logit"])
        return [_judged(info, np.array(mine), data) for mine in rows]

    def headline(self, metrics: Mapping[str, Any]) -> Headline | None:
        """Return what a gate stored, else the AUC on pictures held out of the training."""
        value = metrics.get("unseen_auc")
        if measured(metrics) is None and isinstance(value, int | float):
            return Headline("AUC", "unseen generators", float(value), percent=False)
        return measured(metrics)

    def caution(self, bundle: Bundle) -> str:
        """Return what verdicts must not be taken for, with the figure of unseen generators."""
        return WARNING + _unseen(bundle.metrics) + detector_of(info_of(bundle)).caution

    def from_files(
        self, bundle: Bundle, runtime: str, device: str, threads: int, files: Sequence[Path]
    ) -> AbstractContextManager[FromFiles]:
        """Open the way from pictures to verdicts, to be timed; no files: drawn pictures."""
        from edgesdk.tasks._pictures_timed import timed_pictures

        return timed_pictures(bundle, runtime, device, threads, files)

    def questions(self, session: Session, files: Sequence[Path]) -> list[Question]:
        """Ask of each picture whether it was generated; of crops, the part that tells most."""
        from edgesdk.tasks._questions import of_generated

        return of_generated(session, files)

    def run(
        self,
        job: RunJob,
        *,
        csv: str | None = None,
        captions: str | None = None,
        encoders: str | None = None,
    ) -> dict[str, Any]:
        """Tell of each picture how likely it was generated.

        Args:
            csv: File to write the table into.
            captions: JSON file, path or file name of a picture to a sentence or a list of them,
                for detectors that read what is said of a picture; without it captions.json in
                the folder.
            encoders: onnx:FOLDER, transformers:FOLDER or open_clip:MODEL:WEIGHTS, for a head that
                was taught on encoders of your own; the hashes of their files must be those that
                the bundle names.

        Returns:
            "pictures" (picture, of a video film.mp4@12.0s, probability, verdict, logit, note of
            what hinders a verdict; crops, or caption, distance and objects with the distance of
            each), "skipped" (picture, why), "thresholds", the "prevalence" that the probabilities
            assume, and a "warning".
        """
        from edgesdk_runtimes._open import open_session

        info = info_of(job.bundle)
        own = None if encoders is None else open_encoders(encoders)
        check_companions(job.bundle.name, job.bundle.companions, own)
        detector = detector_of(info, own)
        given = None if captions is None else read_captions(Path(captions))
        said = detector.captions(given, beside(job.files))
        check_places(job, csv)
        ours = own_pictures(job.output)

        def see(path: Path, picture: Array) -> dict[str, Any]:
            seen = detector.look(session.run, picture, said.of(path))
            shown = {} if job.output is None else {"shown": as_jpeg(heat_map(picture, seen))}
            return _row(info, path, seen) | shown

        with open_session(
            job.bundle, job.runtime, job.device, job.threads, job.allow_fallback
        ) as session:
            try:
                rows, skipped = each_picture(job, see, EVERY_S, ours)
            except UsageError as error:
                raise without_captions(said, error) from None
        tell_misnamed(said, skipped)
        result = {
            "bundle": job.bundle.name,
            "runtime": session.runtime,
            "column": detector.column,
            "pictures": [{k: v for k, v in row.items() if k not in HIDDEN} for row in rows],
            "skipped": skipped,
            "thresholds": {side: cut["value"] for side, cut in cuts_of(info.thresholds).items()},
            "prevalence": info.postprocess.get("prevalence", 0.5),
            "warning": self.caution(job.bundle),
            "csv": csv,
            "output": None if job.output is None else str(job.output),
        }
        if csv is not None:
            write_csv(Path(csv), rows)
        if job.output is not None:
            write_sheet(job.output, rows, result)
        return result

    def show(self, result: Mapping[str, Any]) -> str:
        """Return a line per picture, the likeliest first, and what the numbers assume."""
        rows = sorted(result["pictures"], key=lambda row: -row["probability"])
        last = result["column"]
        body = [
            [r["picture"], f"{r['probability']:.3f}", verdict_of(r), in_short(str(r[last]), 60)]
            for r in rows
        ]
        lines = [
            table(["picture", "probability", "verdict", last], body),
            *(f"skipped {s['picture']}: {s['why']}" for s in result["skipped"]),
            cuts_told(result),
            result["warning"],
            *(f"wrote {result[key]}" for key in ("csv", "output") if result[key]),
        ]
        return "\n".join(lines)


def _row(info: ModelInfo, path: Path, seen: Mapping[str, Any]) -> dict[str, Any]:
    chance, verdict = told(seen["logit"], seen["note"], info.thresholds)
    return {"picture": str(path), "probability": chance, "verdict": verdict, **seen}


def _unseen(metrics: Mapping[str, Any]) -> str:
    value = metrics.get("unseen_auc")
    if not isinstance(value, int | float):
        return " What this one finds of generators that it never saw has not been measured."
    return (
        f" On real generators that it never saw this one reaches an AUC of {value:.2f}, where "
        "0.50 is chance."
    )


def _judged(info: ModelInfo, logits: Array, data: LabelledSides) -> Judged:
    generated, chances = data.generated, probability(logits)
    fakes, reals = chances[generated], chances[~generated]
    placed = np.empty(len(data))
    placed[generated] = [auc(np.array([chance]), reals) for chance in fakes]
    placed[~generated] = [auc(fakes, np.array([chance])) for chance in reals]
    right = (chances >= cuts_of(info.thresholds)["generated"]["value"]) == generated
    share = np.where(generated, generated.mean(), 1 - generated.mean())
    soft = np.array([kind.side == "soft" for kind in data.kinds])
    return Judged(
        metrics=(
            Metric(key="AUC", value=auc(fakes, reals), items=placed),
            Metric(
                key="balanced accuracy",
                value=float((right / share / 2).mean()),
                items=right / share / 2,
            ),
        ),
        numbers={"AUC against soft photos": auc(fakes, chances[soft])} if soft.any() else {},
    )


PLUGIN: Task = GeneratedImageDetection()
