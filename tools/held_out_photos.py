"""Write the photos held out of a face detector's training as a set that an export is judged on.

    python tools/held_out_photos.py runs/detect-face-detector-12345678 -o runs/held
    edgesdk export face-detector --target tflite --precision int8 --data runs/held

The faces are those that YuNet is sure of in many looks; photos with a face that it half believes
in are left out.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgesdk.core.files import read_json, write_json
from edgesdk.tasks._face_sets import LIST
from edgesdk_training.context import Context
from edgesdk_training.photo_data import SURE, PhotoData, read_photos
from edgesdk_training.recipes.detect import Settings
from edgesdk_training.scenes import SCORE
from tools.command import told


def data_of(run: Path) -> PhotoData:
    """Return the photos of a run, without what is pasted onto them."""
    about = read_json(run / "settings.json", "settings")
    paths = {role: [Path(p) for p in given] for role, given in about["data"].items()}
    settings = replace(Settings(**about["settings"]), crops=0, occluders=0)
    return read_photos(Context(run, paths), settings)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    from PIL import Image

    asked.output.mkdir(parents=True, exist_ok=True)
    faces = {}
    for number, photo in enumerate(data_of(asked.run).held):
        if (photo.faces[:, SCORE] >= SURE).all():
            name = f"{number:04}.png"
            Image.fromarray(photo.picture).save(asked.output / name)
            faces[name] = np.delete(photo.faces, SCORE, 1).astype(float).tolist()
    write_json(asked.output / LIST, faces)
    print(f"{asked.output}: {len(faces)} photos, {sum(map(len, faces.values()))} faces")


if __name__ == "__main__":
    told(main)
