"""`compile`: record one call of a function, and replay it as an expert would have written it.

The data flow, file by file; each knows primitives and never layers:

1. `signature` takes the arguments apart into arrays, which become inputs, and static values, which select a program;
   `guards` watches what the function sees besides them.
2. `trace` runs the function once on stand-ins, everything recorded; parameters are the leaves that it finds. It records
   the reverse sweep in the same way, and lowers both into one `program`: typed instructions, forward part, cut,
   backward part.
3. `cleaning` removes what is dead, equal, or does nothing. `softmax` takes losses apart so that one exponential serves
   all, `columns` lays few classes out one after the other, `splitting` computes gates apart from each other and
   multiplies them part by part. `sums` makes one product of a sum of products, and orders sums so that what is known
   early comes first. `gates` takes sigmoids apart, where `saturation` finds no harm in it, into what this `machine`
   computes fastest. `cutting` cuts products into the slices that are read of them; `biases` lets products add them.
4. `batching` schedules by agenda: all instructions of one kind (`kinds`) that are ready are done together, for as many
   steps at once as the cache holds (`windows`). `joining` makes one instruction of them, on stacked operands
   (`stacking`). `rows` puts a few inputs beside the state of a single example, and `weights` lays weights out as
   products read them.
5. `layout` decides which values lie side by side, so that stacking copies nothing; `planning` gives every value a place
   in memory, reused when its last reader is done; `kernels`, and `lookups` for what goes by index, bind each
   instruction to NumPy `calls` with `out=`.
6. `replay` holds the flat list of calls. `compiled` is the public face: signatures, guards, the node that `backward()`
   reaches. `step` compiles loss, gradient clipping and the update of an optimiser into one call.

The idea of batching by agenda is from G. Neubig, Y. Goldberg and C. Dyer, "On-the-fly Operation Batching in Dynamic
Computation Graphs" (2017); here it is done ahead of time, and memory is planned with it.
"""

from .compiled import Compiled, compile
from .step import compile_step

__all__ = ["Compiled", "compile", "compile_step"]
