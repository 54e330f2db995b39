"""What tests of the compiler share."""

import pytest

from tinygrad_rnn.compiler import gates


@pytest.fixture(params=["by tanh", "by exp"])
def sigmoid_form(request, monkeypatch):
    """Sigmoids opened in one way and the other, whatever is faster on this machine and at this size."""
    monkeypatch.setattr(gates, "through_tanh", lambda _: request.param == "by tanh")
    return request.param
