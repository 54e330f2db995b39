"""Every primitive on every sample: its value, its dtype, its manners."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.samples import RANDOM, TABLE, Sample
from tinygrad_rnn import graph
from tinygrad_rnn.primitive import PRIMITIVES

from .running import CASES, IDS, gradients, run, seed_for, sources, with_gradient

every_sample = pytest.mark.parametrize(("name", "sample"), CASES, ids=IDS)


def test_every_primitive_has_at_least_four_samples():
    missing = [name for name in PRIMITIVES if name not in TABLE and name not in RANDOM]
    assert not missing, f"primitives without samples in tests/samples: {missing}"
    few = {name: len(op.samples) for name, op in TABLE.items() if len(op.samples) < 4}
    assert not few, f"fewer than 4 samples: {few}"
    assert not set(TABLE) - set(PRIMITIVES), "samples of primitives that do not exist"


def test_the_table_holds_scalars_empties_and_broadcasts_where_they_apply():
    def shapes(name: str) -> list[tuple[int, ...]]:
        return [a.shape for sample in TABLE[name].samples for a in sample.args if isinstance(a, np.ndarray)]

    needs_an_axis = {"concatenate", "cumsum", "repeat", "roll", "tril", "triu", "take_along_axis", "scatter_along_axis"}
    for name in TABLE:
        assert any(0 in shape for shape in shapes(name)), f"{name} has no empty sample"
        # products, shares and indices take 0-d arrays in arguments other than the first
        assert name in needs_an_axis or () in shapes(name) or name in ("matmul", "std"), f"{name} has no 0-d sample"


@every_sample
def test_value_equals_numpy(name: str, sample: Sample):
    y = run(name, sample)[1].detach().numpy()
    expected = np.asarray(TABLE[name].numpy(*sample.args, **sample.params))
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-15)


def single(x: Any) -> Any:
    """float64 arrays in float32."""
    return x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == np.float64 else x


@every_sample
def test_float32_in_gives_float32_out(name: str, sample: Sample):
    params = {k: np.dtype(np.float32) if isinstance(v, np.dtype) else v for k, v in sample.params.items()}
    sample = Sample(tuple(map(single, sample.args)), params)
    y = run(name, sample, np.float32)[1]
    expected = np.asarray(TABLE[name].numpy(*sample.args, **params))
    assert y.dtype == (np.float32 if expected.dtype.kind == "f" else expected.dtype)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=2e-5, atol=2e-6)
    if with_gradient(name, sample):
        for g in gradients(name, sample, np.float32):
            assert g.dtype == np.float32


@every_sample
def test_inputs_may_be_read_only_and_stay_as_they_are(name: str, sample: Sample):
    args, y = run(name, sample)
    for x in args:
        if isinstance(x, tg.Tensor):
            x.array.flags.writeable = False
    y = PRIMITIVES[name](*args, **sample.params)
    if isinstance(y, tg.Tensor) and y.requires_grad:
        seed = tg.Tensor(seed_for(name, sample, y.shape))
        seed.array.flags.writeable = False
        tg.autograd.grad(y, sources(name, sample, args), seed, create_graph=True, allow_unused=True)
        y.backward(seed)
    for x, original in zip(args, sample.args, strict=True):
        np.testing.assert_array_equal(x.array if isinstance(x, tg.Tensor) else x, original)


@every_sample
def test_replay_equals_the_recorded_value(name: str, sample: Sample):
    with tg.record_everything():
        y = run(name, sample)[1]
    assert y.node is not None
    replayed = graph.replay([y.node])[y.node]
    assert replayed.dtype == y.dtype
    np.testing.assert_array_equal(replayed, y.array)


def scattered(x: Any) -> Any:
    """The same values in memory that is neither C- nor F-contiguous, with gaps."""
    if not isinstance(x, np.ndarray) or not x.ndim:
        return x
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype, order="F")
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


@every_sample
def test_memory_layout_does_not_matter(name: str, sample: Sample):
    args, y = run(name, sample)
    for x in args:
        if isinstance(x, tg.Tensor):
            x.data = scattered(x.array)
    other = PRIMITIVES[name](*args, **sample.params)
    if not isinstance(other, tg.Tensor):
        return
    np.testing.assert_allclose(other.array, y.array, rtol=1e-14, atol=1e-15)
    if y.requires_grad:
        seed = tg.Tensor(scattered(seed_for(name, sample, y.shape)))
        grads = tg.autograd.grad(other, sources(name, sample, args), seed, allow_unused=True)
        for g, expected in zip(grads, gradients(name, sample), strict=True):
            np.testing.assert_allclose(
                np.zeros_like(expected) if g is None else g.numpy(), expected, rtol=1e-12, atol=1e-14
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_follow_their_generator(dtype: Any):
    def bernoulli(seed: int) -> Any:
        generator = np.random.default_rng(seed)
        return PRIMITIVES["bernoulli"](p=0.25, shape=(1000, 4), dtype=np.dtype(dtype), scale=4.0, generator=generator)

    a, b = bernoulli(0), bernoulli(1)
    np.testing.assert_array_equal(a, bernoulli(0))
    assert a.dtype == dtype
    assert set(np.unique(a)) == {0, 4}
    assert np.any(a != b)
    # 4000 draws of 4 with probability 1/4: a mean of 1, with a standard deviation of 0.027
    assert abs(a.mean() - 1) < 0.14
