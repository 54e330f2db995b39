"""The exceptions are what PyTorch and NumPy raise in the same place, and their sentence has four parts."""

import pytest

from tinygrad_rnn import errors


@pytest.mark.parametrize(
    ("kind", "caught_as"),
    [
        (errors.ShapeError, (ValueError, RuntimeError)),
        (errors.DTypeError, (TypeError, RuntimeError)),
        (errors.GraphError, (RuntimeError,)),
        (errors.AnomalyError, (RuntimeError,)),
        (errors.MissingRuleError, (TypeError,)),
        (errors.CheckpointError, (ValueError,)),
        (errors.MissingCheckpointError, (errors.CheckpointError, FileNotFoundError)),
        (errors.DataError, (ValueError,)),
        (errors.DistributedError, (RuntimeError, ImportError)),
        (errors.MissingDataError, (errors.DataError, FileNotFoundError)),
    ],
)
def test_each_kind_is_caught_as_the_builtin_it_stands_for(kind, caught_as):
    for builtin in (*caught_as, errors.TinygradError):
        with pytest.raises(builtin, match=r"^one sentence$"):
            raise kind("one sentence")


def test_every_exception_is_listed():
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined | {"explain"} == set(errors.__all__)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (("matmul",), "matmul"),
        (("matmul", "(3,)"), "matmul: expected (3,)"),
        (("matmul", "", "(4,)"), "matmul: got (4,)"),
        (("matmul", "(3,)", "(4,)"), "matmul: expected (3,), got (4,)"),
        (("matmul", "(3,)", "(4,)", "Transpose it."), "matmul: expected (3,), got (4,). Transpose it."),
        (("Is it?", "", "", "Look."), "Is it? Look."),
        (("", "", "", "Look."), "Look."),
    ],
)
def test_explain(parts, sentence):
    where, *rest = parts
    assert errors.explain(where, **dict(zip(("expected", "got", "do"), rest, strict=False))) == sentence
