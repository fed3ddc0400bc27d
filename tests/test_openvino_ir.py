"""A network in OpenVINO's format, run in torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from tools.openvino_ir import Graph  # noqa: E402

# input [N, 6] @ kernel^T -> [N, 8] -> reshape [N, 2, 2, 2] -> enlarge per channel -> PReLU
NETWORK = """<net><layers>
<layer id="0" name="x" type="Parameter"><output><port id="0"/></output></layer>
<layer id="1" name="w" type="Const"><data element_type="f32" shape="8, 6" offset="0"/><output><port id="0"/></output></layer>
<layer id="2" name="mul" type="MatMul"><data transpose_a="false" transpose_b="true"/><input><port id="0"/><port id="1"/></input><output><port id="2"/></output></layer>
<layer id="3" name="shape" type="Const"><data element_type="i64" shape="4" offset="192"/><output><port id="0"/></output></layer>
<layer id="4" name="cube" type="Reshape"><data special_zero="true"/><input><port id="0"/><port id="1"/></input><output><port id="2"/></output></layer>
<layer id="5" name="k" type="Const"><data element_type="f32" shape="2, 1, 1, 2, 2" offset="224"/><output><port id="0"/></output></layer>
<layer id="6" name="up" type="GroupConvolutionBackpropData"><data strides="2, 2" pads_begin="0, 0" output_padding="0, 0"/><input><port id="0"/><port id="1"/></input><output><port id="2"/></output></layer>
<layer id="7" name="slope" type="Const"><data element_type="f32" shape="1" offset="256"/><output><port id="0"/></output></layer>
<layer id="8" name="act" type="PReLU"><input><port id="0"/><port id="1"/></input><output><port id="2"/></output></layer>
<layer id="9" name="end" type="Result"><input><port id="0"/></input></layer>
</layers><edges>
<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/><edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="2" from-port="2" to-layer="4" to-port="0"/><edge from-layer="3" from-port="0" to-layer="4" to-port="1"/>
<edge from-layer="4" from-port="2" to-layer="6" to-port="0"/><edge from-layer="5" from-port="0" to-layer="6" to-port="1"/>
<edge from-layer="6" from-port="2" to-layer="8" to-port="0"/><edge from-layer="7" from-port="0" to-layer="8" to-port="1"/>
<edge from-layer="8" from-port="2" to-layer="9" to-port="0"/>
</edges></net>"""  # noqa: E501


@pytest.fixture
def network(tmp_path):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(8, 6)).astype(np.float32)
    kernel = random.normal(size=(2, 1, 1, 2, 2)).astype(np.float32)
    shape, slope = np.array([0, 2, 2, 2]), np.array([0.2], np.float32)
    path = tmp_path / "net.xml"
    path.write_text(NETWORK)
    weights = (matrix, shape, kernel, slope)
    path.with_suffix(".bin").write_bytes(b"".join(w.tobytes() for w in weights))
    return path, matrix, kernel


def test_a_network_answers_as_its_operators_say(network):
    path, matrix, kernel = network
    x = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
    cube = (x @ matrix.T).reshape(3, 2, 2, 2)
    large = np.einsum("nchw,cyx->nchywx", cube, kernel[:, 0, 0]).reshape(3, 2, 4, 4)
    wanted = np.where(large > 0, large, 0.2 * large)
    found = Graph(path)(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)
    inner = Graph(path, until="cube")(torch.from_numpy(x))
    np.testing.assert_allclose(inner.numpy(), cube, rtol=1e-5, atol=1e-6)


def test_what_is_not_known_is_named(network):
    path = network[0]
    with pytest.raises(ValueError, match="0 layers called 'nowhere'"):
        Graph(path, until="nowhere")
    path.write_text(path.read_text().replace('type="PReLU"', 'type="Mish"'))
    with pytest.raises(ValueError, match="operators Mish are not known"):
        Graph(path)
