"""Put a trained tracker into the zoo, with what it was measured to do.

    python tools/ship_tracker.py runs/cost-tracker-12345678 --nanotrack FOLDER --keep 0.5 \\
        --judged benchmarks/results/trackers.json

Few sequences teach much that holds for them alone: `--keep` draws the correlation head that part
of the way back to NanoTrack's own weights, which often bears other scenes better (Wortsman et al.
2022, "Robust fine-tuning of zero-shot models"). The figures come from tools/judge_trackers.py.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgesdk.core.bundle import Checkpoint
from edgesdk.core.files import read_json, sha256_file
from edgesdk.core.plugins import STUDENTS, load
from tools.command import told
from tools.zoo import checkpoint_of, put

LICENCE = """Licence of the weights in this folder

These weights were trained by the edgesdk project from the weights of NanoTrack V2
(github.com/HonglinChu/NanoTrack, Apache-2.0, which is kept as its licence asks) on sequences of
public tracking sets (OTB, VOT, UAV123, UAVDT, TLP, SegTrack, DAVIS) that allow research. Until
that is cleared, treat them as bound by the strictest term of their data: research and
evaluation only, no commercial use.

No frame of these sets is part of this repository. The code of edgesdk has its own licence,
Apache-2.0. This text is no legal advice.
"""


def drawn_back(run: Path, nanotrack: Path, keep: float, folder: Path) -> Checkpoint:
    """Return the checkpoint of a run, its head drawn back, written into `folder`."""
    from safetensors.torch import save_file

    from edgesdk_training.nano_track import NanoTrack

    source = checkpoint_of(run)
    student = load(STUDENTS, source.student)
    module, first = (student.load(source) for _ in range(2))
    NanoTrack(nanotrack).begin(first)
    begun, learnt = first.state_dict(), module.state_dict()
    mixed = {k: v.lerp(begun[k], keep) if k.startswith("head.") else v for k, v in learnt.items()}
    folder.mkdir(parents=True)
    path = folder / source.weights_path.name
    settings = dict(source.provenance["settings"])
    settings["nanotrack"] = Path(settings["nanotrack"]).name  # no place of a machine
    save_file({k: v.contiguous() for k, v in mixed.items()}, path)
    path.chmod(0o644)
    return replace(
        source,
        path=folder,
        weights_sha256=sha256_file(path),
        provenance={**source.provenance, "settings": settings, "head_drawn_back": keep},
    )


def measured(path: Path) -> dict[str, Any]:
    """Return the figures of a file of tools/judge_trackers.py."""
    data = read_json(path, "judgement")
    found = data["trackers"]["edgesdk"]
    return {
        "metric": "AUC",
        "value": found["auc"],
        "data": f"{data['data']}, success",
        "percent": False,
        "dev_precision": found["precision"],
        "measured_by": data["command"],
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--nanotrack", type=Path, required=True)
    parser.add_argument("--keep", type=float, default=0.0)
    parser.add_argument("--lost", type=float, default=0.05)
    parser.add_argument("--judged", type=Path)
    asked = parser.parse_args()
    with TemporaryDirectory() as place:
        source = drawn_back(asked.run, asked.nanotrack, asked.keep, Path(place) / "drawn")
        metrics = dict(source.metrics) if not asked.keep else {}
        if asked.judged is not None:
            metrics |= measured(asked.judged)
        policy = {**source.postprocess, "policy": {"lost": asked.lost}}
        put(replace(source, metrics=metrics, postprocess=policy), LICENCE, "synthetic")
        print(source.model, metrics)


if __name__ == "__main__":
    told(main)
