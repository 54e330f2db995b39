"""The command line `tinygrad-rnn`, one small file per command."""

from .main import main as main
