"""Data-parallel training over MPI: the same run on several cores or machines, and how to go further than that.

    pip install 'tinygrad_rnn[mpi]'                       # mpi4py and MPICH, with mpiexec; nothing on the system
    mpiexec -n 4 -genv OPENBLAS_NUM_THREADS 1 tinygrad-rnn train ...
    mpiexec -f hosts -n 16 ...                            # hosts: a name per line; the environment on each, and ssh

**A script.** `train.ParallelTrainer` takes what `Trainer` takes, on every rank the same, and is a Trainer when nobody
has started several processes. Rank 0 reports and writes; the folder is needed there alone; `resume()` works with any
number of ranks. A loop of your own: see `DataParallel`. It works with `tg.compile`; `DataParallel.compile_step` stands
for `tg.compile_step`. Every rank goes through the same global batches and computes its rows of each, so a batch should
have at least a row for each rank.

**A corpus larger than a machine.** `tinygrad-rnn train` reads it in shares: each of n ranks counts 1/n of the file, the
vocabulary is agreed by a reduction, and then each encodes the tracks of the batch that are its own: it reads 2/n of the
bytes and keeps 1/n of the tokens, in one byte each if there are at most 256 different (`tests/distributed/
test_reading.py`). A file of 123 MB: 100 MB kept on one rank, 50 MB on each of two, 25 MB on each of four, at most twice
that while reading. UTF-8 and encodings of one byte a character can be entered in the middle; others are decoded whole
by every rank. In a script:

    text = SharedText(TextPieces("corpus.txt"), ranks=world())              # all three are in tinygrad_rnn.data
    batches = StreamBatches(text.numbers(text.vocabulary()), batch=64, time=128, ranks=world())

The stream may as well be `np.load("tokens.npy", mmap_mode="r")`. Batches made without `ranks` are read whole by each.

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
thread, medians of 15 rounds on two cores: 160.0 ms on one process, 87.4 ms on two, a speed-up of 1.83. The model,
fitted to 4 to 32 rows on one process (14.6 ms + 2.24 ms a row), predicts 158.0 ms and 87.0 ms, 1 % and less than 1 %
below. It says of machines with one core each, as times faster with the same 64 rows in all, and as efficiency with 64
rows on each:

    machines                  2      4      8     16     32     64
    1 Gbit/s     faster     1.6    2.3    3.0    3.5    3.8    4.0
    10 Gbit/s    faster     1.8    3.0    4.6    6.1    7.4    8.2
    1 Gbit/s     efficiency 93 %   90 %   89 %   88 %   88 %   87 %
    10 Gbit/s    efficiency 99 %   99 %   99 %   99 %   99 %   98 %

The fixed part, the loop over T on one row, is what ends it: let the batch grow with the machines. Run
`mpiexec -n 2 -genv OPENBLAS_NUM_THREADS 1 python -m tests.benchmarks.ranks` for your own figures.

**When to leave.** For PyTorch, as soon as a GPU pays: hidden sizes in the thousands, or more than a few dozen cores
kept busy for days. Weights go by safetensors, for parameter names and gate order are PyTorch's:
`model.load_state_dict(safetensors.torch.load_file("best.safetensors"))`; whole models go by ONNX, with
`tinygrad-rnn export`. A script that keeps to PyTorch's names runs there with its import changed.
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
