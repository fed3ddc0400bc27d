"""What edgesdk itself costs: import, help, doctor, one export with proof. Printed, never asserted.

python -m edgesdk_benchmarks.cost [-o reports/cost.json] [--rounds 15]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesdk.core.env import environment
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import write_json
from edgesdk_benchmarks.report.markdown import plain_table

# History of the schema: 1, the first one.
SCHEMA_VERSION = 1
SMALL = {
    "python": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import numpy, edgesdk": ["-c", "import numpy, edgesdk"],
    "edgesdk --help": ["-m", "edgesdk", "--help"],
    "edgesdk doctor": ["-m", "edgesdk", "doctor"],
}
LARGE = {
    f"export to {target}, with proof": [
        "-m",
        "edgesdk",
        "export",
        "bridge-face",
        "--target",
        target,
    ]
    for target in ("onnx", "tflite", "coreml", "tensorrt")
}


def seconds(words: list[str], folder: str) -> float:
    """Return the wall time of one fresh process.

    Raises:
        EdgeSdkError: the command failed.
    """
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EdgeSdkError(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}")
    return time.perf_counter() - begin


def measure(rounds: int) -> dict[str, list[float]]:
    """Return seconds per command; small ones in turns, exports once into a fresh folder each."""
    with TemporaryDirectory() as folder:
        samples: dict[str, list[float]] = {name: [] for name in SMALL}
        for _ in range(rounds):
            for name, words in SMALL.items():
                samples[name].append(seconds(words, folder))
        for name, words in LARGE.items():
            try:
                samples[name] = [seconds([*words, "--quiet"], folder)]
            except EdgeSdkError as error:
                sys.stderr.write(f"left out: {error}\n")
    return samples


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/cost.json"))
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    samples = measure(asked.rounds)
    rows = [[n, len(v), f"{1000 * statistics.median(v):.0f}"] for n, v in samples.items()]
    over = statistics.median(samples["import numpy, edgesdk"]) - statistics.median(
        samples["import numpy"]
    )
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "cost",
        "command": "python -m edgesdk_benchmarks.cost",
        "environment": environment(),
        "samples_s": samples,
        "edgesdk_over_numpy_s": over,
    }
    write_json(asked.output, document)
    sys.stdout.write(plain_table(("command", "runs", "median ms"), rows) + "\n")
    sys.stdout.write(f"import edgesdk over numpy: {1000 * over:.1f} ms\nwritten {asked.output}\n")


if __name__ == "__main__":
    main()
