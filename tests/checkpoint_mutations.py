"""Damaged and hostile checkpoint files, made from sound ones by structured mutation. Used by test_checkpoint.py.

The verdict on each: `load` raises CheckpointError, or it returns exactly what was saved. A mutation may also strip a
file of every trace of us; it is then a file of another program, which holds no checksum, and must only be consistent
with itself.
"""

import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_rnn.checkpoint import Checkpoint, pack, unpack
from tinygrad_rnn.errors import CheckpointError

ODD_NUMBERS = [-1, 0, 1, 7, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, 1.5, None, "8", True, []]
ODD_TEXTS = [
    "",
    "F4",
    "BF16",
    "F8_E4M3",
    "I64",
    "\0",
    "\u202e",
    "<script>",
    "../../x",
    "é" * 50,
    "__metadata__",
    "9" * 5000,
]


def samples(generator: np.random.Generator) -> list[bytes]:
    """Sound files: of ours with several dtypes and empty arrays, of ours with nothing, and one of another program."""
    from safetensors.numpy import save

    arrays = {
        "weight": generator.standard_normal((3, 4)).astype(np.float32),
        "steps": np.arange(5),
        "flags": np.array([True, False, True]),
        "empty": np.zeros((0, 7)),
        "scale": np.array(2.5),
    }
    ours = pack(arrays, description={"layers": [4, 3], "rate": math.inf}, metadata={"note": "of a test"})
    return [ours, pack({}), save(arrays, {"format": "pt"})]


def fuzz(count: int, generator: np.random.Generator) -> Counter[str]:
    """Mutate and load `count` files. Returns how many were refused, unharmed, foreign; AssertionError on a lie."""
    originals = samples(generator)
    expected = [unpack(data) for data in originals]
    verdicts: Counter[str] = Counter()
    for _ in range(count):
        which = int(generator.integers(len(originals)))
        data = originals[which]
        for _ in range(int(generator.integers(1, 4))):
            data = MUTATIONS[int(generator.integers(len(MUTATIONS)))](data, generator)
        verdicts[_verdict(data, expected[which], foreign=which == 2)] += 1
    return verdicts


def _verdict(data: bytes, expected: Checkpoint, *, foreign: bool) -> str:
    try:
        found = unpack(data)
    except CheckpointError as error:
        text = str(error)
    else:
        return _accepted(found, data, expected, foreign)
    assert 20 < len(text) < 1000, "an error must say something, and not repeat the file"
    assert text.isprintable(), "a file must not speak to the terminal"
    return "refused"


def _accepted(found: Checkpoint, data: bytes, expected: Checkpoint, foreign: bool) -> str:
    assert sum(array.nbytes for array in found.arrays.values()) <= len(data), "more memory than the file has"
    texts = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
    if not foreign and any(key.startswith("tinygrad_rnn.") for key in texts):
        assert found.metadata == expected.metadata
        assert found.description == expected.description
        assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in found.arrays.items()} == {
            name: (a.dtype, a.shape, a.tobytes()) for name, a in expected.arrays.items()
        }
        return "unharmed"
    return "foreign"


def _pick(choices: list[Any], generator: np.random.Generator) -> Any:
    return choices[int(generator.integers(len(choices)))]


def _place(data: bytes, generator: np.random.Generator) -> int:
    """A position, half of the time in the first 200 bytes, where the header is."""
    return int(generator.integers(min(len(data), _pick([200, len(data)], generator)) or 1))


def truncate(data: bytes, generator: np.random.Generator) -> bytes:
    return data[: _place(data, generator)]


def flip_bits(data: bytes, generator: np.random.Generator) -> bytes:
    held = bytearray(data)
    for _ in range(int(generator.integers(1, 4))):
        if held:
            held[_place(data, generator)] ^= 1 << int(generator.integers(8))
    return bytes(held)


def insert(data: bytes, generator: np.random.Generator) -> bytes:
    at = _place(data, generator)
    return data[:at] + generator.bytes(int(generator.integers(1, 40))) + data[at:]


def delete(data: bytes, generator: np.random.Generator) -> bytes:
    at = _place(data, generator)
    return data[:at] + data[at + int(generator.integers(1, 40)) :]


def repeat(data: bytes, generator: np.random.Generator) -> bytes:
    at = _place(data, generator)
    return data[:at] + data[at : at + 64] * 2 + data[at + 64 :]


def append(data: bytes, generator: np.random.Generator) -> bytes:
    return data + generator.bytes(int(generator.integers(1, 100)))


def lie_about_header_length(data: bytes, generator: np.random.Generator) -> bytes:
    true = int.from_bytes(data[:8], "little")
    wrong = _pick([0, 1, true - 1, true + 1, len(data), 10**8, 10**8 + 1, 2**32, 2**63, 2**64 - 1], generator)
    return (wrong % 2**64).to_bytes(8, "little") + data[8:]


def nest_deeply(data: bytes, generator: np.random.Generator) -> bytes:
    deep = _pick([b"[", b'{"a":', b'{"__metadata__":{"a":'], generator) * int(generator.integers(1, 3000))
    return len(deep).to_bytes(8, "little") + deep + data[-50:]


def _on_header(change: Callable[[dict[str, Any], np.random.Generator], Any]) -> Callable[..., bytes]:
    """A mutation that keeps the JSON valid and changes what it says."""

    def mutate(data: bytes, generator: np.random.Generator) -> bytes:
        length = int.from_bytes(data[:8], "little")
        try:
            header = json.loads(data[8 : 8 + length])
            header = change(header, generator) or header
            text = json.dumps(header).encode()
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):  # an earlier mutation broke it
            return data
        return len(text).to_bytes(8, "little") + text + data[8 + length :]

    return mutate


def _entry(header: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    return header[_pick([name for name in header if name != "__metadata__"], generator)]


def change_offsets(header: dict[str, Any], generator: np.random.Generator) -> None:
    _entry(header, generator)["data_offsets"][int(generator.integers(2))] = _pick(ODD_NUMBERS, generator)


def swap_offsets(header: dict[str, Any], generator: np.random.Generator) -> None:
    one, two = _entry(header, generator), _entry(header, generator)
    one["data_offsets"], two["data_offsets"] = two["data_offsets"], one["data_offsets"]


def change_shape(header: dict[str, Any], generator: np.random.Generator) -> None:
    shape = _entry(header, generator)["shape"]
    shape[int(generator.integers(len(shape)))] = _pick(ODD_NUMBERS, generator)


def many_axes(header: dict[str, Any], generator: np.random.Generator) -> None:
    entry = _entry(header, generator)
    entry["shape"] = entry["shape"] + [1] * int(generator.integers(1, 100))


def empty_but_vast(header: dict[str, Any], generator: np.random.Generator) -> None:
    _entry(header, generator)["shape"] = [0] + [2 ** int(generator.integers(20, 64))] * int(generator.integers(1, 5))


def change_dtype(header: dict[str, Any], generator: np.random.Generator) -> None:
    _entry(header, generator)["dtype"] = _pick(["F32", "F64", "I32", "BOOL", "C64", *ODD_TEXTS, 3, None], generator)


def rename(header: dict[str, Any], generator: np.random.Generator) -> None:
    header[_pick(ODD_TEXTS, generator)] = header.pop(_pick(list(header), generator))


def drop(header: dict[str, Any], generator: np.random.Generator) -> None:
    del header[_pick(list(header), generator)]


def add_vast_array(header: dict[str, Any], generator: np.random.Generator) -> None:
    size = 2 ** int(generator.integers(20, 62))
    header["vast"] = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}


def change_metadata(header: dict[str, Any], generator: np.random.Generator) -> None:
    held = header["__metadata__"]
    held[_pick([*held, *ODD_TEXTS], generator)] = _pick([*ODD_TEXTS, *ODD_NUMBERS], generator)


def drop_metadata(header: dict[str, Any], generator: np.random.Generator) -> None:
    held = header["__metadata__"]
    del held[_pick(list(held), generator)]


def replace_metadata(header: dict[str, Any], generator: np.random.Generator) -> None:
    header["__metadata__"] = _pick([None, [], "text", 1, {"tinygrad_rnn.version": "1"}, {}], generator)


def no_object(header: dict[str, Any], generator: np.random.Generator) -> Any:
    return _pick([[header], "text", 7, {"a": header}], generator)


MUTATIONS: list[Callable[[bytes, np.random.Generator], bytes]] = [
    *(truncate, flip_bits, insert, delete, repeat, append, lie_about_header_length, nest_deeply),
    *map(_on_header, (change_offsets, swap_offsets, change_shape, many_axes, empty_but_vast, change_dtype, rename)),
    *map(_on_header, (drop, add_vast_array, change_metadata, drop_metadata, replace_metadata, no_object)),
]
