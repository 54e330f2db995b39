"""A tanh RNN for time series: fit a curve, apply it to unseen data, or forecast a series from its own past.

NumPy only; matplotlib is asked for when something is drawn. The names and the printed lines are those of the published
five-chapter course by M. Hohle and its revision by A. Raut (github: MarkusHohle/RNN-from-Scratch,
aryanraut-33/RNN_using_Numpy); the mathematics is derived here anew, and the gradient of `Wh` is the true one, where the
published one is its transpose.

    h_t = act(Wh h_{t-1} + Wi x_t + bias),   y_hat_t = Wo h_t,   E = 1/2 sum_t (y_hat_t - y_t)^2
"""

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_rnn.manual import checks, figures

__all__ = ["Apply_RNN", "RNN_model", "Run_RNN", "SGD_Optimizer", "Tanh", "loss_and_gradients", "training"]

PARAMETERS = ("Wh", "Wi", "Wo", "bias")


class Tanh:
    """The activation of one time step: keeps what its own backward pass needs."""

    def forward(self, inputs: np.ndarray) -> None:
        """Store `inputs` (any shape) and `output` = tanh(inputs); return None."""
        self.inputs = inputs
        self.output = np.tanh(inputs)

    def backward(self, d_values: np.ndarray) -> None:
        """Store `d_inputs` = d_values (1 - tanh^2), as d tanh(a)/da = 1 - tanh(a)^2; return None."""
        self.d_inputs = d_values * (1 - self.output**2)


class RNN_model:  # noqa: N801 - the documented name
    """One recurrent layer and a linear output without bias.

    n_neurons: H, the size of the state.
    Activation: an object (or its class) with `forward` and `backward` like `Tanh`; each time step has a copy of its
        own.
    n_features: D, the size of one input, 1 unless given.
    Draws `Wh: (H, H)`, `Wi: (H, D)`, `Wo: (1, H)`, `bias: (H, 1)`, in this order, as 0.1 N(0, 1), from the global
    generator of NumPy.
    """

    def __init__(self, n_neurons: int, Activation: Any, n_features: int = 1) -> None:
        if n_neurons < 1:
            raise ValueError(f"RNN_model: expected n_neurons of at least 1, got {n_neurons}.")
        H, D = n_neurons, n_features
        shapes = {"Wh": (H, H), "Wi": (H, D), "Wo": (1, H), "bias": (H, 1)}
        # The global generator is part of the documented behaviour: np.random.seed(0) must reproduce published runs.
        draws = {name: 0.1 * np.random.randn(*shape) for name, shape in shapes.items()}  # noqa: NPY002
        self._set(draws, Activation)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, np.ndarray], Activation: Any = Tanh) -> "RNN_model":
        """Build a model from arrays `Wh, Wi, Wo, bias` (copied), drawing nothing."""
        model = cls.__new__(cls)
        model._set({name: np.array(parameters[name]) for name in PARAMETERS}, Activation)
        return model

    def _set(self, parameters: Mapping[str, np.ndarray], Activation: Any) -> None:
        Activation = Activation() if isinstance(Activation, type) else Activation
        if not (hasattr(Activation, "forward") and hasattr(Activation, "backward")):
            raise TypeError(f"RNN_model: Activation needs forward and backward, got {Activation!r}. Pass Tanh().")
        self.Wh, self.Wi, self.Wo, self.bias = (parameters[name] for name in PARAMETERS)
        self.n_neurons = len(self.Wh)
        self.Activation = Activation

    def forward(self, X_t: np.ndarray) -> None:
        """Run over a sequence from a zero state, keep every step, and set the gradients to zero.

        X_t: (T, D) or (T,) float.  Sets `T`, `X_t`, `Y_hat: (T, 1)`, `H`: T + 1 states (H, 1), the first zero,
        `Act_list`: T activations, `d_Wh, d_Wi, d_Wo, d_bias`: zero, shaped like the parameters. Returns None.
        """
        self.X_t = checks.sequence(X_t, "X_t", features=self.Wi.shape[1])
        self.T = len(self.X_t)
        self.Act_list, self.H, self.Y_hat = self.RNN_Cell(self.X_t, *_fresh(self, self.T))
        self.d_Wh, self.d_Wi, self.d_Wo, self.d_bias = (np.zeros_like(getattr(self, name)) for name in PARAMETERS)

    def RNN_Cell(
        self, X_t: np.ndarray, h_t: np.ndarray, Act_list: list, H: list, Y_hat: np.ndarray
    ) -> tuple[list, list, np.ndarray]:
        """Step through time: h_t = act(Wh h_{t-1} + Wi x_t + bias), y_hat_t = Wo h_t.

        X_t: (T, D) float.  h_t: (H, 1), the state before the first step.  Act_list: T activations.
        H: list of T + 1 entries, `H[t + 1]` is replaced.  Y_hat: (T, 1), filled.  Returns Act_list, H, Y_hat.
        """
        for t, x_t in enumerate(X_t):
            Act_list[t].forward(self.Wh @ h_t + self.Wi @ x_t.reshape(-1, 1) + self.bias)
            h_t = Act_list[t].output
            H[t + 1] = h_t
            Y_hat[t] = self.Wo @ h_t[:, 0]
        return Act_list, H, Y_hat

    def backward(self, d_values: np.ndarray) -> None:
        """Backpropagate through time and *add* to `d_Wh, d_Wi, d_Wo, d_bias`; calling it twice doubles them.

        d_values: (T, 1) float, dE/dy_hat_t; for E = 1/2 sum (y_hat - y)^2 that is y_hat - y.

        The state h_t reaches E by two ways, through its own output and through the next state. With a_t the argument of
        act and delta_t = dE/da_t:

            dE/dh_t = Wo^T dy_t + Wh^T delta_{t+1}        (the second term is 0 at t = T)
            delta_t = dE/dh_t * act'(a_t)

        and since a_t = Wh h_{t-1} + Wi x_t + bias is used once at every step, the parameters collect over time:

            dE/dWh = sum_t delta_t h_{t-1}^T    dE/dWi = sum_t delta_t x_t^T    dE/dbias = sum_t delta_t
            dE/dWo = sum_t dy_t h_t^T

        A sum of outer products over t is one matrix product of the stacked columns, and that is how it is taken.
        """
        if not hasattr(self, "H"):
            raise RuntimeError("RNN_model.backward: nothing to differentiate yet. Call forward first.")
        dy = checks.sequence(d_values, "d_values", length=self.T, features=1)
        deltas = np.empty((self.n_neurons, self.T), self.Wh.dtype)
        from_next = np.zeros((self.n_neurons, 1), self.Wh.dtype)
        for t in reversed(range(self.T)):
            self.Act_list[t].backward(self.Wo.T * dy[t] + from_next)
            delta = self.Act_list[t].d_inputs
            from_next = self.Wh.T @ delta
            deltas[:, t] = delta[:, 0]
        states = np.hstack(self.H)
        self.d_Wh += deltas @ states[:, :-1].T
        self.d_Wi += deltas @ self.X_t
        self.d_Wo += dy.T @ states[:, 1:].T
        self.d_bias += deltas.sum(axis=1, keepdims=True)


class SGD_Optimizer:  # noqa: N801 - the documented name
    """Gradient descent with momentum, and a rate that falls as 1 / (1 + decay n).

    lr: the rate at the start.  momentum: the share of the last step that is kept.  decay: per iteration.
    The rate stands *inside* the velocity, v <- momentum v - current_lr g, so while it falls this differs from
    PyTorch's SGD, which multiplies the velocity by the current rate; at a constant rate the two are equal.
    """

    def __init__(self, lr: float = 1e-5, momentum: float = 0, decay: float = 0) -> None:
        for name, value in (("lr", lr), ("momentum", momentum), ("decay", decay)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"SGD_Optimizer: expected {name} of at least 0, got {value}.")
        self.lr = lr
        self.current_lr = lr
        self.momentum = momentum
        self.decay = decay
        self.iterations = 0

    def pre_update_params(self) -> None:
        """Set `current_lr` = lr / (1 + decay iterations)."""
        if self.decay:
            self.current_lr = self.lr / (1 + self.decay * self.iterations)

    def update_params(self, layer: Any) -> None:
        """Step `Wh, Wi, Wo, bias` of `layer` along `d_Wh, ...`; velocities live on the layer as `Wh_momentums, ...`."""
        for name in PARAMETERS:
            step = -self.current_lr * getattr(layer, f"d_{name}")
            if self.momentum:
                step += self.momentum * getattr(layer, f"{name}_momentums", 0.0)
                setattr(layer, f"{name}_momentums", step)
            setattr(layer, name, getattr(layer, name) + step)

    def post_update_params(self) -> None:
        """Count the iteration."""
        self.iterations += 1


def loss_and_gradients(
    parameters: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Return E = 1/2 sum_t (y_hat_t - y_t)^2, a sum and no mean, and its gradients by the names of the parameters.

    parameters: `Wh: (H, H)`, `Wi: (H, D)`, `Wo: (1, H)`, `bias: (H, 1)`.  x: (T, D) or (T,).  y: (T, 1) or (T,).
    """
    model = RNN_model.from_parameters(parameters)
    model.forward(x)
    error = model.Y_hat - checks.sequence(y, "y", length=model.T, features=1)
    model.backward(error)
    return 0.5 * float(np.sum(error**2)), {name: getattr(model, f"d_{name}") for name in PARAMETERS}


def training(
    model: RNN_model, optimizer: SGD_Optimizer, x: np.ndarray, y: np.ndarray, epochs: int
) -> Iterator[tuple[int, float]]:
    """Train epoch by epoch, yielding (epoch, loss), for progress bars and dashboards: to stop, ask for no more.

    x: (T, D), y: (T, 1) float, one sequence.  The loss is 1/2 mean_t (y_hat_t - y_t)^2, before this epoch's update.
    """
    y = checks.sequence(y, "y", features=1)
    for epoch in range(epochs):
        model.forward(x)
        error = model.Y_hat - y
        model.backward(error)
        optimizer.pre_update_params()
        optimizer.update_params(model)
        optimizer.post_update_params()
        yield epoch, _half_mean_square(error)


def Run_RNN(
    X_t: np.ndarray,
    Y_t: np.ndarray,
    Activation: Any,
    epochs: int = 500,
    n_neurons: int = 500,
    lr: float = 1e-5,
    momentum: float = 0.95,
    decay: float = 0.01,
    plot_each: float | None = 0.50,
    dt: int = 0,
) -> RNN_model:
    """Train on one sequence, full batch, printing and plotting on the way; return the trained model.

    X_t: (T, D) or (T,) float, the inputs.  Y_t: (T, 1) or (T,) float, the targets.  Activation: `Tanh()`.
    epochs, n_neurons, lr, momentum, decay: see `RNN_model` and `SGD_Optimizer`.
    plot_each: above 0 and up to 1 reports every epoch, a whole number k every k-th; 0, None and False never.
    dt: with a lag the model reads the series itself and learns y_{t+dt} from y_t; X_t is then run through at the end
        only (pass Y_t there to forecast), and the last dt outputs lie beyond the data.
    The printed loss is 1/2 sum (y_hat - y)^2 / (T - dt), half a mean squared error, of which the gradient in use is the
    un-divided sum's. Raises ValueError for negative `epochs`, `dt`, `plot_each`, for dt >= T and shapes that do not
    fit.
    """
    x, y = checks.sequence(X_t, "X_t"), checks.sequence(Y_t, "Y_t", features=1)
    dt, epochs, every = checks.lag(dt, x, y), checks.count(epochs, "epochs"), checks.period(plot_each)
    model = RNN_model(n_neurons, Activation, n_features=x.shape[1])
    optimizer = SGD_Optimizer(lr, momentum, decay)
    inputs, targets = (y[:-dt], y[dt:]) if dt else (x, y)
    plot = _open_plot() if every else None
    for epoch, loss in training(model, optimizer, inputs, targets, epochs):
        if every and epoch % every == 0:
            if plot and plot.live:
                plot.draw(y, Apply_RNN(x, model), epoch, dt)
            print(f"Current MSE at epoch {epoch}: + {loss:.3f}")
    model.forward(x)
    if plot:
        plot.draw(y, model.Y_hat, max(epochs - 1, 0), dt)
        plot.close()
    loss = _half_mean_square(Apply_RNN(inputs, model) - targets)
    print(f"Model training complete! Loss = {loss:.3f}")
    return model


def Apply_RNN(X_t: np.ndarray, rnn: RNN_model) -> np.ndarray:
    """Run a trained model over a sequence of any length from a zero state, its weights and its last pass untouched.

    X_t: (T, D) or (T,) float.  Returns Y_hat: (T, 1).
    """
    X_t = checks.sequence(X_t, "X_t", features=rnn.Wi.shape[1])
    return rnn.RNN_Cell(X_t, *_fresh(rnn, len(X_t)))[2]


def _fresh(model: RNN_model, T: int) -> tuple[np.ndarray, list, list, np.ndarray]:
    """Return what RNN_Cell fills: zero state, one activation per step, T + 1 zero states, zero outputs."""
    H = [np.zeros((model.n_neurons, 1), model.Wh.dtype) for _ in range(T + 1)]
    return H[0], [copy.copy(model.Activation) for _ in range(T)], H, np.zeros((T, 1), model.Wh.dtype)


def _half_mean_square(error: np.ndarray) -> float:
    return 0.5 * float(np.mean(error**2))


def _open_plot() -> figures.FitPlot | None:
    """Open the figure; without matplotlib say so once and go on, because the printed losses need none."""
    try:
        return figures.FitPlot()
    except ModuleNotFoundError as error:
        print(f"Run_RNN prints only: {error}")
        return None
