"""Tables of docs/tracking.md that tell trackers side by side, made by `make docs`."""

import json
from pathlib import Path
from typing import Any

from readme_tables import table

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
NOW, QUIET = RESULTS / "trackers.json", RESULTS / "tracker-times-quiet.json"
OURS, RIVAL = "edgesdk", "nanotrack-v2"
NAMES = {
    OURS: "`tracker`",
    "edgesdk, no words": "`tracker`, no words",
    RIVAL: "NanoTrack V2, OpenCV's TrackerNano",
    "csrt": "CSRT",
    "kcf": "KCF",
    "template matching": "template matching",
}
SHARES = ("auc", "precision", "normalised_precision", "auc_noisy_box")
HEAD = (
    "tracker", "AUC", "precision at 20 px", "normalised precision", "AUC, box moved by a tenth",
    "frames/s", "CPU ms per frame",
)  # fmt: skip


def side_by_side() -> str:
    """Return what each tracker reached on the sequences, and how fast it was."""
    found = json.loads(NOW.read_text())["trackers"]
    rows: list[list[object]] = [
        [
            name,
            *(f"{found[key][share]:.3f}" for share in SHARES),
            f"{found[key]['frames_s']:.0f}",
            f"{found[key]['cpu_ms']:.1f}",
        ]
        for key, name in NAMES.items()
    ]
    return table(list(HEAD), rows)


def speeds() -> str:
    """Return how many times as fast as NanoTrack V2 the tracker was, now and before."""
    rows: list[list[object]] = []
    for path, which in ((NOW, "shipped"), (QUIET, "those before, the same network")):
        data = json.loads(path.read_text())
        ours, rival = (data["trackers"][name] for name in (OURS, RIVAL))
        rows.append([
            which,
            f"{data['load']:.1f}",
            f"{ours['frames_s']:.0f} / {rival['frames_s']:.0f}",
            *(f"{ratio:.2f}" for ratio in ratios(ours, rival)),
        ])  # fmt: skip
    head = ["weights", "load of the machine", "frames/s", "by the clock", "by CPU time",
            "by CPU time, median sequence"]  # fmt: skip
    return table(head, rows)


def ratios(ours: dict[str, Any], rival: dict[str, Any]) -> tuple[float, float, float]:
    """Return the rival's time over ours: by the clock, of the CPU, and in the median sequence."""
    return (
        ours["frames_s"] / rival["frames_s"],
        rival["cpu_ms"] / ours["cpu_ms"],
        1 / rival["cpu_ratio"],
    )
