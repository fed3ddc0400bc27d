"""The TensorRT runtime against fakes: the project's machines have no GPU."""

import ctypes
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.cuda import Gpu
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.shipped import shipped_bundle
from edgesdk_runtimes import tensorrt
from edgesdk_runtimes._cuda import CudaRuntime

BUILD = {"builder_version": "11.0", "accelerators": ["SM86"], "rebuild": "edgesdk export X",
         "batch": [1, 2, 4]}  # fmt: skip


class FakeCuda:
    """The driver's library with host memory in place of device memory."""

    def __init__(self):
        self.memory, self.calls = {}, []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append(name)
            return getattr(self, f"_{name}", lambda *_: 0)(*arguments)

        return call

    def _cuMemAlloc_v2(self, pointer, size):  # noqa: N802
        room = ctypes.create_string_buffer(size.value)
        address = ctypes.addressof(room)
        self.memory[address] = room
        pointer._obj.value = address
        return 0

    def _cuMemcpyHtoDAsync_v2(self, device, host, size, stream):  # noqa: N802
        ctypes.memmove(device.value, host, size.value)
        return 0

    def _cuMemcpyDtoHAsync_v2(self, host, device, size, stream):  # noqa: N802
        ctypes.memmove(host, device.value, size.value)
        return 0

    def _cuMemFree_v2(self, device):  # noqa: N802
        del self.memory[device.value]
        return 0


class FakeContext:
    """Answers twice its input's first 128 values, as an engine would into its buffers."""

    def __init__(self):
        self.shapes, self.addresses = {}, {}

    def set_input_shape(self, name, shape):
        if shape[0] > 4:  # like the library: refused, and the shape before stays
            return False
        self.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        return (self.shapes["image"][0], 128)

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        batch = self.shapes["image"][0]
        image = np.ctypeslib.as_array(
            (ctypes.c_float * (batch * 768)).from_address(self.addresses["image"])
        )
        out = np.ctypeslib.as_array(
            (ctypes.c_float * (batch * 128)).from_address(self.addresses["embedding"])
        )
        out[:] = 2 * image.reshape(batch, 768)[:, :128].ravel()
        return True


@pytest.fixture
def fake(monkeypatch):
    """Install a fake tensorrt on a fake GPU, and return its driver."""
    engine = types.SimpleNamespace(create_execution_context=FakeContext, num_layers=9)
    runtime = types.SimpleNamespace(deserialize_cuda_engine=lambda content: engine)
    module = types.ModuleType("tensorrt")
    module.__version__ = "11.0"
    module.Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None})
    module.Runtime = lambda logger: runtime
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(tensorrt.plugins, "installed", lambda name: name == "tensorrt")
    monkeypatch.setattr(tensorrt, "probe", lambda: (Gpu("SM86", "Fake 3080", "13.0"), ""))
    driver = FakeCuda()
    monkeypatch.setattr(tensorrt, "CudaRuntime", lambda: CudaRuntime(0, driver))
    return driver


@pytest.fixture
def bundle():
    shipped = read_bundle(shipped_bundle("bridge-face"))
    return replace(shipped, format="tensorrt-engine", build=BUILD)


def test_a_batch_is_copied_in_run_and_copied_out(fake, bundle):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    with tensorrt.PLUGIN.open(bundle, "cuda:0", 1) as session:
        for count in (1, 3, 2):
            found = session.run({"image": images[:count]})["embedding"]
            assert np.allclose(found, 2 * images[:count].reshape(count, -1)[:, :128])
        assert session.placement() == {"gpu": 9}
        with pytest.raises(
            UnsupportedError, match=r"refused the batch; its profile allows \[1, 2, 4\]"
        ):
            session.run({"image": np.zeros((5, 3, 16, 16), np.float32)})
    assert fake.memory == {}
    assert "cuStreamSynchronize" in fake.calls
    assert fake.calls.count("cuStreamDestroy_v2") == 1


def test_a_view_with_strides_is_copied_as_it_reads(fake, bundle):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    turned = images.transpose(0, 3, 1, 2)
    with tensorrt.PLUGIN.open(bundle, "cuda:0", 1) as session:
        found = session.run({"image": turned})["embedding"]
    assert np.array_equal(found, 2 * turned.reshape(2, -1)[:, :128])


def test_another_thread_enters_the_context_first(fake, bundle):
    with tensorrt.PLUGIN.open(bundle, "cuda:0", 1) as session:
        before = fake.calls.count("cuCtxSetCurrent")
        session.run({"image": np.zeros((1, 3, 16, 16), np.float32)})
    assert fake.calls.count("cuCtxSetCurrent") > before
    assert fake.calls.index("cuCtxSetCurrent") < fake.calls.index("cuMemAlloc_v2")


def test_no_execution_context_is_one_sentence(fake, bundle, monkeypatch):
    monkeypatch.setattr(sys.modules["tensorrt"], "Runtime", lambda logger: types.SimpleNamespace(
        deserialize_cuda_engine=lambda content: types.SimpleNamespace(
            create_execution_context=lambda: None)))  # fmt: skip
    with pytest.raises(UnsupportedError, match="no execution context; free memory"):
        tensorrt.PLUGIN.open(bundle, "cuda:0", 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"builder_version": "10.1"}, r"was built by tensorrt 10\.1, here is 11\.0"),
        ({"accelerators": ["SM75"]}, "was built for SM75, the GPU here is SM86"),
    ],
)
def test_a_foreign_engine_is_refused_with_the_rebuild_command(fake, bundle, change, says):
    with pytest.raises(UnsupportedError, match=says + ".*edgesdk export X"):
        tensorrt.PLUGIN.open(replace(bundle, build={**BUILD, **change}), "cuda:0", 1)


def test_the_other_kind_of_engine_is_not_opened(fake, bundle):
    with pytest.raises(UnsupportedError, match="needs tensorrt_rtx"):
        tensorrt.PLUGIN.open(replace(bundle, format="tensorrt-rtx-engine"), "cuda:0", 1)


def test_without_a_driver_no_library_is_touched(monkeypatch):
    monkeypatch.setattr(tensorrt, "probe", lambda: (None, "no CUDA driver"))
    monkeypatch.setattr(tensorrt.plugins, "installed", lambda name: True)
    assert tensorrt.PLUGIN.available() == "no CUDA driver"
    assert tensorrt.PLUGIN.devices() == ()


def test_without_a_package_the_command_is_named(monkeypatch):
    monkeypatch.setattr(tensorrt.plugins, "installed", lambda name: False)
    assert "no CUDA driver" in tensorrt.PLUGIN.available()  # where a package would not help
    monkeypatch.setattr(tensorrt, "probe", lambda: (Gpu("SM86", "card", "13.0"), ""))
    assert "pip install 'edgesdk[tensorrt]'" in tensorrt.PLUGIN.available()


def test_a_refusing_driver_is_one_sentence():
    driver = FakeCuda()
    driver._cuInit = lambda *_: 100
    with pytest.raises(EdgeSdkError, match=r"refused cuInit \(code 100\)"):
        CudaRuntime(0, driver)
