"""A network in OpenVINO's format, run in torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from tools.openvino_ir import OPERATORS, Graph  # noqa: E402

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
    honest = path.read_text()
    for there, instead, named in (
        ('type="PReLU"', 'type="Mish"', "Mish"),
        ('type="f32" shape="1"', 'type="f16" shape="1"', "Const of f16"),
        ('strides="2, 2"', 'strides="2, 2" dilations="2, 2"', "with dilations=2, 2"),
        ('strides="2, 2"', 'strides="2, 2" pads_end="1, 1"', "with unlike pads"),
    ):
        path.write_text(honest.replace(there, instead))
        with pytest.raises(ValueError, match=f"{named} not known here"):
            Graph(path)


X = np.arange(48, dtype=np.float32).reshape(2, 3, 2, 4)


@pytest.mark.parametrize(
    ("kind", "data", "others", "wanted"),
    [
        ("Add", {}, [X], X + X),
        ("Multiply", {}, [X], X * X),
        ("Power", {}, [np.float32(2)], X**2),
        ("Concat", {"axis": "1"}, [X], np.concatenate([X, X], 1)),
        ("Gather", {}, [np.array(1), np.array(2)], X[:, :, 1]),
        ("Gather", {}, [np.array([2, 0]), np.array(1)], X[:, [2, 0]]),
        ("Gather", {}, [np.array([[2, 0], [1, 1]]), np.array(1)], X[:, [[2, 0], [1, 1]]]),
        ("ReduceMean", {"keep_dims": "true"}, [np.array([1])], X.mean(1, keepdims=True)),
        ("ReduceMean", {"keep_dims": "false"}, [np.array([1, 3])], X.mean((1, 3))),
        ("Reshape", {"special_zero": "true"}, [np.array([0, -1])], X.reshape(2, -1)),
        ("Unsqueeze", {}, [np.array([0, 2])], X[None, :, None]),
        ("Tile", {}, [np.array([1, 2, 1, 1])], np.tile(X, (1, 2, 1, 1))),
        ("Broadcast", {}, [np.array([5, 1, 3, 1, 1])], np.broadcast_to(X, (5, 2, 3, 2, 4))),
        ("PReLU", {}, [np.array([0.1, 0.2, 0.3], np.float32)], X),
        ("ShapeOf", {}, [], np.array(X.shape)),
    ],
)
def test_an_operator_answers_as_numpy(kind, data, others, wanted):
    given = [torch.from_numpy(np.array(value)) for value in (X, *others)]
    np.testing.assert_allclose(OPERATORS[kind](data, *given).numpy(), wanted, rtol=1e-6)


def test_splitting_and_squeezing():
    x, axis = torch.from_numpy(X), torch.tensor(1)
    first, rest = OPERATORS["VariadicSplit"]({}, x, axis, torch.tensor([1, -1]))
    assert (first.shape, rest.shape) == ((2, 1, 2, 4), (2, 2, 2, 4))
    assert OPERATORS["Squeeze"]({}, first, torch.tensor([1])).shape == (2, 2, 4)


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_know_their_groups(groups):
    x = torch.ones(1, 2, 5, 5)
    kernel = torch.ones((2, 1, 1, 3, 3) if groups == 2 else (1, 2, 3, 3))
    data = {"strides": "2, 2", "pads_begin": "1, 1"}
    answer = OPERATORS["GroupConvolution" if groups == 2 else "Convolution"](data, x, kernel)
    corner = 4 if groups == 2 else 8
    assert answer.shape == (1, groups, 3, 3)
    assert answer[0, 0, 0, 0] == corner
