"""The optimiser of kernels: orthogonal steps, and which parameters take them."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgesdk_training.muon import SGD_SHARE, Muon, groups, orthogonal  # noqa: E402


@pytest.mark.parametrize("shape", [(8, 3), (3, 8), (64, 576), (1, 5)])
def test_a_step_keeps_the_directions_and_evens_their_sizes(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ orthogonal(matrix) @ right.T
    sizes = inner.diagonal()
    assert sizes.min() > 0.6
    assert sizes.max() < 1.3
    assert torch.allclose(inner, torch.diag(sizes), atol=1e-4)


def test_kernels_step_together_as_they_would_alone():
    draw = torch.Generator().manual_seed(0)
    shapes = [(4, 6), (6, 2, 3, 1), (4, 6), (9, 4), (4, 2, 3, 1), (4, 6)]
    gradients = [torch.randn(shape, generator=draw) for shape in shapes]
    gradients[1] = gradients[1].to(memory_format=torch.channels_last)

    def stepped(which):
        kernels = [torch.nn.Parameter(torch.zeros_like(gradients[i])) for i in which]
        muon = Muon([{"params": kernels, "orthogonal": True}], lr=0.1)
        for _ in range(2):
            for kernel, i in zip(kernels, which, strict=True):
                kernel.grad = gradients[i].clone()
            muon.step()
        return kernels

    for i, together in enumerate(stepped(range(len(shapes)))):
        assert together.abs().sum() > 0
        assert torch.allclose(together, stepped([i])[0], atol=1e-6)


def test_kernels_take_orthogonal_steps_and_the_rest_sgd():
    module = torch.nn.ModuleDict(
        {
            "student": torch.nn.Sequential(
                torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3, groups=4)
            ),
            "head": torch.nn.Linear(4, 7),
        }
    )
    mixing, heads, vectors = groups(module, 5e-4)
    assert mixing["orthogonal"]
    assert [tuple(p.shape) for p in mixing["params"]] == [(4, 3, 3, 3)]
    assert [tuple(p.shape) for p in heads["params"]] == [(4, 1, 3, 3), (7, 4)]
    assert all(p.ndim == 1 for p in vectors["params"])
    assert len(vectors["params"]) == 3


def test_its_sgd_is_torchs_own():
    ours, theirs = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    muon = Muon([{"params": [ours], "weight_decay": 0.01}], lr=0.02)
    sgd = torch.optim.SGD(
        [theirs], lr=0.02 * SGD_SHARE, momentum=0.9, nesterov=True, weight_decay=0.01
    )
    for _ in range(4):
        for parameter, optimiser in ((ours, muon), (theirs, sgd)):
            parameter.grad = parameter.detach() * torch.tensor([1.0, -2.0, 0.5])
            optimiser.step()
    assert torch.allclose(ours, theirs)


def test_it_solves_what_it_is_for():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(6, 6, generator=generator)
    kernel = torch.nn.Parameter(torch.zeros(6, 6))
    muon = Muon([{"params": [kernel], "orthogonal": True}], lr=0.1)
    for _ in range(300):
        muon.zero_grad()
        (kernel - target).square().sum().backward()
        muon.step()
    assert (kernel - target).norm() < 0.1 * target.norm()


def test_it_goes_on_from_its_state():
    def advance(parameter, optimiser, steps):
        for _ in range(steps):
            parameter.grad = parameter.detach().sin()
            optimiser.step()

    def fresh():
        parameter = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
        return parameter, Muon([{"params": [parameter], "orthogonal": True}], lr=0.05)

    whole, first = fresh()
    advance(whole, first, 6)
    half, before = fresh()
    advance(half, before, 3)
    resumed, after = fresh()
    resumed.data.copy_(half)
    after.load_state_dict(before.state_dict())
    advance(resumed, after, 3)
    assert torch.equal(resumed, whole)
