"""The three kinds of machine; only the one without a GPU is real here, the others are fakes."""

import ctypes
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle
from edgesdk.core.cuda import MAJOR, MINOR, Gpu, probe
from edgesdk.core.errors import (
    EdgeSdkError,
    GateFailedError,
    MissingDependencyError,
    UnsupportedError,
)
from edgesdk.core.target import profile_names, read_profile, read_target
from edgesdk.core.verify import read_verification
from edgesdk_export import tensorrt as exporter
from edgesdk_export._engine import build_engine
from edgesdk_export._pipeline import ExportOptions, export_bundle

pytest.importorskip("onnx", reason="needs the onnx extra")

A100 = Gpu("SM80", "A100", "13.0")
H100 = Gpu("SM90", "H100", "13.0")
RTX3090 = Gpu("SM86", "RTX 3090", "13.0")
NO_DRIVER = (None, "no CUDA driver (libcuda.so.1 was not found)")
real_rtx = pytest.mark.skipif(
    not plugins.installed("tensorrt_rtx"), reason="needs the tensorrt-rtx extra"
)


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets the GPU and the builders of the machine."""

    def become(gpu, *builders, version="11.4.0"):
        found = (gpu, "") if gpu else NO_DRIVER
        present = plugins.installed
        monkeypatch.setattr(exporter, "probe", lambda: found)
        monkeypatch.setattr(exporter, "_installed_version", lambda: version)
        monkeypatch.setattr(
            plugins,
            "installed",
            lambda name: name in builders if name.startswith("tensorrt") else present(name),
        )

    return become


def choose(job):
    return exporter.choose(job, *exporter.probe())


# Which builder, for which GPU.


def test_a_gpu_with_tensorrt_builds_for_itself(machine, make_job):
    machine(H100, "tensorrt", "tensorrt_rtx")
    plan = choose(make_job("tensorrt"))
    assert (plan.builder, plan.accelerators, plan.not_run) == ("tensorrt", (), "")
    assert "for the GPU present, SM90" in plan.why


def test_an_rtx_card_without_tensorrt_builds_by_rtx_and_runs(machine, make_job):
    machine(RTX3090, "tensorrt_rtx")
    plan = choose(make_job("tensorrt"))
    assert (plan.builder, plan.accelerators, plan.not_run) == ("tensorrt_rtx", ("SM86",), "")


def test_a_gpu_that_rtx_does_not_cover_is_refused(machine, make_job):
    machine(H100, "tensorrt_rtx")
    with pytest.raises(UnsupportedError, match="SM90 is not a TensorRT-RTX target") as caught:
        choose(make_job("tensorrt"))
    assert "pip install 'edgesdk[tensorrt]'" in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("gpu", [H100, A100])
def test_a_profile_of_another_card_is_built_ahead_of_time(machine, make_job, gpu):
    machine(gpu, "tensorrt_rtx")
    plan = choose(make_job("tensorrt", profile=read_profile("rtx-30-series")))
    assert plan.accelerators == ("SM86",)
    assert plan.not_run == f"the engine is for SM86, here is {gpu.sm}"


def test_both_builders_and_a_foreign_profile_take_rtx(machine, make_job):
    machine(H100, "tensorrt", "tensorrt_rtx")
    plan = choose(make_job("tensorrt", profile=read_profile("rtx-40-series")))
    assert (plan.builder, plan.accelerators) == ("tensorrt_rtx", ("SM89",))


def test_tensorrt_alone_cannot_build_for_another_card(machine, make_job):
    machine(H100, "tensorrt")
    with pytest.raises(UnsupportedError, match="profile is for SM86, this GPU is SM90"):
        choose(make_job("tensorrt", profile=read_profile("rtx-30-series")))


def test_without_a_gpu_four_generations_are_built_and_none_is_run(machine, make_job):
    machine(None, "tensorrt_rtx")
    plan = choose(make_job("tensorrt"))
    assert plan.accelerators == ("SM80", "SM86", "SM89", "SM120")
    assert plan.not_run == NO_DRIVER[1]


def test_without_a_gpu_tensorrt_itself_is_of_no_use(machine, make_job):
    machine(None, "tensorrt")
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[tensorrt-rtx\]"):
        choose(make_job("tensorrt"))


def test_a_jetson_is_no_rtx_target(machine, make_job):
    machine(None, "tensorrt_rtx")
    with pytest.raises(UnsupportedError, match="SM87 is not a TensorRT-RTX target"):
        choose(make_job("tensorrt", profile=read_profile("jetson-orin")))


def test_an_old_tensorrt_is_refused(machine, make_job):
    machine(RTX3090, "tensorrt", version="10.9.0")
    with pytest.raises(UnsupportedError, match=r"TensorRT 10\.9\.0 is installed, 11 or newer"):
        choose(make_job("tensorrt"))


@pytest.mark.parametrize(
    ("gpu", "extra"), [(None, "edgesdk[tensorrt-rtx]"), (H100, "edgesdk[tensorrt]")]
)
def test_nothing_installed_is_one_command(machine, export, out, gpu, extra):
    machine(gpu)
    with pytest.raises(EdgeSdkError) as caught:
        export("tensorrt")
    assert caught.value.exit_code == 3
    assert f"pip install '{extra}'" in str(caught.value)
    assert not out.exists()


def test_profiles_name_what_they_are_for():
    covered = read_target("tensorrt").options["rtx_accelerators"]
    for name in profile_names():
        profile = read_profile(name)
        assert profile.target == "tensorrt"
        assert sorted(profile.batch) == list(profile.batch)
        assert name == "jetson-orin" or set(profile.accelerators) <= set(covered)


# The probe.


class Driver:
    """Answers as libcuda does."""

    def __init__(self, count=1, init=0, sm=(8, 6)):
        self.count, self.init, self.sm = count, init, sm

    def cuInit(self, flags):  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device, number):  # noqa: N802
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        value._obj.value = dict(zip((MAJOR, MINOR), self.sm, strict=True))[attribute]
        return 0

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = 13020
        return 0

    def cuDeviceGetName(self, name, size, device):  # noqa: N802
        name.value = b"RTX 3090"
        return 0


def test_the_probe_reads_the_card():
    assert probe(lambda name: Driver()) == (Gpu("SM86", "RTX 3090", "13.2"), "")
    assert probe(lambda name: Driver(sm=(12, 0)))[0].sm == "SM120"


@pytest.mark.parametrize(
    ("driver", "words"),
    [(Driver(init=100), "cuInit failed"), (Driver(count=0), "finds no GPU")],
)
def test_a_driver_without_a_card_is_a_reason(driver, words):
    gpu, reason = probe(lambda name: driver)
    assert gpu is None
    assert words in reason


def test_no_driver_is_a_reason():
    def absent(name):
        raise OSError(name)

    assert "no CUDA driver" in probe(absent)[1]
    assert ctypes.CDLL is probe.__defaults__[0]


# A GPU with TensorRT 11, as a fake that records what it is told.


class FakeTensorRt:
    """Enough of the module `tensorrt` to build an engine, keeping the calls."""

    __version__ = "11.4.0.106"
    __name__ = "tensorrt"

    class NetworkDefinitionCreationFlag:
        STRONGLY_TYPED = 1

    class BuilderFlag:
        TF32 = "TF32"

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING = range(3)

        def __init__(self):
            pass

    def __init__(self, parses=True, profile=0, builds=True):
        self.calls = []
        self.answers = SimpleNamespace(parses=parses, profile=profile, builds=builds)
        fake = self

        class Recorder:
            def __init__(self, name, **answers):
                self.name, self.answers = name, answers

            def __getattr__(self, method):
                if method in ("num_errors",):
                    return 1

                def call(*args):
                    fake.calls.append((self.name, method, args))
                    return self.answers.get(method)

                return call

        def builder(logger):
            logger.log(fake.ILogger.WARNING, "chatter")
            if not builds:
                logger.log(fake.ILogger.ERROR, "[E] Error Code 4:\n no kernel")
            return Recorder(
                "builder",
                create_network="network",
                create_builder_config=Recorder("config", add_optimization_profile=profile),
                create_optimization_profile=Recorder("profile"),
                build_serialized_network=b"engine" if builds else None,
            )

        error = SimpleNamespace(node_operator=lambda: "DFT", desc=lambda: "Plugin not found")
        self.Builder = builder
        self.OnnxParser = lambda network, logger: Recorder(
            "parser", parse_from_file=parses, get_error=error
        )

    def call(self, name):
        return next(args for _, method, args in self.calls if method == name)


def test_a_strongly_typed_engine_is_built_for_the_gpu_present(machine, monkeypatch, make_job):
    machine(H100, "tensorrt")
    fake = FakeTensorRt()
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    artefact = exporter.PLUGIN.export(make_job("tensorrt", "fp16"))
    assert artefact.format == "tensorrt-engine"
    assert artefact.not_run == ""
    assert artefact.build["accelerators"] == ["SM90"]
    assert (artefact.build["builder_version"], artefact.build["gpu"]) == ("11.4.0.106", "H100")
    assert fake.call("create_network") == (2,)
    assert fake.call("clear_flag") == ("TF32",)
    shapes = [(1, 3, 16, 16), (64, 3, 16, 16), (256, 3, 16, 16)]
    assert fake.call("set_shape") == ("image", *shapes)
    assert not [m for _, m, _ in fake.calls if m == "set_compute_capability"]


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (FakeTensorRt(parses=False), "DFT: Plugin not found"),
        (FakeTensorRt(profile=-1), r"batch sizes \(1, 64, 256\) were refused"),
        (FakeTensorRt(builds=False), "Error Code 4: no kernel"),
    ],
)
def test_the_builders_own_words_are_the_error(source, fake, words):
    with pytest.raises(UnsupportedError, match=words):
        build_engine(fake, source.entry_path, source.inputs, (1, 64, 256))


# No GPU, with the real TensorRT-RTX.


@real_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_ahead_of_time_the_onnx_file_stands_in(machine, export, precision):
    machine(None, "tensorrt_rtx")
    bundle = export("tensorrt", precision)
    assert bundle.format == "tensorrt-rtx-engine"
    assert bundle.entry_path.stat().st_size > 1000
    assert (bundle.path / bundle.proxy).is_file()
    assert bundle.verify == {"file": "verify.json", "level": "proxy", "verdict": "not-run"}
    found = read_verification(bundle.path / "verify.json")
    assert found.proxy == "pass"
    assert found.by["runtime"] == "ort"
    assert found.reasons == (NO_DRIVER[1],)
    assert bundle.build["rebuild"].startswith("edgesdk export BUNDLE --target tensorrt")


@real_rtx
def test_a_wrong_proxy_is_a_failed_gate(machine, export, out, spoil):
    machine(None, "tensorrt_rtx")

    def change(folder, artefact):
        (folder / artefact.proxy).write_bytes(b"no model")

    spoil("tensorrt", change)
    with pytest.raises(GateFailedError, match="cannot open"):
        export("tensorrt")
    assert [p.name for p in out.iterdir()] == ["tiny-face-tensorrt-fp32.rejected"]


@real_rtx
def test_an_engine_is_built_again_from_its_own_bundle(machine, export, tmp_path):
    machine(None, "tensorrt_rtx")
    first = export("tensorrt", "int8")
    asked = ExportOptions("tensorrt", profile="rtx-40-series")
    second = export_bundle(read_bundle(first.path), asked, tmp_path / "again")
    assert second.path.name == "tiny-face-tensorrt-int8-rtx-40-series"
    assert second.build["accelerators"] == ["SM89"]
    onnx_files = [(b.path / b.proxy).read_bytes() for b in (first, second)]
    assert onnx_files[0] == onnx_files[1]
    golden = "golden/embedding.f32"
    assert (first.path / golden).read_bytes() == (second.path / golden).read_bytes()
    with pytest.raises(UnsupportedError, match="only be built again at its precision"):
        export_bundle(first, ExportOptions("tensorrt", "fp16"), tmp_path)


@real_rtx
def test_two_builds_share_the_recipe_though_not_the_bytes(machine, export):
    machine(None, "tensorrt_rtx")
    first = export("tensorrt", "fp16")
    second = export("tensorrt", "fp16", force=True)
    assert first.build["export_sha256"] == second.build["export_sha256"]


@real_rtx
def test_a_bundle_of_another_machine_is_not_taken_for_this_one(machine, export, monkeypatch):
    machine(None, "tensorrt_rtx")
    first = export("tensorrt")
    assert export("tensorrt") == first
    machine(H100, "tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRt())
    second = export("tensorrt", verify=False)
    assert second.format == "tensorrt-engine"


@real_rtx
def test_an_operator_it_does_not_know_is_named(source, tmp_path):
    import onnx
    import tensorrt_rtx

    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    axis = onnx.numpy_helper.from_array(np.array(0), "axis")
    graph = onnx.helper.make_graph(
        [node("DFT", ["x", "", "axis"], ["y"])],
        "dft",
        [value("x", 1, [8, 1])],
        [value("y", 1, [8, 2])],
        [axis],
    )
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "m")
    with pytest.raises(
        UnsupportedError, match=r"TensorRT-RTX refuses the network: DFT: .*not found"
    ):
        build_engine(tensorrt_rtx, tmp_path / "m", (), (1, 1, 1), ["SM86"])
