"""The exceptions, and the one sentence they all speak: where, what was expected, what came, what to do.

Imports nothing. Every class is also the built-in that PyTorch or NumPy raises in the same place, so `except
RuntimeError` around a shape mismatch keeps working after the import line has changed; all of them are a
`TinygradError`.
"""

__all__ = [
    "AnomalyError",
    "CheckpointError",
    "DTypeError",
    "DataError",
    "DistributedError",
    "GraphError",
    "MissingCheckpointError",
    "MissingDataError",
    "MissingRuleError",
    "ShapeError",
    "StateDictError",
    "TinygradError",
    "explain",
]


class TinygradError(Exception):
    """The base of every exception that this package raises on purpose."""


class ShapeError(TinygradError, ValueError, RuntimeError):
    """Shapes do not fit: a ValueError as in NumPy and a RuntimeError as in PyTorch."""


class DTypeError(TinygradError, TypeError, RuntimeError):
    """A dtype is not allowed here: a TypeError as in NumPy and a RuntimeError as in PyTorch."""


class GraphError(TinygradError, RuntimeError):
    """The recorded graph cannot do what was asked: freed, not scalar, changed in place, nothing needs a gradient."""


class StateDictError(TinygradError, RuntimeError):
    """The names or shapes of a state_dict are not those of the module or optimiser that shall load it."""


class AnomalyError(TinygradError, RuntimeError):
    """NaN or Inf was born under `detect_anomaly`; the text names the op, its scope and the user's line."""


class MissingRuleError(TinygradError, TypeError):
    """A function has no rule for Tensors, or a primitive none for one of its arguments."""


class CheckpointError(TinygradError, ValueError):
    """A checkpoint file cannot be read or written as asked; files already on disk are untouched."""


class MissingCheckpointError(CheckpointError, FileNotFoundError):
    """There is no checkpoint at this path, or no such folder: also a FileNotFoundError, as `torch.load` raises."""


class DataError(TinygradError, ValueError):
    """Text or a series cannot be used; the text names the file and the line, column or byte offset."""


class MissingDataError(DataError, FileNotFoundError):
    """There is no data file at this path: also a FileNotFoundError, as `open` raises."""


class DistributedError(TinygradError, RuntimeError, ImportError):
    """Ranks do not fit together, or what lets them talk is missing; the text names the rank and the difference."""


def explain(where: str, *, expected: str = "", got: str = "", do: str = "") -> str:
    """Build the text of an error: `where: expected ..., got .... What to do.`

    where: the op, function or file, with its place ("matmul in model.rnn.cell at t=3", "songs.txt, byte 17").
    expected, got: the two sides of the disagreement, as phrases without a final stop; either may be left out.
    do: one full sentence that tells how to go on; may be left out.
    Returns the sentence, ready to be handed to an exception.

    >>> explain("matmul at t=3", expected="inner sizes to agree", got="64 and 10", do="Did you mean x @ W.T?")
    'matmul at t=3: expected inner sizes to agree, got 64 and 10. Did you mean x @ W.T?'
    """
    sides = ", ".join(f"{word} {text}" for word, text in (("expected", expected), ("got", got)) if text)
    head = ": ".join(part for part in (where, sides) if part)
    if not do:
        return head
    return f"{head}{'' if head.endswith(('.', '?', '!')) else '.'} {do}" if head else do
