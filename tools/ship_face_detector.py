"""Put a face detector into the zoo, judged on the photos held out of its training.

    python tools/ship_face_detector.py runs/detect-face-detector-12345678

A run that was stopped is shipped as it stood: its averaged weights, with the step told. The photos
and the teacher's answers are those of the run, which `settings.json` names.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.bundle import Checkpoint
from edgesdk.core.files import read_json
from edgesdk_training.checkpoint import save_checkpoint
from edgesdk_training.context import Context
from edgesdk_training.leave import RESEARCH
from edgesdk_training.photo_data import judged, read_photos
from edgesdk_training.recipes.detect import Settings
from tools.command import told
from tools.zoo import put

NAME = "face-detector"
LICENCE = """Licence of the weights in this folder

These weights were trained by the edgesdk project on photos that allow research and forbid
commercial use (Flickr8k, COCO, ImageNet, tracking sets), on pasted faces of CelebA, and on what
YuNet finds in them. Until that is cleared, treat the weights as bound by the strictest term of
their data: research and evaluation only, no commercial use.

No picture of these sets is part of this repository. The code of edgesdk has its own licence,
Apache-2.0. This text is no legal advice.
"""


def weights(run: Path, student: Any, config: Any) -> tuple[Any, int]:
    """Return the averaged network of a run, folded, and the step it stood at."""
    import torch

    state = torch.load(run / "state" / "learn.pt", weights_only=True)
    model = student.build(config)
    averaged = {k.removeprefix("module."): v for k, v in state["averaged"].items()}
    del averaged["n_averaged"]
    model.load_state_dict(averaged)
    return student.folded(model), int(state["step"])


def checkpoint(run: Path, folder: Path) -> Checkpoint:
    """Judge a run's weights on its photos held out, and store both in `folder`."""
    about = read_json(run / "settings.json", "settings")
    student = plugins.load(plugins.STUDENTS, NAME)
    config = student.config()
    model, step = weights(run, student, config)
    settings = Settings(**about["settings"])
    paths = {role: [Path(p) for p in given] for role, given in about["data"].items()}
    data = read_photos(Context(run, paths), replace(settings, crops=0, occluders=0))
    steps = settings.epochs * (settings.tiles // settings.batch)
    metrics = judged(model, student.postprocess(config), data)
    return save_checkpoint(
        folder,
        NAME,
        student,
        config,
        model,
        licence={"weights": RESEARCH, "data": f"research, non-commercial: {data.name}"},
        provenance={
            "recipe": "detect",
            "recipe_sha256": run.name.rsplit("-", 1)[-1],
            # Begun with the weights of an earlier run of the same settings.
            "settings": about["settings"] | {"init": NAME if settings.init else ""},
            "stopped": {"step": step, "of": steps},
            "teacher": data.teacher,
            "data": data.name,
            "pictures": len(data.photos),
            "faces": data.faces,
            "seed": about["seed"],
        },
        metrics=metrics | {"measured_by": "python tools/ship_face_detector.py RUN"},
    )


def ship(run: Path) -> None:
    """Write the zoo's checkpoint and bundle of one run."""
    with TemporaryDirectory() as place:
        ready = checkpoint(run, Path(place) / NAME)
        put(ready, LICENCE)
    print(NAME, dict(ready.metrics))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    ship(parser.parse_args().run)


if __name__ == "__main__":
    told(main)
