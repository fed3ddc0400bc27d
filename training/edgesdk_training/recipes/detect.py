"""A light face detector that learns from a larger one's patience.

The teacher, YuNet, looks at every photo at several scales and on its sides; what it is sure of are
faces, what it is unsure of tells nothing, and all else is none. Aligned faces of other sets are
pasted into places without faces, hidden in part, so that the student sees more people, sizes and
masks than the photos have. The teacher's answers are kept beside the runs.

    edgesdk train detect --data images=photos --data public=faces --data masks=mask_templates.tar

The templates are optional: without them all masks are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core import plugins
from edgesdk_training.leave import leave
from edgesdk_training.loop import check_optimiser
from edgesdk_training.settings import ABOVE_0, check_ranges

if TYPE_CHECKING:
    from edgesdk.core.bundle import Checkpoint
    from edgesdk.core.protocols import Recipe, RunContext, RunResult

RANGES = {
    "side": (64, 640), "tiles": (1, inf), "epochs": (0, inf), "batch": (1, inf),
    "lr": (ABOVE_0, inf), "weight_decay": (0, inf), "average": (0, 0.999999),
    "photo": (0, 1), "wrong": (0, 1), "pasted": (0, 1), "hidden": (0, 1), "worn": (0, 1),
    "turn": (0, 180), "least": (0.4, 0.95), "crops": (0, inf), "occluders": (0, inf),
    "box": (0, inf), "points": (0, inf),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `detect`.

    Attributes:
        side: Of a tile in pixels, a multiple of 32.
        tiles: Tiles of a pass; each is drawn anew.
        epochs: Passes.
        batch: Tiles per step and process.
        lr: Highest learning rate; with muon of kernels, ten times that of the rest.
        optimiser: sgd, adamw or muon.
        weight_decay: Of kernels and matrices.
        average: Decay of the averaged weights, 0 for none.
        photo: Share of tiles around a photo's own face.
        wrong: Share of the others around what `init` takes for a face and the teacher does not.
        pasted: Share of the rest into which faces are pasted.
        hidden: Share of pasted faces that are hidden in part.
        worn: Share of a photo's own faces that are hidden in part.
        turn: Deviation of a tile's turn in degrees.
        least: Score of the teacher from which a find is a face.
        crops: Most aligned faces taken of each set.
        occluders: Number of occluders drawn before training.
        unseen: Kind of template kept out of training, to judge on; "" for none.
        box: Weight of the boxes.
        points: Weight of the points.
        init: Shipped model or checkpoint folder to begin with, "" for fresh weights.
    """

    side: int = 160
    tiles: int = 16000
    epochs: int = 5
    batch: int = 16
    lr: float = 2e-3
    optimiser: str = "adamw"
    weight_decay: float = 1e-4
    average: float = 0.998
    photo: float = 0.5
    wrong: float = 0.3
    pasted: float = 0.6
    hidden: float = 0.35
    worn: float = 0.0
    turn: float = 10.0
    least: float = 0.7
    crops: int = 10000
    occluders: int = 600
    unseen: str = "KN95"
    box: float = 2.0
    points: float = 2.0
    init: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        check_optimiser(self.optimiser)
        check_ranges(self, RANGES)


class Detect:
    """The plug-in."""

    aliases = ()
    extra = "train"
    requires = ("torch", "safetensors", "onnxruntime")
    students = ("face-detector",)
    needs = ("images", "public", "masks")
    asks_teacher = False
    settings = Settings

    def run(self, settings: Settings, context: RunContext) -> RunResult:
        """Train: the teacher looks, tiles are drawn, learn, judge on photos held out, save."""
        from edgesdk_training.photo_data import judged, read_photos

        student = plugins.load(plugins.STUDENTS, context.student)
        config = student.config()
        begin = context.beginning(settings.init)
        data = read_photos(context, settings)
        model = learnt(settings, context, student.build(config), data, begin)
        metrics = judged(student.folded(model.cpu()), student.postprocess(config), data)
        return leave(
            context, "detect", settings, config, model,
            data=data.name, metrics=metrics, begun={"init": begin}, teacher=data.teacher,
            pictures=len(data.photos), faces=data.faces, crops=len(data.crops),
        )  # fmt: skip


def learnt(
    settings: Settings, context: RunContext, model: Any, data: Any, begin: Checkpoint | None
) -> Any:
    """Return the network after its one phase, in eval mode."""
    import torch

    from edgesdk_training.checkpoint import warm_start
    from edgesdk_training.loop import Plan, fit
    from edgesdk_training.nets.face_cells import Weights, loss
    from edgesdk_training.scenes import Odds

    torch.manual_seed(context.seed)
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    model.start()
    odds = Odds(**{f.name: getattr(settings, f.name) for f in fields(Odds)})
    scenes = data.scenes(odds, wrong_of(begin, settings, data))
    draw = drawer(scenes)
    model.to(context.device, memory_format=torch.channels_last)
    if begin is not None:
        sample, _ = draw(torch.zeros(32), torch.Generator().manual_seed(context.seed))
        warm_start(model, begin, sample.to(context.device))
    weights = Weights(settings.box, settings.points)

    def judge(batch: Any) -> tuple[Any, dict[str, Any]]:
        images, faces = batch
        return loss(model(images), faces, settings.least, weights)

    plan = Plan.of(settings, "learn", settings.tiles, alike=False)
    fit(context, plan, model, draw, judge)
    return model


def wrong_of(begin: Checkpoint | None, settings: Settings, data: Any) -> Any:
    """Return the mistakes of the network that training begins with, none without one."""
    from edgesdk_training.photo_data import mistakes

    if begin is None or not settings.wrong:
        return ()
    student = plugins.load(plugins.STUDENTS, begin.student)
    overlap = student.postprocess(student.config(**begin.student_config))["overlap"]
    return mistakes(student.load(begin).eval(), overlap, data.photos)


def drawer(scenes: Any) -> Any:
    """Return what draws a batch: tiles [N, 3, S, S] in -1..1 and faces [N, K, ROW]."""
    from edgesdk_training.clue_data import as_input

    def draw(order: Any, generator: Any) -> tuple[Any, Any]:
        import torch

        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        random = np.random.default_rng(int(seed))
        tiles = [scenes.tile(random) for _ in range(len(order))]
        most = max(1, *(len(faces) for _, faces in tiles))
        faces = np.zeros((len(tiles), most, tiles[0][1].shape[1]), np.float32)
        for row, (_, found) in zip(faces, tiles, strict=True):
            row[: len(found)] = found
        pictures = np.stack([picture for picture, _ in tiles])
        return as_input(pictures).to(order.device), torch.from_numpy(faces).to(order.device)

    return draw


PLUGIN: Recipe = Detect()
