"""Put a face detector into the zoo, judged on the photos held out of its training.

    python tools/ship_face_detector.py runs/detect-face-detector-12345678

The photos and the teacher's answers are those of the run, which `settings.json` names.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from edgesdk.core import plugins
from edgesdk.core.bundle import Checkpoint
from edgesdk_training.photo_data import judged
from tools.command import told
from tools.held_out_photos import data_of
from tools.zoo import checkpoint_of, put

NAME = "face-detector"
LICENCE = """Licence of the weights in this folder

Training began with the weights of YuNet (OpenCV Zoo, MIT licence), trained on WIDER FACE. The
edgesdk project trained them on photos that allow research and forbid commercial use (Flickr8k,
COCO, ImageNet, tracking sets), on pasted faces of CelebA, and on what YuNet finds in them. Until
that is cleared, treat the weights as bound by the strictest term of their data: research and
evaluation only, no commercial use.

No picture of these sets is part of this repository. The code of edgesdk has its own licence,
Apache-2.0. This text is no legal advice.
"""


def judged_anew(run: Path) -> Checkpoint:
    """Return a run's checkpoint with the score of today, judged on the photos held out of it."""
    source = checkpoint_of(run)
    student = plugins.load(plugins.STUDENTS, NAME)
    read = student.postprocess(student.config(**source.student_config))
    metrics = judged(student.load(source).eval(), read, data_of(run))
    measured = {"measured_by": "python tools/ship_face_detector.py RUN"}
    return replace(source, postprocess=read, metrics=metrics | measured)


def ship(run: Path) -> None:
    """Write the zoo's checkpoint and bundle of one run."""
    ready = judged_anew(run)
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
