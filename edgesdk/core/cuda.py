"""Ask the CUDA driver what GPU is here, without any package.

This comes before any TensorRT library is touched: without a driver some of them end the
process. Attribute numbers are those of `CUdevice_attribute` in cuda.h.
"""

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first CUDA device of this machine.

    Attributes:
        sm: Compute capability, such as "SM86".
        name: Product name.
        cuda: Highest CUDA version the driver supports, such as "13.0".
    """

    sm: str
    name: str
    cuda: str


def probe(load: Callable[[str], Any] = ctypes.CDLL) -> tuple[Gpu | None, str]:
    """Return the GPU and "", or None and why there is none.

    Args:
        load: Opens the driver's library; tests hand in their own.
    """
    try:
        driver = load(LIBRARY)
    except OSError:
        return None, f"no CUDA driver ({LIBRARY} was not found)"
    if driver.cuInit(0) != 0:
        return None, "the CUDA driver does not start (cuInit failed)"
    count, device = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return None, "the CUDA driver finds no GPU"
    if driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None, "the CUDA driver does not open its first GPU"
    return _describe(driver, device), ""


def _describe(driver: Any, device: ctypes.c_int) -> Gpu:
    major, minor, version = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
    driver.cuDeviceGetAttribute(ctypes.byref(major), MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), MINOR, device)
    driver.cuDriverGetVersion(ctypes.byref(version))
    name = ctypes.create_string_buffer(128)
    driver.cuDeviceGetName(name, len(name), device)
    return Gpu(
        sm=f"SM{major.value}{minor.value}",
        name=name.value.decode(errors="replace"),
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
    )
