"""Handwritten gradients: the models of this project in plain NumPy, beside no engine at all.

Each module stands alone, imports NumPy only (`nextword` not even that) and derives its backward pass in a docstring:

- `regression` (with `checks`): time series, many-to-many, with a forecast by lag
- `classifier`: many-to-one on a batch, squared error
- `charmodel`: the next character
- `sentiment` and `sentiment_data`: a sentence's mood, word by word
- `nextword`: the next word, in lists and `math`
- `rnn`, `gated`: tanh RNN, LSTM and GRU with PyTorch's parameter names
- `vectorized` (with `vectorized_cells`): the same three cells as an expert writes them for speed
- `figures`: what the modules draw; the only one that asks for matplotlib, and only when something is drawn

Every module offers `loss_and_gradients(parameters, ...)`: a dict of named arrays in, the loss and a dict of gradients
under the same names out. That is the seam at which a handwritten gradient is compared with another one.
Nothing is imported here, so each module costs only itself.
"""
