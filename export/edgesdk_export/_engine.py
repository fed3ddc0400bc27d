"""Build an engine from an ONNX file by TensorRT or TensorRT-RTX, whose builders are alike."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.hush import hush
from edgesdk.core.tensors import TensorSpec

TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}


def build_engine(
    trt: Any,
    onnx_file: Path,
    inputs: Sequence[TensorSpec],
    batch: tuple[int, int, int],
    accelerators: Sequence[str] = (),
) -> bytes:
    """Return a serialised engine; the precision is what the ONNX file says.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`.
        onnx_file: Network to build.
        inputs: Its inputs; a free first axis takes the sizes of `batch`.
        batch: Smallest, usual and largest batch.
        accelerators: Compute capabilities to build for; none: the GPU present.

    Raises:
        UnsupportedError: the builder refused; its own messages are the text.
    """
    logger = _logger(trt)
    with hush():
        builder = trt.Builder(logger)
        network = builder.create_network(_flags(trt))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse_from_file(str(onnx_file)):
            errors = (parser.get_error(i) for i in range(parser.num_errors))
            raise _refusal(trt, [f"{e.node_operator()}: {e.desc()}" for e in errors])
        config = _config(trt, builder, accelerators)
        _add_profile(trt, builder, config, inputs, batch, logger.messages)
        engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise _refusal(trt, logger.messages)
    return bytes(engine)


def _logger(trt: Any) -> Any:
    class Messages(trt.ILogger):  # type: ignore[misc] # the base is only known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.messages.append(message)

    return Messages()


def _flags(trt: Any) -> int:
    # Strong typing is the only kind where the flag is gone.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _config(trt: Any, builder: Any, accelerators: Sequence[str]) -> Any:
    config = builder.create_builder_config()
    # TF32 would round fp32 products to 10 bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    if accelerators:
        config.num_compute_capabilities = len(accelerators)
        for index, name in enumerate(accelerators):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), index)
    return config


def _add_profile(
    trt: Any,
    builder: Any,
    config: Any,
    inputs: Sequence[TensorSpec],
    batch: tuple[int, int, int],
    messages: Sequence[str],
) -> None:
    if all(spec.shape[0] is not None for spec in inputs):
        return
    profile = builder.create_optimization_profile()
    for spec in inputs:
        profile.set_shape(spec.name, *((size, *spec.shape[1:]) for size in batch))
    if config.add_optimization_profile(profile) < 0:
        raise _refusal(trt, [f"the batch sizes {batch} were refused", *messages])


def _refusal(trt: Any, messages: Sequence[str]) -> UnsupportedError:
    text = " / ".join(" ".join(m.split()) for m in messages[-3:]) or "no message was given"
    title = TITLES.get(trt.__name__, trt.__name__)
    return UnsupportedError(
        f"{title} refuses the network: {text}; try another precision or profile"
    )


def engine_facts(trt: Any, accelerators: Sequence[str], **more: Any) -> Mapping[str, Any]:
    """Return what a runtime must know to open the engine."""
    return {
        "builder": trt.__name__,
        "builder_version": trt.__version__,
        "accelerators": list(accelerators),
        **more,
    }
