"""A training step compiled, and recorded once and replayed: a GPU waits for the CPU no more.

A small network's step is a thousand tiny kernels, and Python needs longer to start them than
the GPU to run them, so they are started as one CUDA graph. Compiled they are fewer, and read
and write each map fewer times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import EdgeSdkError

if TYPE_CHECKING:
    from torch import Generator, Tensor

# Steps done before, so that what a first step sets up lies ready.
FIRST = 4

Result = tuple["Tensor", dict[str, "Tensor"]]


def compiled(network: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Return `network` compiled for inputs of one shape, at the first call.

    Raises:
        EdgeSdkError: at that call, where what compiles is missing or fails.
    """
    import torch
    from torch._dynamo.exc import TorchDynamoException

    fast = torch.compile(network, dynamic=False)

    def run(inputs: Tensor) -> Any:
        try:
            return fast(inputs)
        except TorchDynamoException as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EdgeSdkError(
                f"compiled=true: torch.compile failed ({said}). It needs a C++ compiler, on a GPU "
                "Triton too; without them leave compiled out"
            ) from error

    return run


class Recorded:
    """Does what `learn` does, from the fifth step on as a CUDA graph.

    Every step must have the same shapes, and ask the GPU for nothing while it runs.
    """

    def __init__(self, learn: Callable[[Tensor, Any], Result], generator: Generator) -> None:
        self._learn, self._generator = learn, generator
        self._done = 0
        self._stream: Any = None
        self._graph: Any = None

    def __call__(self, order: Tensor, rate: float) -> Result:
        """Do one step.

        Args:
            order: Indices of its items, on the GPU.
            rate: Learning rate.

        Returns:
            Loss and scalars; the next step overwrites them.
        """
        import torch

        if self._graph is None:
            self._order, self._rate = order.clone(), torch.zeros((), device=order.device)
        self._order.copy_(order)
        self._rate.fill_(rate)
        self._done += 1
        if self._done <= FIRST:
            return self._aside()
        if self._graph is None:
            self._record()
        self._graph.replay()
        return self._result

    def _aside(self) -> Result:
        """Do a step on a stream of its own, as recording asks of those before it."""
        import torch

        self._stream = self._stream or torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = self._learn(self._order, self._rate)
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def _record(self) -> None:
        import torch

        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(self._generator)
        with torch.cuda.graph(self._graph):
            self._result = self._learn(self._order, self._rate)
