"""What Flower costs: the same federation in one process, in its simulation, in real processes.

    python tools/federated_overhead.py -o training/results/federated-overhead.json

It takes the environment of `pip install 'edgesdk[federated]'`, and Linux. What counts are CPU
seconds of all processes together, for a busy machine changes those little; each run's first
round, in which everything starts, is told apart.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.files import write_json
from tools.command import told
from tools.cpu_of import CpuOf

CLIENTS, PICTURES, CLASSES = 2, 2000, 10
SETTINGS = {
    "clients": CLIENTS, "rounds": 4, "participation": 1.0, "size": 16, "width": 16, "hidden": 64,
    "skew": "even", "method": "fedavg", "last": 1,
}  # fmt: skip
EDGESDK = [sys.executable, "-m", "edgesdk"]
SET = [f"--set={name}={value}" for name, value in SETTINGS.items()]


def one_process(data: Path, folder: Path) -> Path:
    return trained(data, folder, "local")


def simulation(data: Path, folder: Path) -> Path:
    return trained(data, folder, "flower")


def trained(data: Path, folder: Path, engine: str) -> Path:
    words = ["train", "fedlmd", f"--data=clients={data}", *SET, f"--set=engine={engine}"]
    run([*words, "-o", str(folder)])
    return folder


def processes(data: Path, folder: Path) -> Path:
    """Run a server and its clients, each in processes of its own, without TLS."""
    given = f"--data=clients={data}"
    with ExitStack() as stack:
        for n in range(CLIENTS):
            words = ["federate", "client", "--deal", f"--number={n}", given]
            stack.enter_context(started([*words, "-o", str(folder / f"client-{n}")]))
        run(["federate", "server", "fedlmd", given, *SET, "-o", str(folder / "server")])
    return folder / "server"


def run(words: list[str]) -> None:
    subprocess.run([*EDGESDK, *words], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def started(words: list[str]) -> Iterator[None]:
    process = subprocess.Popen([*EDGESDK, *words], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def told_by(folder: Path, cpu: CpuOf) -> dict[str, Any]:
    """Return a run's CPU seconds per round, its start in the first, and its global network."""
    (found,) = (path for path in folder.glob("fedlmd-*") if path.is_dir())
    rows = [json.loads(line) for line in (found / "log.jsonl").read_text().splitlines()]
    spent = [0.0, *(cpu.at(row["time"]) for row in rows)]
    return {
        "cpu_s": [later - earlier for earlier, later in pairwise(spent)],
        "wall_s": [row["train_s"] for row in rows],
        "weights_sha256": read_checkpoint(found / "global").weights_sha256,
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    later = [seconds for one in runs for seconds in one["cpu_s"][1:]]
    first = [one["cpu_s"][0] for one in runs]
    return {"first_round_cpu_s": median(first), "round_cpu_s": median(later), "runs": runs}


def result(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    rows = {name: summary(found) for name, found in runs.items() if found}
    plain = rows["one process"]["round_cpu_s"]
    hashes = {one["weights_sha256"] for found in runs.values() for one in found}
    return {
        "command": "python tools/federated_overhead.py", "pictures": PICTURES,
        "cores": len(os.sched_getaffinity(0)), "settings": SETTINGS, "drivers": rows,
        "more_cpu_s": {name: row["round_cpu_s"] - plain for name, row in rows.items()},
        "against_one_process": {name: row["round_cpu_s"] / plain for name, row in rows.items()},
        "same_weights": len(hashes) == 1,
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=1)
    options.add_argument("-o", "--output", type=Path, required=True)
    asked = options.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in DRIVERS}
    for _ in range(asked.repeats):
        for name, drive in DRIVERS.items():
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "drawn.npz"
                random = np.random.default_rng(0)
                pictures = random.integers(0, 256, (PICTURES, 16, 16), dtype=np.uint8)
                np.savez(data, x_train=pictures, y_train=np.arange(PICTURES) % CLASSES)
                with CpuOf() as cpu:
                    ended = drive(data, Path(folder) / "runs")
                runs[name].append({"load": os.getloadavg()[0], **told_by(ended, cpu)})
            print(name, runs[name][-1], flush=True)
            write_json(asked.output, result(runs))


DRIVERS = {"one process": one_process, "simulation": simulation, "processes": processes}

if __name__ == "__main__":
    told(main)
