"""The dashboard: an RNN learns, predicts, forecasts, is drawn, checked, and writes.

    make app              in a checkout
    tinygrad-rnn app      where the package is installed with the extra app

Each tab is a file in tinygrad_rnn/dashboard/.
"""

from tinygrad_rnn.dashboard.page import main

main()
