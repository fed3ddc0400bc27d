"""Device memory and streams through the CUDA driver's own library; no Python package needed."""

from __future__ import annotations

import ctypes
from typing import Any

from edgesdk.core.cuda import LIBRARY
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.tensors import Array


class CudaRuntime:
    """The primary context of one GPU.

    Args:
        index: Number of the GPU.
        library: The driver's library; tests hand in their own.

    Raises:
        EdgeSdkError: the driver refuses.
    """

    def __init__(self, index: int = 0, library: Any = None) -> None:
        self._library = ctypes.CDLL(LIBRARY) if library is None else library
        device, self._context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), index)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self.enter()

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver; raises EdgeSdkError on any code but 0."""
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise EdgeSdkError(f"the CUDA driver refused {name} (code {code}); see nvidia-smi")

    def enter(self) -> None:
        """Make the context current in the calling thread, which may not be the one it began in."""
        self.call("cuCtxSetCurrent", self._context)

    def stream(self) -> int:
        """Return a new stream."""
        stream = ctypes.c_void_p()
        self.call("cuStreamCreate", ctypes.byref(stream), 0)
        return stream.value or 0

    def wait(self, stream: int) -> None:
        """Wait until all work of the stream is done."""
        self.call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def end(self, stream: int) -> None:
        """Destroy a stream."""
        self.call("cuStreamDestroy_v2", ctypes.c_void_p(stream))

    def buffer(self, size: int) -> Buffer:
        """Return `size` bytes of device memory."""
        return Buffer(self, size)


class Buffer:
    """Device memory.

    Attributes:
        size: Bytes.
        address: Device address.
    """

    def __init__(self, cuda: CudaRuntime, size: int) -> None:
        self._cuda, self.size = cuda, size
        pointer = ctypes.c_uint64()
        cuda.call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        self.address = int(pointer.value)

    def upload(self, array: Array, stream: int) -> None:
        """Copy a contiguous array to the device."""
        self._cuda.call(
            "cuMemcpyHtoDAsync_v2", ctypes.c_uint64(self.address), array.ctypes.data_as(_VOID),
            ctypes.c_size_t(array.nbytes), ctypes.c_void_p(stream),
        )  # fmt: skip

    def download(self, array: Array, stream: int) -> None:
        """Copy from the device into a contiguous array."""
        self._cuda.call(
            "cuMemcpyDtoHAsync_v2", array.ctypes.data_as(_VOID), ctypes.c_uint64(self.address),
            ctypes.c_size_t(array.nbytes), ctypes.c_void_p(stream),
        )  # fmt: skip

    def free(self) -> None:
        """Give the memory back."""
        self._cuda.call("cuMemFree_v2", ctypes.c_uint64(self.address))


_VOID = ctypes.c_void_p
