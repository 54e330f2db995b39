"""Every kind of drawing once: what the geometric tests look at and the golden files hold."""

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tests.viz.library import library

SAMPLES = {
    "vanilla": lambda: viz.draw(n.recurrent()),
    "vanilla_ops": lambda: viz.draw(n.recurrent(T=3), level="ops"),
    "two_layers": lambda: viz.draw(n.recurrent(layers=2)),
    "bidirectional": lambda: viz.draw(n.bidirectional(layers=2)),
    "bidirectional_ops": lambda: viz.draw(n.bidirectional(T=3), level="ops"),
    "lstm": lambda: viz.draw(n.recurrent("lstm")),
    "lstm_ops": lambda: viz.draw(n.recurrent("lstm", T=3), level="ops"),
    "gru": lambda: viz.draw(n.recurrent("gru")),
    "gru_ops": lambda: viz.draw(n.recurrent("gru", T=3), level="ops"),
    "layers": lambda: viz.draw(n.bidirectional(layers=2), level="layers"),
    "gradients": lambda: viz.draw(n.last_state_loss(T=10), gradients=True),
    "gradients_ops": lambda: viz.draw(n.last_state_loss(T=3), level="ops", gradients=True),
    "elided": lambda: viz.draw(n.recurrent(T=48)),
    "elided_ops": lambda: viz.draw(n.recurrent(T=48), level="ops"),
    "elided_gradients": lambda: viz.draw(n.last_state_loss(T=48), gradients=True),
    "elsewhere": lambda: viz.draw(n.recurrent(T=20), steps=slice(9, 12)),
    "backward": lambda: viz.draw(n.recurrent(T=4), backward=True),
    "loss_in_each_step": lambda: viz.draw(n.per_step_loss()),
    "loss_in_each_step_ops": lambda: viz.draw(n.per_step_loss(T=3), level="ops"),
    "plain_loop": lambda: viz.draw(n.plain_loop()),
    "plain_loop_ops": lambda: viz.draw(n.plain_loop(), level="ops"),
    "detached": lambda: viz.draw(n.detached()),
    "feedforward": lambda: viz.draw(n.feedforward()),
    "feedforward_ops": lambda: viz.draw(n.feedforward(), level="ops"),
    "tree": lambda: viz.draw(n.tree()),
    "expression": lambda: viz.draw(n.expression(), level="ops"),
    "expanded": lambda: viz.draw(n.recurrent(T=3, layers=2), expand=["rnn.l0"]),
    "collapsed": lambda: viz.draw(n.recurrent(T=4, layers=2), collapse=["rnn"]),
    "hostile": lambda: viz.draw(n.hostile()),
    "nn_rnn": lambda: viz.draw(*library(tg.nn.RNN)),
    "nn_lstm": lambda: viz.draw(*library(tg.nn.LSTM, num_layers=2, bidirectional=True)),
    "nn_gru_ops": lambda: viz.draw(*library(tg.nn.GRU, T=3), level="ops"),
}
