"""Training: one loop for all models, its reports, and its figures."""

from tinygrad_rnn.train.evaluation import Objective, mean_loss
from tinygrad_rnn.train.folder import BEST, LAST, METRICS
from tinygrad_rnn.train.interruption import Interruption
from tinygrad_rnn.train.metrics import read as read_metrics
from tinygrad_rnn.train.parallel import ParallelTrainer
from tinygrad_rnn.train.reports import Bar, Lines, Progress, Quiet, Report, suited
from tinygrad_rnn.train.trainer import Ended, Outcome, Trainer

__all__ = [
    "BEST",
    "LAST",
    "METRICS",
    "Bar",
    "Ended",
    "Interruption",
    "Lines",
    "Objective",
    "Outcome",
    "ParallelTrainer",
    "Progress",
    "Quiet",
    "Report",
    "Trainer",
    "mean_loss",
    "read_metrics",
    "suited",
]
