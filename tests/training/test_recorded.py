"""A compiled network answers as before, or says why it cannot be compiled."""

import pytest

from edgesdk.core.errors import EdgeSdkError
from edgesdk_training.recorded import compiled

torch = pytest.importorskip("torch", reason="needs the train extra")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_a_compiled_network_gives_the_same_numbers_and_gradients():
    from edgesdk_training.nets.common import ConvBnRelu

    torch.manual_seed(0)
    layer, x = ConvBnRelu(3, 4, 3), torch.randn(2, 3, 6, 6)

    def learnt(network):
        layer.zero_grad()
        answer = network(x)
        answer.square().sum().backward()
        return answer.detach(), layer.conv.weight.grad.clone()

    for want, found in zip(learnt(layer), learnt(compiled(layer)), strict=True):
        assert torch.allclose(want, found, atol=1e-4)


def test_without_a_compiler_one_sentence_says_so(monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def fail(*args):
        raise TorchDynamoException("no compiler\nand a long tale")

    monkeypatch.setattr(torch, "compile", lambda network, **how: fail)
    with pytest.raises(EdgeSdkError, match=r"failed \(no compiler\)\. It needs a C\+\+ compiler"):
        compiled(lambda x: x)(torch.zeros(1))


def test_a_run_teaches_the_compiled_network(tiny, monkeypatch):
    taken = []
    monkeypatch.setattr(torch, "compile", lambda network, **how: taken.append(how) or network)
    settings = {"direct": True, "mimic": 0.0, "identity": 10.0}
    metrics = tiny("compiled", compiled=True, **settings).metrics
    assert taken == [{"dynamic": False}]
    assert metrics == tiny("plain", **settings).metrics
