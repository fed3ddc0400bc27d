"""Runs under qemu in the ARM64 Python of tools/phones.sh: embed the golden crops of bundles.

arm64_answer.py OUT BUNDLE ...      writes OUT/0.npy ..., OUT/versions.json, OUT/golden.json
"""

import json
import platform
import sys
from pathlib import Path

import numpy as np

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle
from edgesdk.core.golden import read_golden
from edgesdk_export._golden import check_golden
from edgesdk_runtimes._open import open_session


def main(out: Path, folders: list[str]) -> None:
    versions, golden = {"machine": platform.machine()}, []
    for number, folder in enumerate(folders):
        bundle = read_bundle(folder)
        ((name, prepare),) = bundle.preprocess.items()
        with open_session(bundle) as session:
            outputs = session.run({name: prepare(read_golden(bundle).pictures)})
            golden.append(check_golden(bundle, session.run)[0])
        np.save(out / f"{number}.npy", next(iter(outputs.values())))
        versions[session.runtime] = plugins.load(plugins.RUNTIMES, session.runtime).version()
    (out / "versions.json").write_text(json.dumps(versions))
    (out / "golden.json").write_text(json.dumps(golden))


main(Path(sys.argv[1]), sys.argv[2:])
