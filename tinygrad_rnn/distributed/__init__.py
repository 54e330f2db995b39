"""Data-parallel training over MPI.

mpiexec -n 4 tinygrad-rnn train ...          # from the shell

from tinygrad_rnn.train import ParallelTrainer   # in a script: a Trainer, on as many ranks as there are
"""

from ..errors import DistributedError
from .parallel import DataParallel
from .sharing import Share, cut, share
from .watchdog import PATIENCE
from .world import World, launched, world

__all__ = ["PATIENCE", "DataParallel", "DistributedError", "Share", "World", "cut", "launched", "share", "world"]
