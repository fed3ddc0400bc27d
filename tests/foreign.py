"""Small ONNX files as others write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesdk.core import plugins
from edgesdk.core.source import Told

CONV = ("Conv", ["image", "w"], ["c"], {"pads": [1, 1, 1, 1]})
POOL = ("GlobalAveragePool", ["c"], ["out"], {})
KIND = plugins.load(plugins.SOURCES, "onnx-file")


def weights(dtype=np.float32):
    values = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(dtype)
    return numpy_helper.from_array(values, "w")


def write(
    path, nodes=(CONV, POOL), shape=("batch", 3, 16, 16), out=("batch", 8, 1, 1), opset=17, **more
):
    """Write a network; `more`: inits, inputs, domains, elem, save, ir."""
    elem, inits = more.get("elem", TensorProto.FLOAT), more.get("inits", [weights()])
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attrs) for op, ins, outs, attrs in nodes],
        "g",
        more.get("inputs", [helper.make_tensor_value_info("image", elem, shape)]),
        more.get("outputs", [helper.make_tensor_value_info("out", elem, out)]),
        inits,
    )
    domains = [helper.make_opsetid(d, 1) for d in more.get("domains", ())]
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), *domains],
        functions=more.get("functions", ()),
    )
    model.ir_version = more.get("ir", 8)
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, path, **more.get("save", {}))
    return path


def open_file(path, **told):
    return KIND.open(path, Told(**told))
