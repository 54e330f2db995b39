"""Sides and what each needs: data, so that the parent process need not import any of them."""

from typing import NamedTuple

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


class Side(NamedTuple):
    """One competitor. title: its name in tables. module: where its builders stand. needs: what must be importable.
    short: its name in a ratio.
    """

    title: str
    module: str
    needs: str
    short: str = ""


SIDES = {
    "eager": Side("tinygrad_rnn eager", "torchlike", "tinygrad_rnn", "loop"),
    "compiled": Side("tinygrad_rnn compiled", "compiled", "tinygrad_rnn.compiler"),
    "compiled-step": Side("tinygrad_rnn compiled step", "compiled", "tinygrad_rnn.compiler", "step"),
    "manual": Side("manual.vectorized", "expert", "tinygrad_rnn.manual.vectorized", "hand"),
    "torch": Side("PyTorch eager nn", "torchlike", "torch", "PyTorch"),
    "torch-cells": Side("PyTorch eager cells", "torchlike", "torch", "cells"),
    "jax": Side("JAX jitted scan", "jaxscan", "jax", "JAX"),
    "autograd": Side("HIPS autograd", "tapes", "autograd"),
    "mygrad": Side("MyGrad", "tapes", "mygrad"),
    "dezero": Side("DeZero", "tapes", "dezero"),
}

STEP_SIDES = ["eager", "compiled", "compiled-step", "manual", "torch", "torch-cells", "jax"]
RECORDING_SIDES = ["eager", "autograd", "mygrad", "dezero", "torch"]
OP_SIDES = ["eager", "torch"]
