"""Gradients at ties, kinks and edges of domains: PyTorch's conventions, as literals and against PyTorch itself."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.samples import Edge
from tests.samples.edges import EDGES, POLES
from tinygrad_rnn.compare import NotDifferentiableError, gradcheck
from tinygrad_rnn.primitive import PRIMITIVES


def gradients(edge: Edge) -> list[np.ndarray]:
    args = [
        tg.Tensor(a.copy(), requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in edge.args
    ]
    y = PRIMITIVES[edge.primitive](*args, **edge.params)
    y.backward(np.ones(y.shape))
    return [x.grad.numpy() for x in args if isinstance(x, tg.Tensor) and x.requires_grad]


@pytest.mark.parametrize("edge", EDGES, ids=str)
def test_gradient_at_the_edge_without_a_floating_point_accident(edge: Edge):
    for g, expected in zip(gradients(edge), edge.grads, strict=True):
        np.testing.assert_array_equal(g, expected)


@pytest.mark.filterwarnings("ignore:Degrees of freedom")  # NumPy's own, as PyTorch has one
@pytest.mark.parametrize("edge", POLES, ids=str)
def test_gradient_where_it_is_infinite_or_does_not_exist(edge: Edge):
    with np.errstate(all="ignore"):
        for g, expected in zip(gradients(edge), edge.grads, strict=True):
            np.testing.assert_array_equal(g, expected)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("edge", [edge for edge in EDGES + POLES if not isinstance(edge.torch, str)], ids=str)
def test_the_conventions_are_those_of_pytorch(edge: Edge):
    torch = pytest.importorskip("torch")
    args = [torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in edge.args]
    floats = [a.requires_grad_() for a in args if isinstance(a, torch.Tensor) and a.dtype == torch.float64]
    y = edge.torch(torch, *args, **edge.params)
    for g, expected in zip(torch.autograd.grad(y, floats, torch.ones_like(y)), edge.grads, strict=True):
        np.testing.assert_array_equal(g.numpy(), expected)


KINKS = [
    ("absolute", [0.0], {}),
    ("relu", [0.0], {}),
    ("clip", [1.0], {"low": 0.0, "high": 1.0}),
    ("max", [2.0, 2.0], {"axis": (0,), "keepdims": False}),
    ("std", [1.0, 1.0], {"axis": (0,), "keepdims": False, "ddof": 0}),
    ("floor", [3.0], {}),
]


@pytest.mark.parametrize(("name", "point", "params"), KINKS)
def test_gradcheck_says_that_a_kink_is_one(name: str, point: list[float], params: dict[str, object]):
    x = tg.Tensor(np.array(point), requires_grad=True)
    with pytest.raises(NotDifferentiableError, match=r"not differentiable at this point\. Along entry"):
        gradcheck(lambda x: PRIMITIVES[name](x, **params), x)


def test_the_norm_has_gradient_zero_at_zero():
    x = tg.zeros(3, requires_grad=True)
    x.norm().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(3))
