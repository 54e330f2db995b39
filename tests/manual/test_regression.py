"""Rows S0.1 to S0.16: the time-series RNN and its `Run_RNN` interface."""

import inspect
import sys

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes, relative
from tinygrad_rnn.manual import regression
from tinygrad_rnn.manual.regression import Apply_RNN, RNN_model, Run_RNN, SGD_Optimizer, Tanh, loss_and_gradients


def series(T: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, T).reshape(-1, 1)
    return x, np.sin(3 * x) + 0.1 * rng.standard_normal((T, 1))


def seeded(seed: int = 0) -> None:
    np.random.seed(seed)  # noqa: NPY002 - the documented source of the weights


def forward_model(n_neurons: int = 4, T: int = 6, seed: int = 0) -> tuple[RNN_model, np.ndarray, np.ndarray]:
    seeded(seed)
    model = RNN_model(n_neurons, Tanh())
    x, y = series(T)
    model.forward(x)
    return model, x, y


def parameters_of(model: RNN_model) -> dict[str, np.ndarray]:
    return {name: getattr(model, name) for name in regression.PARAMETERS}


def test_s0_1_signature_and_defaults():
    documented = {
        "X_t": inspect.Parameter.empty, "Y_t": inspect.Parameter.empty, "Activation": inspect.Parameter.empty,
        "epochs": 500, "n_neurons": 500, "lr": 1e-5, "momentum": 0.95, "decay": 0.01, "plot_each": 0.50, "dt": 0,
    }  # fmt: skip
    assert {name: p.default for name, p in inspect.signature(Run_RNN).parameters.items()} == documented


def test_s0_1_returns_the_trained_model():
    x, y = series()
    seeded()
    model = Run_RNN(x, y, Tanh(), epochs=40, n_neurons=8, lr=1e-3, plot_each=0)
    seeded()
    untrained = RNN_model(8, Tanh())
    assert isinstance(model, RNN_model)
    assert np.sum((Apply_RNN(x, model) - y) ** 2) < 0.5 * np.sum((Apply_RNN(x, untrained) - y) ** 2)


@pytest.mark.parametrize("dt", [0, 3])
def test_s0_2_loss_is_half_the_mean_square_over_T_minus_dt(dt, capsys):
    _, y = series()
    seeded()
    model = RNN_model(5, Tanh())
    error = Apply_RNN(y[: len(y) - dt], model) - y[dt:]
    seeded()
    Run_RNN(y, y, Tanh(), epochs=1, n_neurons=5, plot_each=1, dt=dt)
    loss = 0.5 * np.sum(error**2) / (len(y) - dt)
    assert capsys.readouterr().out.splitlines()[0] == f"Current MSE at epoch 0: + {loss:.3f}"


def test_s0_2_gradient_is_of_the_undivided_sum():
    model, x, y = forward_model()
    loss, gradients = loss_and_gradients(parameters_of(model), x, y)
    assert loss == pytest.approx(0.5 * np.sum((model.Y_hat - y) ** 2), rel=1e-15)
    model.backward(model.Y_hat - y)
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, getattr(model, f"d_{name}"))


@pytest.mark.parametrize(
    ("plot_each", "reported"),
    [(each, range(12)) for each in (0.5, 1, 0.3, True)]
    + [(50, [0]), (5, [0, 5, 10]), (5.0, [0, 5, 10])]
    + [(never, []) for never in (0, None, False)],
)
def test_s0_3_plot_each(plot_each, reported, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    x, y = series(8)
    Run_RNN(x, y, Tanh(), epochs=12, n_neurons=2, plot_each=plot_each)
    lines = capsys.readouterr().out.splitlines()
    epochs = [int(line.split("epoch ")[1].split(":")[0]) for line in lines if line.startswith("Current")]
    assert epochs == list(reported)
    assert lines[-1].startswith("Model training complete! Loss = ")


@pytest.mark.parametrize("plot_each", [-1, -0.5, 2.5, float("inf")])
def test_s0_3_plot_each_that_means_nothing_is_refused(plot_each):
    with pytest.raises(ValueError, match="plot_each"):
        Run_RNN(*series(8), Tanh(), epochs=1, n_neurons=2, plot_each=plot_each)


def test_s0_4_with_a_lag_the_model_learns_from_the_series_alone():
    x, y = series()
    models = []
    for given in (x, y):
        seeded()
        models.append(Run_RNN(given, y, Tanh(), epochs=5, n_neurons=4, plot_each=0, dt=7))
    for name in regression.PARAMETERS:
        np.testing.assert_array_equal(getattr(models[0], name), getattr(models[1], name))
    seeded()
    reference = RNN_model(4, Tanh())
    optimizer = SGD_Optimizer(1e-5, 0.95, 0.01)
    list(regression.training(reference, optimizer, y[:-7], y[7:], epochs=5))
    np.testing.assert_array_equal(models[0].Wh, reference.Wh)


def test_s0_4_afterwards_all_of_X_t_has_been_run_forward():
    x, y = series()
    model = Run_RNN(x, y, Tanh(), epochs=2, n_neurons=4, plot_each=0, dt=7)
    assert model.Y_hat.shape == (30, 1)
    np.testing.assert_array_equal(model.Y_hat, Apply_RNN(x, model))


def test_s0_4_lags_out_of_range():
    x, y = series(8)
    with pytest.raises(ValueError, match=r"Time lag dt=8 must be smaller than the data size T=8"):
        Run_RNN(x, y, Tanh(), dt=8)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        Run_RNN(x, y, Tanh(), dt=-1)
    with pytest.raises(TypeError):
        Run_RNN(x, y, Tanh(), dt=1.5)
    with pytest.raises(ValueError, match="1 feature, not 2"):
        Run_RNN(np.hstack([x, x]), y, Tanh(), dt=1)


@pytest.mark.parametrize("dt", [0, 7])
def test_s0_6_the_final_loss_is_that_of_the_returned_weights(dt, capsys):
    x, y = series()
    model = Run_RNN(x, y, Tanh(), epochs=3, n_neurons=4, lr=1e-2, plot_each=1, dt=dt)
    lines = capsys.readouterr().out.splitlines()
    inputs, targets = (y[:-dt], y[dt:]) if dt else (x, y)
    final = 0.5 * np.mean((Apply_RNN(inputs, model) - targets) ** 2)
    assert lines[-1] == f"Model training complete! Loss = {final:.3f}"
    assert lines[-1].split("= ")[1] != lines[-2].split("+ ")[1], "the rate is too small to tell the two apart"


def test_s0_6_no_epochs_return_the_untrained_model(capsys):
    x, y = series()
    seeded()
    model = Run_RNN(x, y, Tanh(), epochs=0, n_neurons=4)
    seeded()
    np.testing.assert_array_equal(model.Wh, RNN_model(4, Tanh()).Wh)
    assert "Model training complete! Loss = " in capsys.readouterr().out


def test_s0_6_more_than_one_feature():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    model = Run_RNN(x, y, Tanh(), epochs=2, n_neurons=4, plot_each=0)
    assert model.Wi.shape == (4, 3)
    assert Apply_RNN(x, model).shape == (20, 1)


@pytest.mark.parametrize("length", [1, 3, 50])
def test_s0_7_apply_to_any_length_with_weights_and_last_pass_untouched(length):
    model, x, _ = forward_model(T=6)
    before = {name: np.copy(value) for name, value in (parameters_of(model) | {"Y_hat": model.Y_hat}).items()}
    y_hat = Apply_RNN(np.linspace(0, 1, length), model)
    assert y_hat.shape == (length, 1)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(model, name), value)
    np.testing.assert_array_equal(Apply_RNN(x, model), model.Y_hat)


def test_s0_8_weights_are_drawn_in_the_documented_order():
    seeded(3)
    model = RNN_model(4, Tanh())
    seeded(3)
    for name, shape in (("Wh", (4, 4)), ("Wi", (4, 1)), ("Wo", (1, 4)), ("bias", (4, 1))):
        np.testing.assert_array_equal(getattr(model, name), 0.1 * np.random.randn(*shape))  # noqa: NPY002
    assert model.n_neurons == 4
    assert isinstance(model.Activation, Tanh)


def test_s0_9_forward_sets_the_documented_attributes_and_returns_none():
    model, x, _ = forward_model(n_neurons=4, T=6)
    assert model.forward(x) is None
    assert model.T == 6
    np.testing.assert_array_equal(model.X_t, x)
    assert model.Y_hat.shape == (6, 1)
    assert [h.shape for h in model.H] == [(4, 1)] * 7
    assert not model.H[0].any()
    assert len(model.Act_list) == 6
    for name in regression.PARAMETERS:
        gradient = getattr(model, f"d_{name}")
        assert gradient.shape == getattr(model, name).shape
        assert not gradient.any()


def test_s0_10_cell_values():
    model, x, _ = forward_model(n_neurons=3, T=2)
    h1 = np.tanh(model.Wi * x[0] + model.bias)
    h2 = np.tanh(model.Wh @ h1 + model.Wi * x[1] + model.bias)
    buffers = [Tanh(), Tanh()], [np.zeros((3, 1))] * 3, np.zeros((2, 1))
    Act_list, H, Y_hat = model.RNN_Cell(x, np.zeros((3, 1)), *buffers)
    np.testing.assert_allclose(H[1:], [h1, h2], rtol=1e-15)
    np.testing.assert_allclose(Y_hat, [(model.Wo @ h1)[0], (model.Wo @ h2)[0]], rtol=1e-15)
    np.testing.assert_array_equal(Act_list[1].output, H[2])


def test_s0_11_every_gradient_is_the_derivative_at_50_shapes():
    for rng, (T, H, D) in random_shapes("THD", seed=11):
        shapes = {"Wh": (H, H), "Wi": (H, D), "Wo": (1, H), "bias": (H, 1)}
        p = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
        x, y = rng.standard_normal((T, D)), rng.standard_normal((T, 1))
        assert_is_gradient(lambda q: loss_and_gradients(q, x, y)[0], p, loss_and_gradients(p, x, y)[1], rng)  # noqa: B023


def test_s0_11_backward_twice_accumulates():
    model, _, y = forward_model()
    model.backward(model.Y_hat - y)
    once = {name: getattr(model, f"d_{name}").copy() for name in regression.PARAMETERS}
    model.backward(model.Y_hat - y)
    for name, gradient in once.items():
        np.testing.assert_allclose(getattr(model, f"d_{name}"), 2 * gradient, rtol=1e-14)


def test_s0_12_every_step_differentiates_its_own_activation():
    """The original shares one activation, forgets a transpose, transposes a result and shifts dy: three are far off."""
    model, x, y = forward_model(n_neurons=5, T=8)
    dy = model.Y_hat - y
    assert len({id(activation) for activation in model.Act_list}) == 8
    model.backward(dy)
    published = {name: np.zeros_like(getattr(model, name)) for name in regression.PARAMETERS}
    last = 1 - model.Act_list[-1].output ** 2
    dh = model.Wo.T * dy[-1]
    for t in reversed(range(8)):
        delta = last * dh
        published["Wi"] += delta * x[t]
        published["Wh"] += model.H[t] @ delta.T
        published["bias"] += delta
        published["Wo"] += dy[t] * model.H[t + 1].T
        dh = model.Wh @ delta + model.Wo.T * dy[t]
    off = {name: relative(value, getattr(model, f"d_{name}")) for name, value in published.items()}
    assert off["Wo"] < 1e-14
    assert min(off["Wi"], off["Wh"], off["bias"]) > 0.05


def test_s0_13_optimizer_attributes_and_defaults():
    optimizer = SGD_Optimizer()
    state = (optimizer.lr, optimizer.current_lr, optimizer.momentum, optimizer.decay, optimizer.iterations)
    assert state == (1e-5, 1e-5, 0, 0, 0)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_s0_13_momentum_step_with_the_rate_inside_the_velocity(decay):
    """v <- m v - current_lr g; equal to torch's lr (m v + g) while the rate is constant, different when it falls."""
    seeded()
    model, optimizer = RNN_model(2, Tanh()), SGD_Optimizer(lr=0.1, momentum=0.9, decay=decay)
    rng = np.random.default_rng(0)
    theta, velocity = model.Wo.copy(), np.zeros_like(model.Wo)
    torch_theta, torch_velocity = theta.copy(), velocity.copy()
    for iteration in range(20):
        for name in regression.PARAMETERS:
            setattr(model, f"d_{name}", rng.standard_normal(getattr(model, name).shape))
        rate = 0.1 / (1 + decay * iteration)
        velocity = 0.9 * velocity - rate * model.d_Wo
        theta = theta + velocity
        torch_velocity = 0.9 * torch_velocity + model.d_Wo
        torch_theta = torch_theta - rate * torch_velocity
        optimizer.pre_update_params()
        optimizer.update_params(model)
        optimizer.post_update_params()
        assert optimizer.current_lr == pytest.approx(rate, rel=1e-15)
    np.testing.assert_allclose(model.Wo, theta, rtol=1e-13)
    for name in regression.PARAMETERS:
        assert getattr(model, f"{name}_momentums").shape == getattr(model, name).shape
    np.testing.assert_allclose(model.Wo_momentums, velocity, rtol=1e-13)
    assert optimizer.iterations == 20
    assert (relative(model.Wo, torch_theta) < 1e-12) == (decay == 0)


def test_s0_13_without_momentum_no_velocity_is_made():
    model, _, y = forward_model()
    model.backward(model.Y_hat - y)
    before = model.Wi.copy()
    SGD_Optimizer(lr=0.5).update_params(model)
    np.testing.assert_array_equal(model.Wi, before - 0.5 * model.d_Wi)
    assert not hasattr(model, "Wi_momentums")


def test_s0_14_tanh_stores_and_returns_none():
    tanh, inputs = Tanh(), np.array([[-1.0], [0.5]])
    assert tanh.forward(inputs) is None
    assert tanh.inputs is inputs
    np.testing.assert_array_equal(tanh.output, np.tanh(inputs))
    assert tanh.backward(np.full((2, 1), 3.0)) is None
    np.testing.assert_allclose(tanh.d_inputs, 3 / np.cosh(inputs) ** 2, rtol=1e-14)


def published_series() -> tuple[np.ndarray, np.ndarray]:
    """S0.15: 400 points, drawn from the global generator, before the weights."""
    x = np.arange(-100, 100, 0.5).reshape(-1, 1)
    return x, np.sin(0.05 * x) + 0.1 * np.random.randn(400, 1) + 0.2 * np.exp(0.01 * x)  # noqa: NPY002


def test_s0_15_the_published_runs_in_small():
    seeded()
    x, y = published_series()
    model = Run_RNN(x, y, Tanh(), epochs=2, n_neurons=10, decay=0, plot_each=0)
    assert Apply_RNN(np.arange(-20, 50, 0.5).reshape(-1, 1), model).shape == (140, 1)
    forecast = Run_RNN(y, y, Tanh(), epochs=2, n_neurons=10, dt=20, plot_each=0)
    assert Apply_RNN(y, forecast).shape == (400, 1)


@pytest.mark.parametrize(
    ("n_neurons", "decay", "dt", "initial", "final"),
    [
        (50, 0, 0, 0.290, 0.0055),
        pytest.param(50, 0.01, 0, 0.290, 0.0062, marks=pytest.mark.slow),
        pytest.param(100, 0.01, 20, 0.228, 0.0067, marks=pytest.mark.slow),
        pytest.param(100, 0.01, 50, 0.254, 0.0075, marks=pytest.mark.slow),
    ],
)
def test_s0_16_reference_losses(n_neurons, decay, dt, initial, final, capsys):
    seeded()
    x, y = published_series()
    model = Run_RNN(y if dt else x, y, Tanh(), n_neurons=n_neurons, decay=decay, dt=dt, plot_each=0)
    inputs, targets = (y[:-dt], y[dt:]) if dt else (x, y)
    assert 0.5 * np.mean((Apply_RNN(inputs, model) - targets) ** 2) == pytest.approx(final, rel=0.2)
    seeded()
    published_series()
    Run_RNN(y if dt else x, y, Tanh(), epochs=0, n_neurons=n_neurons, dt=dt, plot_each=0)
    assert capsys.readouterr().out.splitlines()[-1] == f"Model training complete! Loss = {initial:.3f}"


def test_an_activation_may_be_given_as_its_class_and_must_have_both_passes():
    assert isinstance(RNN_model(2, Tanh).Activation, Tanh)
    with pytest.raises(TypeError, match="forward and backward"):
        RNN_model(2, np.tanh)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Run_RNN(np.zeros((4, 1)), np.zeros((5, 1)), Tanh()), "one length, got 4 and 5"),
        (lambda: Run_RNN(np.zeros((0, 1)), np.zeros((0, 1)), Tanh()), "not empty"),
        (lambda: Run_RNN(np.zeros((4, 1)), np.zeros((4, 2)), Tanh()), r"Y_t: expected shape \(T, 1\)"),
        (lambda: Run_RNN(np.zeros((2, 2, 2)), np.zeros(2), Tanh()), r"X_t: expected shape"),
        (lambda: Run_RNN([1.0, np.nan], [0.0, 1.0], Tanh()), "finite"),
        (lambda: Run_RNN(*series(8), Tanh(), epochs=-1), "epochs of at least 0, got -1"),
        (lambda: Run_RNN(*series(8), Tanh(), n_neurons=0), "n_neurons of at least 1"),
        (lambda: SGD_Optimizer(lr=-1), "lr of at least 0"),
        (lambda: forward_model(T=6)[0].backward(np.zeros((5, 1))), r"d_values: expected shape \(6, 1\)"),
        (lambda: Apply_RNN(np.zeros((3, 2)), forward_model()[0]), r"X_t: expected shape \(T, 1\)"),
    ],
)
def test_bad_input_is_told_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_backward_before_forward_is_told_so():
    with pytest.raises(RuntimeError, match="Call forward first"):
        RNN_model(2, Tanh()).backward(np.zeros((1, 1)))
