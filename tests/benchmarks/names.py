"""Sides and what each needs: data, so that the parent process need not import any of them."""

from typing import NamedTuple

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


class Side(NamedTuple):
    """One competitor. title: its name in tables. module: where its builders stand. needs: what must be importable."""

    title: str
    module: str
    needs: str


SIDES = {
    "eager": Side("tinygrad_rnn eager", "torchlike", "tinygrad_rnn"),
    "compiled": Side("tinygrad_rnn compiled", "compiled", "tinygrad_rnn.compiler"),
    "compiled-step": Side("tinygrad_rnn compiled step", "compiled", "tinygrad_rnn.compiler"),
    "manual": Side("manual.vectorized", "expert", "tinygrad_rnn.manual.vectorized"),
    "torch": Side("PyTorch eager nn", "torchlike", "torch"),
    "torch-cells": Side("PyTorch eager cells", "torchlike", "torch"),
    "jax": Side("JAX jitted scan", "jaxscan", "jax"),
    "autograd": Side("HIPS autograd", "tapes", "autograd"),
    "mygrad": Side("MyGrad", "tapes", "mygrad"),
    "dezero": Side("DeZero", "tapes", "dezero"),
}

STEP_SIDES = ["eager", "compiled", "compiled-step", "manual", "torch", "torch-cells", "jax"]
RECORDING_SIDES = ["eager", "autograd", "mygrad", "dezero", "torch"]
OP_SIDES = ["eager", "torch"]
