"""The backward pass of the time series model, with a mistake on purpose: exercises for the gradient doctor.

NumPy only. Each mistake is one that people make; the first four stood in published code.
"""

from collections.abc import Mapping

import numpy as np

from .errors import DataError, explain

__all__ = ["MISTAKES", "broken_gradients"]

MISTAKES = {
    "shared activation": "one activation for all steps: every tanh' uses the output of the last step",
    "recurrent weight not transposed": "Wh where Wh^T belongs, on the way back through time",
    "gradient transposed": "dWh is sum h_{t-1} delta_t^T and not sum delta_t h_{t-1}^T",
    "error of the wrong step": "the output error of step t+1 is added at step t",
    "no way back in time": "nothing comes from the next step: truncated to one step",
    "tanh' forgotten": "the slope of tanh is left out",
    "state of the wrong step": "dWh uses h_t where h_{t-1} belongs",
    "half the gradient": "the factor 2 of the square is forgotten",
    "bias of the last step only": "dbias is not added up over time",
}
"""Name -> what is wrong, in a sentence."""


def broken_gradients(
    parameters: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray, mistake: str | None = None
) -> dict[str, np.ndarray]:
    """Gradients of 1/2 sum_t (y_hat_t - y_t)^2, as in `manual.regression`, with one mistake.

    parameters: `Wh: (H, H)`, `Wi: (H, D)`, `Wo: (1, H)`, `bias: (H, 1)`. x: (T, D). y: (T, 1). mistake: a name from
    MISTAKES, None for right gradients. Returns arrays shaped like the parameters. Raises DataError for another name.
    """
    if mistake is not None and mistake not in MISTAKES:
        raise DataError(explain("mistake", expected=f"one of: {', '.join(MISTAKES)}", got=repr(mistake)))
    Wh, Wi, Wo, bias = (parameters[name] for name in ("Wh", "Wi", "Wo", "bias"))
    T, H = len(x), len(Wh)
    h = np.zeros((T + 1, H, 1))
    for t in range(T):
        h[t + 1] = np.tanh(Wh @ h[t] + Wi @ x[t][:, None] + bias)
    error = h[1:, :, 0] @ Wo.T - y
    grads = {name: np.zeros_like(parameters[name]) for name in ("Wh", "Wi", "Wo", "bias")}
    back = Wh if mistake == "recurrent weight not transposed" else Wh.T
    from_next = np.zeros((H, 1))
    for t in reversed(range(T)):
        seen = min(t + 1, T - 1) if mistake == "error of the wrong step" else t
        output = h[T] if mistake == "shared activation" else h[t + 1]
        slope = 1.0 if mistake == "tanh' forgotten" else 1 - output**2
        delta = (Wo.T * error[seen] + from_next) * slope
        from_next = np.zeros((H, 1)) if mistake == "no way back in time" else back @ delta
        product = delta @ h[t + 1 if mistake == "state of the wrong step" else t].T
        grads["Wh"] += product.T if mistake == "gradient transposed" else product
        grads["Wi"] += delta @ x[t][None]
        grads["Wo"] += error[t] * h[t + 1].T
        if mistake != "bias of the last step only" or t == T - 1:
            grads["bias"] += delta
    return {name: grad / 2 for name, grad in grads.items()} if mistake == "half the gradient" else grads
