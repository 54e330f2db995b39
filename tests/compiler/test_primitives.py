"""Every primitive of the table of samples, compiled at several time steps: batched, planned and replayed as eager
computes it.
"""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.samples import TABLE, Sample
from tinygrad_rnn.compiler.program import check
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.primitive import PRIMITIVES

SAMPLES = [pytest.param(name, sample, id=f"{name}-{sample}") for name, op in TABLE.items() for sample in op.samples]


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_equals_eager_at_every_step(name: str, sample: Sample):
    primitive = PRIMITIVES[name]
    arrays = [np.asarray(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in sample.args]

    def function(*given):
        results = []
        for t in range(3):
            with tg.scope("op", t=t):
                scaled = [a * (1 - 0.01 * t) if isinstance(a, tg.Tensor) and a.dtype.kind == "f" else a for a in given]
                results.append(primitive(*scaled, **sample.params))
        return results

    def tensors():
        return [tg.tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in arrays]

    compiled = tg.compile(function)
    if name in ("take", "put", "put_value") and any(isinstance(a, np.ndarray) and a.dtype == bool for a in arrays[1:]):
        with pytest.raises(GraphError, match="mask"):
            compiled(*tensors())
        return
    given = tensors()
    compiled.check(*given, rtol=1e-11, atol=1e-12)
    compiled.check(*given, rtol=1e-11, atol=1e-12)
    check(compiled.program(*given))
