"""L-BFGS, as PyTorch writes it: quasi-Newton steps from the last gradients, with a strong-Wolfe line search if asked
for.

All parameters are one vector here. Sources: Nocedal and Wright, Numerical Optimization, algorithms 7.4, 3.5 and 3.6;
Schmidt's minFunc, whose choices of constants PyTorch took over and we follow to make the same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..protection import lift
from ..state import enable_grad
from ..tensor import Tensor, make
from ..writes import mutated, overwrite
from .optimizer import Array, Closure, Optimizer, at_least, plain
from .wolfe import strong_wolfe


class LBFGS(Optimizer):
    """Limited-memory BFGS; `step(closure)` makes up to `max_iter` iterations, calling the closure for every evaluation.

    lr: length of a step, of the first trial step with a line search. max_eval: evaluations per call, default max_iter *
    5 / 4.
    tolerance_grad: stop at a gradient with no larger entry. tolerance_change: stop at steps or improvements this small.
    history_size: how many pairs of steps and gradient changes are remembered. line_search_fn: None or "strong_wolfe".
    One group of parameters only. Raises ValueError for more, RuntimeError for another line search.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        at_least("learning rate", lr)
        super().__init__(
            params,
            {
                "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _restored(self, name: str, value: Any, p: Tensor, key: Any) -> Any:
        if isinstance(value, list):
            return [self._restored(name, part, p, key) for part in value]
        given = plain(value)
        if not isinstance(given, np.ndarray | np.generic):
            return given
        return make(np.array(given, dtype=p.dtype)) if given.ndim else given.item()

    # parameters and gradients as one vector
    def _gradient(self) -> Array:
        grads = [p.node.grad if p.node is not None else None for p in self._params]
        pairs = zip(self._params, grads, strict=True)
        return np.concatenate([(np.zeros_like(p.array) if g is None else g.array).reshape(-1) for p, g in pairs])

    def _move(self, t: float, direction: Array) -> None:
        start = 0
        for p in self._params:
            lift(p.array)
            p.array += t * direction[start : start + p.array.size].reshape(p.shape)
            mutated(p.array)
            start += p.array.size

    def _restore(self, values: list[Array]) -> None:
        for p, value in zip(self._params, values, strict=True):
            overwrite(p.array, value)

    def _evaluator(self, closure: Closure, direction: Array) -> Callable[[float], tuple[float, Array]]:
        """The loss and its gradient at a step of length t from where the parameters stand now."""
        values = [p.array.copy() for p in self._params]

        def evaluate(t: float) -> tuple[float, Array]:
            self._move(t, direction)
            loss = float(closure())
            gradient = self._gradient()
            self._restore(values)
            return loss, gradient

        return evaluate

    def step(self, closure: Closure | None = None) -> Any:
        """Up to max_iter iterations.

        closure: zeroes the gradients, computes the loss, calls backward, returns the loss. Returns the first loss.
        Raises ValueError without a closure.
        """
        if closure is None:
            raise ValueError(
                "LBFGS.step: expected a closure that reevaluates the model and returns the loss, got none."
            )

        def recorded() -> Any:
            with enable_grad():
                return closure()

        self.steps_taken += 1
        return self._iterate(recorded)

    def _iterate(self, closure: Closure) -> Any:
        group = self.param_groups[0]
        lr, change_limit = group["lr"], group["tolerance_change"]
        state = self.state.setdefault(self._params[0], {})
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        original = closure()
        loss, evaluations, iterations = float(original), 1, 0
        state["func_evals"] += 1
        gradient = self._gradient()
        if np.abs(gradient).max() <= group["tolerance_grad"]:
            return original
        memory = _Memory.of(state, group["history_size"])
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            direction = memory.direction(gradient, first=state["n_iter"] == 1)
            memory.gradient, previous_loss = gradient.copy(), loss
            t = min(1.0, 1.0 / float(np.abs(gradient).sum())) * lr if state["n_iter"] == 1 else lr
            memory.step, memory.length, memory.loss = direction, t, previous_loss
            slope = float(gradient @ direction)
            if slope > -change_limit:
                break
            used = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                evaluate = self._evaluator(closure, direction)
                loss, gradient, t, used = strong_wolfe(
                    evaluate, t, direction, loss, gradient, slope, limit=group["max_eval"] - evaluations
                )
                memory.length = t
                self._move(t, direction)
            else:
                self._move(t, direction)
                if iterations != group["max_iter"]:  # the last gradient would not be used: spare the evaluation
                    loss = float(closure())
                    gradient = self._gradient()
                    used = 1
            evaluations += used
            state["func_evals"] += used
            if (
                iterations == group["max_iter"]
                or evaluations >= group["max_eval"]
                or np.abs(gradient).max() <= group["tolerance_grad"]
                or np.abs(direction * t).max() <= change_limit
                or abs(loss - previous_loss) < change_limit
            ):
                break
        memory.save(state)
        return original


class _Memory:
    """The pairs (step, change of gradient) of the last iterations, and the direction they suggest."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.changes: list[Array] = []
        self.steps: list[Array] = []
        self.inverses: list[float] = []
        self.scale: Any = 1
        self.step: Array | None = None
        self.length: float = 0.0
        self.gradient: Array | None = None
        self.loss: float | None = None

    @classmethod
    def of(cls, state: dict[str, Any], size: int) -> _Memory:
        """As `save` left it, or empty."""
        made = cls(size)
        if state.get("d") is not None:
            made.changes = [t.array for t in state["old_dirs"]]
            made.steps = [t.array for t in state["old_stps"]]
            made.inverses = list(state["ro"])
            made.scale, made.length, made.loss = state["H_diag"], state["t"], state["prev_loss"]
            made.step, made.gradient = state["d"].array, state["prev_flat_grad"].array
        return made

    def save(self, state: dict[str, Any]) -> None:
        """Keep everything, under PyTorch's names."""
        state.update(
            d=None if self.step is None else make(self.step), t=self.length, H_diag=self.scale, ro=list(self.inverses),
            old_dirs=[make(a) for a in self.changes], old_stps=[make(a) for a in self.steps], prev_loss=self.loss,
            prev_flat_grad=None if self.gradient is None else make(self.gradient),
        )  # fmt: skip

    def direction(self, gradient: Array, first: bool) -> Array:
        """Minus the approximate inverse Hessian times the gradient, by the two-loop recursion."""
        if first or self.step is None or self.gradient is None:
            self.__init__(self.size)
            return -gradient
        change, step = gradient - self.gradient, self.step * self.length
        curvature = float(change @ step)
        if curvature > 1e-10:
            if len(self.changes) == self.size:
                for kept in (self.changes, self.steps, self.inverses):
                    kept.pop(0)
            self.changes.append(change)
            self.steps.append(step)
            self.inverses.append(1.0 / curvature)
            self.scale = curvature / float(change @ change)
        q = -gradient
        shares = [0.0] * len(self.changes)
        for i in reversed(range(len(self.changes))):
            shares[i] = float(self.steps[i] @ q) * self.inverses[i]
            q += -shares[i] * self.changes[i]
        q *= self.scale
        for i, share in enumerate(shares):
            q += (share - float(self.changes[i] @ q) * self.inverses[i]) * self.steps[i]
        return q
