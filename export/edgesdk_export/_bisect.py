"""Which layer of an artefact leaves the source first."""

import tempfile
from pathlib import Path

from edgesdk.core.bundle import Bundle
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.tensors import Arrays
from edgesdk_export._find import find_source
from edgesdk_export._layers import Layer, compare_layers, sentence
from edgesdk_export._quantize import to_fp16, to_int8
from edgesdk_export._quiet import converting
from edgesdk_export._source import Source, as_onnx
from edgesdk_export._tflite_layers import compare_tflite
from edgesdk_export._verify import samples


def layers_of(bundle: Bundle, source: Source, arrays: Arrays) -> list[Layer]:
    """Return the layers of a bundle beside those of its source.

    An ONNX file, the one behind an engine and a TensorFlow Lite file are compared themselves;
    another format by the ONNX file that holds its numbers.

    Raises:
        EdgeSdkError: there is no such file.
    """
    batch = bundle.inputs[0].shape[0]
    with tempfile.TemporaryDirectory() as folder, converting("ONNX Runtime"):
        exact, other = Path(folder) / "fp32.onnx", Path(folder) / "other.onnx"
        source.write_onnx(exact, batch)
        if bundle.format == "tflite":
            return compare_tflite(exact, bundle.entry_path, arrays, batch)
        if bundle.format == "onnx" or bundle.proxy:
            other = as_onnx(bundle).entry_path
        elif bundle.precision == "fp32":
            other = exact
        elif bundle.precision == "int8":
            to_int8(exact, other, arrays, {}, batch)
        else:
            to_fp16(exact, other, {})
        return compare_layers(exact, other, arrays, batch)


def where_it_leaves(bundle: Bundle, source: Source, arrays: Arrays) -> str:
    """Say in a sentence which layer leaves the source first, or why nobody can tell."""
    try:
        return _stand_in(bundle) + sentence(layers_of(bundle, source, arrays), bundle.precision)
    except EdgeSdkError as error:
        return f"the layers cannot be compared: {error}"


def _stand_in(bundle: Bundle) -> str:
    itself = bundle.format in ("onnx", "tflite") or bundle.proxy
    return "" if itself else f"in the ONNX file of the same source at {bundle.precision} "


def bisect_bundle(bundle: Bundle, source: Source | None = None) -> str:
    """Say in a sentence which layer of a finished bundle leaves its source first.

    Args:
        bundle: What to look into.
        source: What it was made of; None to look for it.

    Raises:
        UnsupportedError: the source is not on this machine.
    """
    source = source or find_source(bundle)
    if source is None:
        raise UnsupportedError(
            f"the layers of {bundle.path} are compared with those of its source, which was not "
            "found; name it with --source, or leave --bisect out"
        )
    return where_it_leaves(bundle, source, samples(source, None).arrays)
