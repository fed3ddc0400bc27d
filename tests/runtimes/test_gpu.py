"""On a real NVIDIA GPU: device memory, a benchmark's facts. Skipped where there is none."""

import threading

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.bundle import read_bundle
from edgesdk.core.cuda import probe
from edgesdk.core.result import BenchPlan
from edgesdk.core.shipped import shipped_bundle
from edgesdk_benchmarks.bench import bench
from edgesdk_runtimes._cuda import CudaRuntime

pytestmark = pytest.mark.device("cuda")


@pytest.fixture(scope="module")
def gpu():
    found, why = probe()
    if found is None:
        pytest.skip(why)
    return found


@pytest.fixture
def cuda(gpu):
    return CudaRuntime()


def _there_and_back(cuda, array):
    stream, back = cuda.stream(), np.empty_like(array)
    buffer = cuda.buffer(array.nbytes)
    buffer.upload(array, stream)
    buffer.download(back, stream)
    cuda.wait(stream)
    buffer.free()
    cuda.end(stream)
    return back


def test_the_driver_describes_the_gpu(gpu):
    assert gpu.sm.startswith("SM")
    assert int(gpu.sm[2:]) >= 50
    assert gpu.name
    assert float(gpu.cuda) >= 11


@pytest.mark.parametrize("size", [1, 4096 * 3 * 16 * 16])
def test_memory_holds_what_was_copied(cuda, size):
    array = np.random.default_rng(0).normal(size=size).astype(np.float32)
    assert np.array_equal(_there_and_back(cuda, array), array)


def test_another_thread_copies_too(cuda):
    array, found = np.arange(1000, dtype=np.float32), []

    def work():
        cuda.enter()
        found.append(_there_and_back(cuda, array))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert np.array_equal(found[0], array)


def test_a_benchmark_names_the_gpu_and_runs_on_it_alone(gpu):
    ort = plugins.load(plugins.RUNTIMES, "ort")
    if "cuda:0" not in ort.devices():
        pytest.skip(f"{ort.version()} has no CUDA; pip install onnxruntime-gpu in its place")
    plan = BenchPlan(duration_s=0.2, iterations=20, scenario="offline")
    bundle = read_bundle(shipped_bundle("bridge-face"))
    (result,) = bench([bundle], plan=plan, device="cuda:0")
    assert result.device["name"] == "cuda:0"
    assert gpu.name in result.environment["gpu"]
    assert set(result.placement) == {"gpu"}
    assert result.memory["peak_mb"]  # the process that starts cold succeeded
