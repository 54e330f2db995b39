"""Every PyTorch name that we promise exists, as function and as method, with a docstring."""

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.tensor import Tensor
from tinygrad_rnn.vocabulary import FUNCTIONS

MAKERS = """tensor as_tensor from_numpy zeros ones full empty zeros_like ones_like full_like arange linspace eye rand
randn randint multinomial randperm manual_seed Generator get_default_dtype set_default_dtype""".split()
METHODS = """shape size dim ndim numel dtype device requires_grad requires_grad_ grad grad_fn is_leaf data detach
detach_ clone item tolist numpy backward retain_grad register_hook zero_ fill_ add_ copy_ to float double long type
contiguous view reshape flatten t T mT transpose permute squeeze unsqueeze expand repeat split chunk unbind narrow
select index_select gather scatter_ masked_fill where roll flip tril triu cumsum sum mean var std max min amax argmax
topk sort norm matmul mm bmm addmm exp log sqrt tanh sigmoid relu softmax log_softmax logsumexp clamp abs eq any all
new_zeros view_as expand_as""".split()
PLACES = "no_grad enable_grad set_grad_enabled inference_mode autograd transforms Function scope detect_anomaly".split()
AUTOGRAD = "grad backward Function gradcheck gradgradcheck no_grad enable_grad set_grad_enabled detect_anomaly".split()


@pytest.mark.parametrize("name", MAKERS + PLACES + ["cat", "stack", "einsum"])
def test_the_package_has(name):
    assert hasattr(tg, name)


@pytest.mark.parametrize("name", METHODS)
def test_a_tensor_has(name):
    assert hasattr(Tensor, name)


@pytest.mark.parametrize("name", AUTOGRAD)
def test_autograd_has(name):
    assert hasattr(tg.autograd, name)


def test_every_row_of_the_table_is_a_public_function_and_documented():
    missing = [name for name in FUNCTIONS if getattr(tg, name, None) is not FUNCTIONS[name]]
    assert not missing, f"add to tinygrad_rnn/__init__.py: {missing}"
    assert not [name for name, function in FUNCTIONS.items() if not function.__doc__]


def test_an_unknown_name_of_the_package_is_refused():
    with pytest.raises(AttributeError, match="module 'tinygrad_rnn' has no attribute 'tanhh'"):
        tg.tanhh


@pytest.mark.parametrize("call", [lambda x: x.sum(axis=0, keepdims=True), lambda x: x.sum(dim=0, keepdim=True)])
def test_both_spellings_of_axes_are_understood(call):
    assert call(tg.ones(2, 3)).shape == (1, 3)


def test_a_script_that_asks_for_a_graphics_card_goes_on_without_one():
    device = tg.device("cuda" if tg.cuda.is_available() else "mps" if tg.backends.mps.is_available() else "cpu")
    assert (str(device), tg.cuda.device_count(), tg.accelerator.is_available()) == ("cpu", 0, False)
    tg.backends.cudnn.deterministic = True
    for nothing in (tg.cuda.manual_seed(0), tg.cuda.manual_seed_all(0), tg.cuda.empty_cache(), tg.cuda.synchronize()):
        assert nothing is None


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one():
    with pytest.raises(AttributeError, match=r"no attribute 'softmaxx'. Did you mean: 'softmax'\?$"):
        _ = tg.softmaxx
    with pytest.raises(AttributeError, match=r"no attribute 'nothing_like_it'$"):
        _ = tg.nothing_like_it
