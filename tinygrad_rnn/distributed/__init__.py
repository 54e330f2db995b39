"""Data-parallel training over MPI: the same run on several cores or machines, and how to go further than that.

    pip install 'tinygrad_rnn[mpi]'                       # mpi4py and MPICH, with mpiexec; nothing on the system
    mpiexec -n 4 -genv OPENBLAS_NUM_THREADS 1 tinygrad-rnn train ...
    mpiexec -f hosts -n 16 ...                            # hosts: a name per line; the environment on each, and ssh

**A script.** `train.ParallelTrainer` takes what `Trainer` takes, on every rank the same, and is a Trainer when nobody
has started several processes. Rank 0 reports and writes; the folder is needed there alone; `resume()` works with any
number of ranks. A loop of your own: see `DataParallel`. It works with `tg.compile`; `DataParallel.compile_step` stands
for `tg.compile_step`. Every rank goes through the same global batches and computes its rows of each, so the data must
fit on each machine, and a batch should have at least a row for each rank.

**What is guaranteed.** Gradients are weighted by examples, so that after 100 steps the weights are those of one process
on the whole batches to 1e-12 relative in float64, whatever the number of ranks, for every optimiser, with clipping and
accumulation (`tests/distributed/test_equality.py`). A step costs one `Allreduce`: of the gradients, 4 numbers, and one
for each parameter tensor. Dropout is the exception: its masks depend on the number of ranks, for each draws its own.

**When something breaks.** An exception, a kill or a non-zero exit on one rank ends all at once, with its message. A
rank that hangs is named and ends all after 20 seconds, or three times the longest step if that is more;
`world(patience=seconds)` or TINYGRAD_RNN_PATIENCE allow more, for a slow disk or unequal machines. Ranks with other
versions, shapes or data are refused at the start. The last checkpoint is whole in every case.

**What it brings.** A step on n machines costs `fixed + row * B / n + 2 (n - 1) / n * bytes / bandwidth + 2 log2(n)
latency` (`distributed.cost`). For a tanh RNN with B=64 T=128 H=512 in float32, 1.32 MB of gradients, compiled, one
thread, medians of 15 rounds on two cores that other work kept busy: 546 ms on one process, 361 ms on two, a speed-up of
1.51. The model, fitted to 4 to 32 rows on one process (37.5 ms + 8.8 ms a row), predicts 599 ms and 323 ms, 10 % above
and 11 % below. It says of machines with one core each, as times faster with the same 64 rows in all, and as efficiency
with 64 rows on each:

    machines                  2      4      8     16     32     64
    1 Gbit/s     faster     1.8    3.1    4.7    6.4    7.8    8.7
    10 Gbit/s    faster     1.9    3.3    5.5    8.0   10.4   12.3
    1 Gbit/s     efficiency 98 %   97 %   97 %   97 %   96 %   96 %

The fixed part, the loop over T on one row, is what ends it: let the batch grow with the machines. Run
`mpiexec -n 2 -genv OPENBLAS_NUM_THREADS 1 python -m tests.benchmarks.ranks` for your own figures.

**When to leave.** For PyTorch, as soon as a GPU pays: hidden sizes in the thousands, or more than a few dozen cores
kept busy for days. Weights go by safetensors, for parameter names and gate order are PyTorch's:
`model.load_state_dict(safetensors.torch.load_file("best.safetensors"))`; whole models go by ONNX, with
`tinygrad-rnn export`.
"""

from ..errors import DistributedError
from .cost import GIGABIT, TEN_GIGABIT, Cost, Network
from .parallel import DataParallel
from .sharing import Share, cut, share
from .watchdog import PATIENCE
from .world import World, launched, world

__all__ = [
    "GIGABIT",
    "PATIENCE",
    "TEN_GIGABIT",
    "Cost",
    "DataParallel",
    "DistributedError",
    "Network",
    "Share",
    "World",
    "cut",
    "launched",
    "share",
    "world",
]
