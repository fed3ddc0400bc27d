"""The contract of a student: what each network must keep, whoever wrote it.

class TestMine(StudentContract):
    student = "mine"
    most_parameters = 220_000
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesdk.core import plugins

# Operators that some converter refuses or makes slow; see the portability rules of the docs.
UNPORTABLE = {"DFT", "PRelu", "Shape", "Expand"}


class StudentContract:
    """Subclass it, set `student`, and name its budget.

    Attributes:
        student: Name of the student.
        most_parameters: Parameters of the exported network at most, None for no limit.
    """

    student = ""
    most_parameters: int | None = None

    @pytest.fixture
    def plugin(self) -> Any:
        """Return the plug-in under test; skips where torch is not installed."""
        plugin = plugins.load(plugins.STUDENTS, self.student)
        absent = plugins.missing(plugin)
        if absent:
            pytest.skip(f"student {self.student} needs {', '.join(absent)}")
        return plugin

    def network(self, plugin: Any) -> Any:
        """Return the folded network of the default configuration, after some statistics."""
        import torch

        torch.manual_seed(0)
        module = plugin.build(plugin.config()).train()
        inputs = [torch.from_numpy(a) for a in plugin.example(plugin.config()).values()]
        for _ in range(3):
            module(*inputs)
        return module.eval()

    def run(self, module: Any, arrays: Any) -> list[Any]:
        """Return the outputs of a module as arrays."""
        import torch

        with torch.no_grad():
            found = module(*[torch.from_numpy(a) for a in arrays.values()])
        parts = found if isinstance(found, tuple | list) else [found]
        return [part.numpy() for part in parts]

    def test_says_what_it_is(self) -> None:
        """Aliases lead to it; the configuration has defaults that a manifest can hold."""
        plugin = plugins.load(plugins.STUDENTS, self.student)
        assert all(plugins.resolve(plugins.STUDENTS, a) == self.student for a in plugin.aliases)
        assert plugin.task
        assert plugin.config(**asdict(plugin.config())) == plugin.config()
        assert plugin.model_name(plugin.config()).startswith(self.student)

    def test_tensors_are_as_specified(self, plugin: Any) -> None:
        """The example fits the inputs, the answer fits the outputs, a pre-processing per image."""
        config = plugin.config()
        inputs, outputs = plugin.specs(config)
        example = plugin.example(config)
        assert list(example) == [spec.name for spec in inputs]
        for spec in inputs:
            assert example[spec.name].shape == (2, *spec.shape[1:])
            assert example[spec.name].dtype == np.dtype(spec.dtype)
        found = self.run(plugin.folded(self.network(plugin)), example)
        assert [a.shape for a in found] == [(2, *spec.shape[1:]) for spec in outputs]
        images = {spec.name for spec in inputs if spec.kind == "image"}
        assert images <= set(plugin.preprocess(config))
        assert plugin.postprocess(config)["kind"]

    def test_folding_changes_no_number(self, plugin: Any) -> None:
        """The network that is shipped answers as the one that was trained."""
        module = self.network(plugin)
        example = plugin.example(plugin.config())
        pairs = zip(
            self.run(plugin.folded(module), example), self.run(module, example), strict=True
        )
        assert all(np.abs(a - b).max() < 1e-4 for a, b in pairs)

    def test_cost_is_counted_and_inside_the_budget(self, plugin: Any) -> None:
        """Parameters are those of the folded network."""
        cost = plugin.cost(plugin.config())
        folded = plugin.folded(plugin.build(plugin.config()))
        assert cost["parameters"] == sum(p.numel() for p in folded.parameters())
        assert cost["macs"] > 0
        assert cost["activation_floats"] > 0
        if self.most_parameters is not None:
            assert cost["parameters"] <= self.most_parameters

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
    # Of inputs that share the batch; torch says so for each but the first.
    @pytest.mark.filterwarnings("ignore:# The axis name:UserWarning")
    def test_its_onnx_holds_portable_operators_only(self, plugin: Any, tmp_path: Path) -> None:
        """One graph fits every target."""
        torch = pytest.importorskip("torch")
        onnx = pytest.importorskip("onnx")
        pytest.importorskip("onnxscript")
        example = tuple(map(torch.from_numpy, plugin.example(plugin.config()).values()))
        dim = torch.export.Dim("batch", min=1, max=4096)
        torch.onnx.export(
            plugin.folded(self.network(plugin)), example, tmp_path / "m.onnx", dynamo=True,
            dynamic_shapes=tuple({0: dim} for _ in example), external_data=False, verbose=False,
        )  # fmt: skip
        found = {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
        assert found & UNPORTABLE == set()
