"""Coded outputs: the embedding is brought back to unit length, what stands beside it is not."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
from torch import nn  # noqa: E402

from edgesdk.verbs.export import export  # noqa: E402

pytestmark = pytest.mark.torch


class Two(nn.Module):
    """An embedding, and a picture that the network shows beside it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.look, self.say = nn.Conv2d(3, 3, 3, 1, 1), nn.Linear(192, 4)

    def forward(self, x):
        shown = torch.tanh(self.look(x))
        return nn.functional.normalize(self.say(shown.flatten(1)), dim=1), shown


def network():
    return Two().eval(), (torch.zeros(2, 3, 8, 8),)


@pytest.mark.parametrize(
    ("target", "library"), [("tflite", "litert_torch"), ("executorch", "executorch")]
)
def test_only_the_embedding_of_a_coded_file_is_brought_to_unit_length(target, library, tmp_path):
    pytest.importorskip(library, reason=f"needs the {target} extra")
    from edgesdk.core import plugins

    here = "tests.runtimes.test_renormalised:network"
    bundle = export(here, target=target, precision="int8", calib_samples=32, output_dir=tmp_path)
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    runtime = plugins.load(plugins.RUNTIMES, "litert" if target == "tflite" else target)
    told = replace(bundle, build={**bundle.build, "renormalise": True})
    found = [
        runtime.open(one, "cpu", 1).run({bundle.inputs[0].name: image}) for one in (bundle, told)
    ]
    embedding, shown = (spec.name for spec in bundle.outputs)
    assert np.linalg.norm(found[1][embedding]) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(found[0][shown], found[1][shown])
    want = Two().eval()(torch.from_numpy(image))[1].detach().numpy()
    assert np.abs(found[1][shown] - want).max() < 0.05
