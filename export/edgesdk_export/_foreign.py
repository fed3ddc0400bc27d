"""Read an ONNX file that others made, once, and bring it into the form that all targets take."""

from pathlib import Path
from typing import Any

from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.hush import hush
from edgesdk_export._graph import nodes_of
from edgesdk_export._simplify import simplify
from edgesdk_export._source import Needs, need

ONNX_NEEDS = Needs(("onnx",), "onnx")
PLAIN = ("", "ai.onnx")
# Per-channel scales of int8 came with it, and axes as inputs, which the converters expect.
OPSET = 13
IR = 7  # the format's version that came with that opset
QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul",
             "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")  # fmt: skip
MOST_BYTES = 2**31 - 1


def read_model(file: Path) -> Any:
    """Return the network in an ONNX file, with the weights that lie beside it.

    Raises:
        UsageError: it is no whole ONNX file.
        UnsupportedError: it is too large for one file, or is made of more than plain ONNX.
    """
    need("an ONNX file from outside", ONNX_NEEDS)
    import onnx

    _check_size(file)
    try:
        with hush():
            model = onnx.load(file)
    except OSError as error:
        raise UsageError(f"a part of {file} cannot be read ({error}); put it beside it") from None
    except Exception as error:  # noqa: BLE001 - protobuf and onnx raise classes of their own
        text = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{file} is no ONNX file that can be read ({text}); get it again"
        ) from None
    if not model.graph.node or not model.graph.output:
        raise UsageError(f"{file} holds no network: not one operator; get it again")
    return model


def _check_size(file: Path) -> None:
    size = file.stat().st_size
    if size == 0:
        raise UsageError(f"{file} is empty; get it again")
    if size > MOST_BYTES:
        raise UnsupportedError(
            f"{file} has {size / 1e9:.1f} GB, and no target takes more than 2 GB in one file"
        )
    with file.open("rb") as stream:
        if stream.read(24).startswith(b"version https://git-lfs"):
            raise UsageError(f"{file} is a pointer of Git LFS, no network; get it: git lfs pull")


def normalised(model: Any, name: str) -> tuple[Any, list[str]]:
    """Return the same network in plain ONNX of a current opset, weights no longer inputs.

    Args:
        model: As `read_model` returns it; it is changed.
        name: What messages call it.

    Returns:
        The network, and sentences about what was changed.

    Raises:
        UnsupportedError: an operator is none of plain ONNX.
    """
    notes = []
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
        notes.append("its functions were written out")
    _refuse_custom(model, name)
    stored = {tensor.name for tensor in model.graph.initializer}
    fed = [value for value in model.graph.input if value.name in stored]
    if fed:
        for value in fed:
            model.graph.input.remove(value)
        notes.append(f"{len(fed)} weights were listed as inputs and are none")
    model = _lifted(model, notes)
    return model, [*notes, *simplify(model.graph)]


def write_normalised(file: Path, path: Path) -> None:
    """Write the network in `file` into `path`, in one piece and in plain ONNX."""
    import onnx

    onnx.save(normalised(read_model(file), file.name)[0], path)


def _refuse_custom(model: Any, name: str) -> None:
    foreign = next((n for n in nodes_of(model.graph) if n.domain not in PLAIN), None)
    if foreign is not None:
        raise UnsupportedError(
            f"{name} uses the operator {foreign.op_type} of {foreign.domain}, which is none of "
            "plain ONNX; export the network again without it"
        )


def opset_of(model: Any) -> int:
    """Return the version of the plain operators, 1 where none is named."""
    return max((o.version for o in model.opset_import if o.domain in PLAIN), default=1)


def _lifted(model: Any, notes: list[str]) -> Any:
    """Return the model at OPSET or later; an older one that cannot be lifted stays as it is."""
    from onnx import version_converter

    old = opset_of(model)
    # Below version 4 of the format weights had to be inputs too.
    model.ir_version = max(model.ir_version, 4)
    if old >= OPSET:
        return model
    try:
        with hush():
            lifted = version_converter.convert_version(model, OPSET)
    except Exception:  # noqa: BLE001 - the converter raises anything; fp32 needs no newer opset
        notes.append(f"opset {old} could not be lifted to {OPSET}")
        return model
    lifted.ir_version = max(lifted.ir_version, IR)
    notes.append(f"opset {old} was lifted to {OPSET}")
    return lifted


def precision_of(model: Any) -> str:
    """Return fp32, fp16 or int8: the precision that the network's arithmetic has already."""
    from onnx import TensorProto

    if any(node.op_type in QUANTIZED for node in nodes_of(model.graph)):
        return "int8"
    bytes_of = {TensorProto.FLOAT16: 0, TensorProto.FLOAT: 0}
    for tensor in model.graph.initializer:
        if tensor.data_type in bytes_of:
            bytes_of[tensor.data_type] += len(tensor.raw_data) or 4 * len(tensor.float_data)
    half, full = bytes_of.values()
    return "fp16" if half > full else "fp32"


def parameters_of(model: Any) -> int:
    """Return the number of stored floats and codes."""
    from math import prod

    return sum(prod(tensor.dims) for tensor in model.graph.initializer if tensor.dims)
