"""What a local round costs against a plain torch loop over the same batches, in CPU seconds.

python tools/federated_cost.py -o training/results/federated-cost.json
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from edgesdk.core import plugins
from edgesdk.core.files import write_json

PICTURES, CLASSES, REPEATS = 1000, 10, 7


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-o", "--output", type=Path, required=True)
    asked = options.parse_args()
    import torch
    from torch.nn import functional

    from edgesdk_training.federated.local import batches, inputs, whole_state
    from edgesdk_training.federated.networks import network
    from edgesdk_training.federated.seam import Job
    from edgesdk_training.federated.settings import FederatedSettings

    torch.set_num_threads(1)
    config = plugins.load(plugins.STUDENTS, "class-net").config(size=16, width=16, hidden=64)
    model = network("class-net", config, CLASSES, 0).to(memory_format=torch.channels_last)
    begun, random = whole_state(model), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (PICTURES, 16, 16, 3), dtype=torch.uint8, generator=random)
    labels = torch.arange(PICTURES) % CLASSES
    job = Job(model, begun, begun, begun, images, labels, CLASSES, FederatedSettings(), 1, 0, 0)

    def plain() -> None:
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-5)
        model.train()
        for chosen in batches(job):
            loss = functional.cross_entropy(model(inputs(images[chosen])), labels[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    def spent(work: Callable[[], object]) -> float:
        begin = time.process_time()
        work()
        return time.process_time() - begin

    names = ("fedavg", "fedprox", "fedntd", "fedlmd", "fedper", "fedbsd", "pfedsd", "fedckd")
    methods = {name: plugins.load(plugins.METHODS, name) for name in names}
    rows: dict[str, list[float]] = {"plain loop": [], **{name: [] for name in names}}
    for _ in range(REPEATS):
        rows["plain loop"].append(spent(plain))
        for name, method in methods.items():
            rows[name].append(spent(lambda method=method: method.local(job)))
    seconds = {name: median(values) for name, values in rows.items()}
    ratios = {name: value / seconds["plain loop"] for name, value in seconds.items()}
    about = {"pictures": PICTURES, "size": 16, "width": 16, "hidden": 64, "repeats": REPEATS}
    command = "python tools/federated_cost.py"
    write_json(
        asked.output,
        {"command": command, **about, "cpu_s": seconds, "against_plain": ratios},
    )
    print({name: round(ratio, 2) for name, ratio in ratios.items()})


if __name__ == "__main__":
    main()
