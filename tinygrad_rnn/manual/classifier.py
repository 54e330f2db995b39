"""A simple RNN over batches of sequences, its backward pass, and a small trainer that reads the last state.

NumPy only; matplotlib is asked for when the loss curve is drawn. Names and printed lines are those of the published
assignment (github: oktakarisa/rnn-scratch). Arrays are batch first, and weights stand on the right:

    a_t = x_t Wx + h_{t-1} Wh + b,   h_t = tanh(a_t),   y_hat = h_T Wy + By

Despite its name the trainer is a regressor: its loss is a mean of squares.
"""

from collections.abc import Mapping

import numpy as np

from tinygrad_rnn.manual import figures

__all__ = ["ScratchSimpleRNNClassifier", "SimpleRNN", "SimpleRNN_BPTT", "bptt", "loss_and_gradients", "main", "run"]

PARAMETERS = ("Wx", "Wh", "Wy", "Bh", "By")


def run(x: np.ndarray, w_x: np.ndarray, w_h: np.ndarray, b: np.ndarray, h0: np.ndarray | None = None) -> np.ndarray:
    """Return every state of the recurrence, `hs: (B, T, H)`.

    x: (B, T, D).  w_x: (D, H).  w_h: (H, H).  b: (H,).  h0: (B, H), zeros unless given.
    """
    x = np.asarray(x, dtype=np.result_type(x, w_x, 0.0))
    if x.ndim != 3 or x.shape[2] != len(w_x) or not x.shape[1]:
        raise ValueError(f"SimpleRNN: expected x of shape (batch, steps, features={len(w_x)}), got {x.shape}.")
    h = np.zeros((len(x), len(w_h)), x.dtype) if h0 is None else np.asarray(h0)
    if h.shape != (len(x), len(w_h)):
        raise ValueError(f"SimpleRNN: expected h0 of shape (batch={len(x)}, nodes={len(w_h)}), got {h.shape}.")
    hs = np.empty((len(x), x.shape[1], len(w_h)), x.dtype)
    for t in range(x.shape[1]):
        hs[:, t] = h = np.tanh(x[:, t] @ w_x + h @ w_h + b)
    return hs


def bptt(
    x: np.ndarray, hs: np.ndarray, w_h: np.ndarray, dh_last: np.ndarray, every_step: bool = False
) -> dict[str, np.ndarray]:
    """Return `dw_x, dw_h, db` of sum_b <dh_last_b, h_T_b>, summed over the batch, for a zero first state.

    x: (B, T, D).  hs: (B, T, H), from `run`.  w_h: (H, H).  dh_last: (B, H), dL/dh_T.
    every_step: let the seed enter at every state, which is the gradient of sum_t <dh_last, h_t> instead.

    The loss sees h_T only; an earlier state reaches it through the next one alone. With delta_t = dL/da_t:

        dL/dh_T = dh_last,   dL/dh_t = delta_{t+1} Wh^T,   delta_t = dL/dh_t * (1 - h_t^2)

    and because a_t = x_t Wx + h_{t-1} Wh + b is used at every step with the same parameters:

        dL/dWx = sum_t x_t^T delta_t,   dL/dWh = sum_t h_{t-1}^T delta_t,   dL/db = sum_t delta_t
    """
    gradients = {
        "dw_x": np.zeros((x.shape[2], len(w_h)), hs.dtype),
        "dw_h": np.zeros_like(w_h, hs.dtype),
        "db": np.zeros(len(w_h), hs.dtype),
    }
    dh = dh_last
    for t in reversed(range(x.shape[1])):
        delta = dh * (1 - hs[:, t] ** 2)
        gradients["dw_x"] += x[:, t].T @ delta
        if t > 0:  # h_0 is zero, so the first step adds nothing to dw_h
            gradients["dw_h"] += hs[:, t - 1].T @ delta
        gradients["db"] += delta.sum(axis=0)
        dh = delta @ w_h.T
        if every_step:
            dh = dh + dh_last
    return gradients


class SimpleRNN:
    """The forward pass alone.  w_x: (D, H).  w_h: (H, H).  b: (H,)."""

    def __init__(self, w_x: np.ndarray, w_h: np.ndarray, b: np.ndarray) -> None:
        self.w_x, self.w_h, self.b = (np.asarray(array, dtype=np.result_type(array, 0.0)) for array in (w_x, w_h, b))
        H = self.w_x.shape[-1]
        if self.w_x.ndim != 2 or self.w_h.shape != (H, H) or self.b.shape != (H,):
            raise ValueError(
                f"{type(self).__name__}: expected w_x (D, H), w_h (H, H) and b (H,), "
                f"got {self.w_x.shape}, {self.w_h.shape} and {self.b.shape}."
            )

    def forward(self, x: np.ndarray, h0: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the last state `h_T: (B, H)` and all of them `hs: (B, T, H)`.  x: (B, T, D).  h0: (B, H) or None."""
        hs = run(x, self.w_x, self.w_h, self.b, h0)
        return hs[:, -1], hs


class SimpleRNN_BPTT(SimpleRNN):  # noqa: N801 - the documented name
    """The recurrence with its backward pass, from a zero first state."""

    def forward(self, x: np.ndarray) -> np.ndarray:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return all states `hs: (B, T, H)`, for x: (B, T, D)."""
        return run(x, self.w_x, self.w_h, self.b)

    def backward(
        self, x: np.ndarray, hs: np.ndarray, dh_last: np.ndarray, every_step: bool = False
    ) -> dict[str, np.ndarray]:
        """Return `dw_x: (D, H)`, `dw_h: (H, H)`, `db: (H,)` for the mean over the batch of <dh_last, h_T>.

        x: (B, T, D).  hs: (B, T, H), what `forward` returned.  dh_last: (B, H), dL/dh_T of each example.
        every_step: as published, add dh_last at *every* step. That is no gradient of a loss on the last state but of
            the mean of sum_t <dh_last, h_t>; here it has to be asked for.
        The derivation is in `bptt`, which sums over the batch; this divides by B, as documented.
        """
        x, hs, dh_last = np.asarray(x), np.asarray(hs), np.asarray(dh_last)
        if hs.shape[:2] != x.shape[:2] or dh_last.shape != (len(x), len(self.w_h)):
            raise ValueError(
                f"SimpleRNN_BPTT.backward: expected hs (B, T, H) and dh_last (B, H={len(self.w_h)}) for x {x.shape}, "
                f"got {hs.shape} and {dh_last.shape}."
            )
        sums = bptt(x, hs, self.w_h, dh_last, every_step)
        return {name: total / len(x) for name, total in sums.items()}


def loss_and_gradients(
    parameters: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the mean of (y_hat - y)^2 over batch and outputs, and its gradients by the names of the parameters.

    parameters: `Wx: (D, H)`, `Wh: (H, H)`, `Wy: (H, C)`, `Bh: (H,)`, `By: (C,)`.  x: (B, T, D).  y: (B, C).

    From L = 1/(B C) sum (y_hat - y)^2 follows dL/dy_hat = 2 (y_hat - y) / (B C), and since y_hat = h_T Wy + By:

        dL/dWy = h_T^T dy_hat,   dL/dBy = sum_b dy_hat,   dL/dh_T = dy_hat Wy^T     (then as in `bptt`)
    """
    hs = run(x, parameters["Wx"], parameters["Wh"], parameters["Bh"])
    y_hat = hs[:, -1] @ parameters["Wy"] + parameters["By"]
    error = y_hat - _targets(y, y_hat.shape)
    dy_hat = 2 * error / error.size
    recurrent = bptt(np.asarray(x), hs, parameters["Wh"], dy_hat @ parameters["Wy"].T)
    gradients = {
        "Wx": recurrent["dw_x"],
        "Wh": recurrent["dw_h"],
        "Wy": hs[:, -1].T @ dy_hat,
        "Bh": recurrent["db"],
        "By": dy_hat.sum(axis=0),
    }
    return float(np.mean(error**2)), gradients


class ScratchSimpleRNNClassifier:
    """The recurrence, a linear output from the last state, and gradient descent on the whole batch.

    n_features, n_nodes, n_output: D, H, C.  learning_rate: see `backward`.
    `Wx: (D, H)`, `Wh: (H, H)`, `Wy: (H, C)` are drawn in this order as 0.1 N(0, 1) from NumPy's global generator;
    `Bh: (H,)` and `By: (C,)` start at zero.
    """

    def __init__(self, n_features: int, n_nodes: int, n_output: int, learning_rate: float = 0.01) -> None:
        if min(n_features, n_nodes, n_output) < 1:
            raise ValueError(
                "ScratchSimpleRNNClassifier: expected n_features, n_nodes and n_output of at least 1, "
                f"got {n_features}, {n_nodes}, {n_output}."
            )
        self.learning_rate = learning_rate
        # The global generator is part of the documented behaviour: np.random.seed(0) must reproduce the printed losses.
        self.Wx = 0.1 * np.random.randn(n_features, n_nodes)  # noqa: NPY002
        self.Wh = 0.1 * np.random.randn(n_nodes, n_nodes)  # noqa: NPY002
        self.Wy = 0.1 * np.random.randn(n_nodes, n_output)  # noqa: NPY002
        self.Bh = np.zeros(n_nodes)
        self.By = np.zeros(n_output)
        self.loss_history: list[float] = []

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The five arrays by name."""
        return {name: getattr(self, name) for name in PARAMETERS}

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y_hat: (B, C) for x: (B, T, D)."""
        return run(x, self.Wx, self.Wh, self.Bh)[:, -1] @ self.Wy + self.By

    def backward(self, x: np.ndarray, y: np.ndarray, y_pred: np.ndarray) -> dict[str, np.ndarray]:
        """Update the parameters by one step; return the gradients of the printed loss that it used.

        x: (B, T, D).  y, y_pred: (B, C), the target and what `forward(x)` said.

        The documented rate belongs to J = 1/(2B) sum (y_hat - y)^2, whose error signal is (y_hat - y) / B. The printed
        loss is the mean L = 1/(BC) sum (y_hat - y)^2, so J = C/2 L, and the step is C/2 learning_rate dL/dtheta. With
        one output that is half of the printed loss's gradient: here it is a matter of the rate, as published it was
        taken for the gradient itself.
        """
        if np.shape(y_pred) != (len(x), len(self.By)):
            raise ValueError(f"backward: expected y_pred of shape ({len(x)}, {len(self.By)}), got {np.shape(y_pred)}.")
        _, gradients = loss_and_gradients(self.parameters, x, y)
        rate = self.learning_rate * len(self.By) / 2
        for name, gradient in gradients.items():
            setattr(self, name, getattr(self, name) - rate * gradient)
        return gradients

    def train(self, x: np.ndarray, y: np.ndarray, epochs: int = 50) -> list[float]:
        """Train on the whole batch, print every tenth loss, return all of them: one per epoch, taken before its update.

        x: (B, T, D).  y: (B, C).  epochs: at least 0, otherwise ValueError.
        """
        if epochs < 0:
            raise ValueError(f"train: expected epochs of at least 0, got {epochs}.")
        self.loss_history = []
        for epoch in range(1, epochs + 1):
            y_pred = self.forward(x)
            self.loss_history.append(float(np.mean((y_pred - _targets(y, y_pred.shape)) ** 2)))
            self.backward(x, y, y_pred)
            if epoch % 10 == 0:
                print(f"Epoch {epoch}, Loss: {self.loss_history[-1]:.6f}")
        return self.loss_history


def _targets(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if np.shape(y) != shape:
        raise ValueError(f"classifier: expected y of shape (batch, outputs) = {shape}, got {np.shape(y)}.")
    return np.asarray(y)


def main(plot: str | None = None) -> ScratchSimpleRNNClassifier:
    """Run the published demonstration and print what it prints; return the trained model.

    plot: where to save the loss curve ("plots/training_loss_curve.png"); None draws nothing and needs no matplotlib.
    """
    print("Problem 1: SimpleRNN Forward Propagation Test\n" + "=" * 70)
    w_x = np.array([[1, 3, 5, 7], [3, 5, 7, 8]]) / 100
    w_h = np.array([[1, 3, 5, 7], [2, 4, 6, 8], [3, 5, 7, 8], [4, 6, 8, 10]]) / 100
    h_T, _ = SimpleRNN(w_x, w_h, np.ones(4)).forward(np.array([[[1, 2], [2, 3], [3, 4]]]) / 100)
    expected = [[0.79494228, 0.81839002, 0.83939649, 0.85584174]]
    print(f"Final hidden state (h_T):\n{h_T}\nMatches expected: {np.allclose(h_T, expected, atol=1e-8)}\n")
    print("Problem 3: Training the RNN Classifier\n" + "=" * 70)
    np.random.seed(0)  # noqa: NPY002 - the printed losses belong to this seed
    x = np.random.rand(2, 3, 2)  # noqa: NPY002
    model = ScratchSimpleRNNClassifier(n_features=2, n_nodes=4, n_output=1, learning_rate=0.1)
    model.train(x, np.array([[0.5], [0.8]]), epochs=50)
    if plot is not None:
        figures.loss_curve(model.loss_history, plot)
    return model


if __name__ == "__main__":
    main("plots/training_loss_curve.png")
