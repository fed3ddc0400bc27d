"""The contract of an exporter: what each target must keep, whoever wrote it.

class TestMine(ExporterContract):
    target = "mine"

    @pytest.fixture
    def source(self):
        return read_checkpoint("...")
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import VERIFY, Bundle, Checkpoint, read_bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.source import FORMS
from edgesdk.core.target import Target, read_target
from edgesdk.core.verify import Verification, read_verification


class ExporterContract:
    """Subclass it, set `target`, and give a tiny `source` that the exporter accepts.

    Attributes:
        target: Name of the exporter.
    """

    target = ""

    @pytest.fixture
    def source(self) -> Checkpoint | Bundle:
        """Return what to export; a subclass gives it."""
        raise NotImplementedError

    @pytest.fixture
    def exporter(self) -> Any:
        """Return the plug-in under test."""
        return plugins.load(plugins.EXPORTERS, self.target)

    @pytest.fixture
    def constraints(self, exporter: Any) -> Target:
        """Return the constraints of the target."""
        return read_target(self.target, type(exporter).__module__.split(".")[0])

    def test_says_what_it_is_and_needs(self, exporter: Any) -> None:
        """Aliases lead to it, needs are named, and each form of a network is a known one."""
        assert all(plugins.resolve(plugins.EXPORTERS, a) == self.target for a in exporter.aliases)
        assert set(exporter.accepts) <= set(FORMS)
        assert exporter.accepts
        assert exporter.extra or not exporter.requires
        assert exporter.available() is None or isinstance(exporter.available(), str)

    def test_constraints_are_whole(self, constraints: Target) -> None:
        """Each precision has a tolerance that checks something; runtimes are known."""
        assert set(constraints.tolerance) == set(constraints.precisions)
        for tolerance in constraints.tolerance.values():
            limits = (tolerance.atol, tolerance.relative_to_max, tolerance.cosine_p1)
            assert any(limit is not None for limit in limits)
        for name in constraints.runtimes:
            assert plugins.resolve(plugins.RUNTIMES, name) == name

    def test_every_precision_gives_a_proven_bundle(
        self, source: Checkpoint | Bundle, constraints: Target, tmp_path: Path
    ) -> None:
        """The bundle is whole, named, described and keeps the numbers of its source."""
        for precision in constraints.precisions:
            made = self.make(source, tmp_path, precision=precision)
            bundle = read_bundle(made.path)
            assert bundle == made
            assert bundle.path.name == f"{source.model}-{self.target}-{precision}"
            assert bundle.entry_path.exists()
            assert {"MODEL_CARD.md", "LICENSE.weights", VERIFY} <= set(bundle.files)
            assert set(bundle.licence) >= {"weights", "data"}
            assert bundle.tool_versions["edgesdk"]
            self.check_proof(bundle, read_verification(bundle.path / VERIFY))

    def check_proof(self, bundle: Bundle, found: Verification) -> None:
        """Check that the artefact, or its proxy with a reason, passed every comparison."""
        assert "pass" in (found.verdict, found.proxy), found.reasons
        assert found.verdict != "not-run" or found.reasons
        assert found.samples >= 64
        assert set(found.outputs) == {spec.name for spec in bundle.outputs}
        assert found.batch
        assert {"pre", "infer"} <= set(found.stages)
        assert set(found.stages.values()) == {"pass"}
        assert bundle.verify["verdict"] == found.verdict

    def test_tensors_are_those_of_the_source(
        self, source: Checkpoint | Bundle, tmp_path: Path
    ) -> None:
        """Names, sizes and types are the caller's; the batch is free unless asked."""
        from edgesdk_export._source import source_of, specs

        free, fixed = self.make(source, tmp_path), self.make(source, tmp_path, batch=3)
        for made, first in ((free, None), (fixed, 3)):
            for side, wanted in zip(
                (made.inputs, made.outputs), specs(source_of(source)), strict=True
            ):
                shapes = [(s.name, s.shape[0], s.shape[1:], s.dtype) for s in side]
                assert shapes == [(w.name, first, w.shape[1:], w.dtype) for w in wanted]

    def test_equal_requests_have_equal_recipes(
        self, source: Checkpoint | Bundle, tmp_path: Path
    ) -> None:
        """The recipe's hash is that of the request, whatever the bytes of the file."""
        one = self.make(source, tmp_path / "one")
        two = self.make(source, tmp_path / "two")
        other = self.make(source, tmp_path / "two", batch=2)
        assert one.build["export_sha256"] == two.build["export_sha256"]
        assert one.build["export_sha256"] != other.build["export_sha256"]

    def test_unknown_precision_is_named(self, source: Checkpoint | Bundle, tmp_path: Path) -> None:
        """A precision that is not offered is an error of usage, and nothing is written."""
        with pytest.raises(UsageError, match="offers no precision 'fp7'"):
            self.make(source, tmp_path / "out", precision="fp7")
        assert not (tmp_path / "out").exists()

    def make(self, source: Checkpoint | Bundle, out: Path, **options: Any) -> Bundle:
        """Export `source` to the target under test."""
        from edgesdk_export._pipeline import ExportOptions, export_bundle

        asked: Mapping[str, Any] = {"force": True, **options}
        return export_bundle(source, ExportOptions(self.target, **asked), out)
