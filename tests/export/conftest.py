"""What the tests of the exporters share."""

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.protocols import ExportJob
from edgesdk.core.target import read_target
from edgesdk_export._pipeline import ExportOptions, export_bundle
from edgesdk_export._source import source_of


@pytest.fixture
def source(make_face_bundle):
    """Return a tiny fp32 ONNX bundle."""
    return make_face_bundle(bias=0.1)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def export(source, out):
    """Return a function that exports the tiny bundle into `out`."""

    def run(target="onnx", precision=None, **options):
        few = {"calib_samples": 16, **options}
        return export_bundle(source, ExportOptions(target, precision, **few), out)

    return run


@pytest.fixture
def make_job(source, tmp_path):
    """Return a function that makes the job of an exporter."""

    def make(target, precision="fp32", **values):
        folder = tmp_path / f"job-{target}-{precision}"
        folder.mkdir()
        crops = np.random.default_rng(0).uniform(-1, 1, (8, 3, 16, 16)).astype(np.float32)
        calibration = {"image": crops} if precision == "int8" else {}
        fields = {"source": source, "calibration": calibration, **values}
        fields["source"] = source_of(fields["source"])
        return ExportJob(target=read_target(target), precision=precision, folder=folder, **fields)

    return make


@pytest.fixture
def spoil(monkeypatch):
    """Return a function that lets an exporter's result pass through `change(folder, artefact)`."""

    def patch(target, change):
        exporter = type(plugins.load(plugins.EXPORTERS, target))
        honest = exporter.export

        def export(self, job):
            artefact = honest(self, job)
            return change(job.folder, artefact) or artefact

        monkeypatch.setattr(exporter, "export", export)

    return patch


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a checkpoint of bridge-face at 16 px, weights drawn by a seed."""
    return _drawn("bridge-face", tmp_path_factory)


@pytest.fixture(scope="session", params=[16, pytest.param(24, marks=pytest.mark.slow)])
def plus_checkpoint(request, tmp_path_factory):
    """Return the same of bridge-face-plus, which enlarges faces of 24 px."""
    return _drawn("bridge-face-plus", tmp_path_factory, size=request.param)


def _drawn(name, tmp_path_factory, **chosen):
    torch = pytest.importorskip("torch", reason="needs the train extra")
    from edgesdk_training.checkpoint import save_checkpoint

    student = plugins.load(plugins.STUDENTS, name)
    config = student.config(**chosen)
    torch.manual_seed(0)
    return save_checkpoint(
        tmp_path_factory.mktemp("checkpoint") / "checkpoint",
        name,
        student,
        config,
        student.build(config),
        licence={"weights": "CC0-1.0", "data": "none"},
        provenance={"recipe": "none", "recipe_sha256": "", "commit": ""},
        thresholds={"far_1e-2": {"value": 0.5, "low": 0.4, "high": 0.6}},
    )
