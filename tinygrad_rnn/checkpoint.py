"""Dicts of arrays to safetensors files and back: whole or not at all, checked on the way in, no pickle.

Floor 0: imports `errors` and `files`, and the safetensors library inside the functions that need it. A file is written
beside its target, synced and renamed, so a reader finds the old file or the new one and never a part. What `save`
writes carries a format version and a SHA-256 of everything else; files of other programs (PyTorch's
`safetensors.torch`) have neither and load too.

Tied weights. An array that stands under two names is written under both, so that any reader finds a complete
state_dict; that the two are one is a property of the model, which `load_state_dict` keeps. Files in which
`safetensors.torch.save_model` has dropped the second name (and noted it in the metadata) come back with both names on
one array.

The traps this file exists for: the library's NumPy writer stores the memory of an array that is not C-contiguous as
if it were (huggingface/safetensors#825), and its file writer renames over whatever stands at the path, a device
included.
"""

import json
import os
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from tinygrad_rnn.errors import CheckpointError, MissingCheckpointError, explain
from tinygrad_rnn.files import Path, advice, open_regular, replace

__all__ = ["FORMAT_VERSION", "Checkpoint", "load", "pack", "save", "unpack"]

FORMAT_VERSION = 1
_OURS = "tinygrad_rnn."
_VERSION, _DESCRIPTION, _SHA256 = _OURS + "version", _OURS + "description", _OURS + "sha256"
_KINDS = "bool, 8 to 64 bit integers, float16, float32, float64, complex64"
_FROM_CODE = {"BOOL": "bool", "C64": "complex64", "F16": "float16", "F32": "float32", "F64": "float64"} | {
    f"{letter}{bits}": f"{word}{bits}" for letter, word in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
}
_LARGEST_HEADER = 10_000_000  # bytes; a hostile one costs 40 times as much memory to take apart
_DAMAGED = "The file is damaged, or was never a checkpoint: go back to an earlier copy."
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # torch.save's zip, bare pickles
_NO_PICKLES = "Pickles can run code and are never read: in PyTorch, write it with safetensors.torch.save_file."


class Checkpoint(NamedTuple):
    """What a file held: arrays by name (writable, C-contiguous), the caller's metadata, and the description or None."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]
    description: Any


def save(
    path: Path | IO[bytes],
    arrays: Mapping[str, Any],
    *,
    description: Any = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays by name to a safetensors file, whole or not at all.

    path: where to write; an existing file is replaced at the last moment, a symbolic link is followed. An open binary
        file is written to as it is, without that guarantee.
    arrays: NumPy arrays, or what has `__array__`, of any shape and strides; bool, integers, float16 to float64,
        complex64.
    description: anything JSON can hold (a model's configuration, a trainer's counters); floats come back bit for bit.
    metadata: further text by name.
    Memory: the size of the file, besides the arrays. Raises CheckpointError and leaves the old file as it was.
    """
    data = pack(arrays, description=description, metadata=metadata)
    if isinstance(path, str | os.PathLike):
        try:
            replace(path, data)
        except OSError as error:
            raise _file_error(os.fspath(path), error, "a place to write a checkpoint") from error
    else:
        path.write(data)


def load(path: Path | IO[bytes]) -> Checkpoint:
    """Read a safetensors file written by `save` or by PyTorch.

    path: a regular file, or an open binary file.
    Returns a Checkpoint; arrays keep dtype and shape. Memory: twice the file, and about 40 bytes for each byte of its
    header, which may have 10 MB, whatever sizes it claims.
    Raises CheckpointError if it is truncated, altered, of a newer format, or holds a dtype NumPy lacks (bfloat16);
    MissingCheckpointError, also a FileNotFoundError, if there is none.
    """
    if not isinstance(path, str | os.PathLike):
        return unpack(path.read(), where=str(getattr(path, "name", "checkpoint")))
    where = os.fspath(path)
    try:
        with open_regular(where) as file:
            data = file.read()
    except OSError as error:
        raise _file_error(where, error, "a checkpoint to read", reading=True) from error
    return unpack(data, where=where)


def pack(arrays: Mapping[str, Any], *, description: Any = None, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes that `save` would write. The library orders the texts anew each time, so they may differ.

    Raises CheckpointError.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save as serialize

    held = {_checked_name(name): _plain(name, value) for name, value in arrays.items()}
    texts = {"format": "pt", **_checked_texts(metadata or {}), _VERSION: str(FORMAT_VERSION)}
    if description is not None:
        try:
            texts[_DESCRIPTION] = json.dumps(description)
        except (TypeError, ValueError, RecursionError) as error:
            got = f"{type(error).__name__}: {error}"
            raise CheckpointError(explain("description", expected="what JSON can hold", got=got)) from error
    texts[_SHA256] = _digest(held, texts)
    try:
        data = serialize(held, texts)
    except (SafetensorError, UnicodeEncodeError) as error:
        raise CheckpointError(explain("save", expected="names and texts of valid Unicode", got=str(error))) from error
    if int.from_bytes(data[:8], "little") > _LARGEST_HEADER:
        limit = f"names and metadata below {_LARGEST_HEADER:,} bytes"
        raise CheckpointError(explain("save", expected=limit, got=f"{int.from_bytes(data[:8], 'little'):,}"))
    return data


def unpack(data: bytes, *, where: str = "checkpoint") -> Checkpoint:
    """Read what `pack` or PyTorch wrote. where: how errors name the source. Raises CheckpointError."""
    arrays, texts = _parse(data, where)
    if not any(key.startswith(_OURS) for key in texts):
        return Checkpoint(_with_tied(arrays, texts), texts, None)
    version = texts.get(_VERSION)
    if version != str(FORMAT_VERSION):
        newer = version is not None and version.isdecimal() and len(version) < 9 and int(version) > FORMAT_VERSION
        do = "It was written by a newer release: update tinygrad_rnn." if newer else _DAMAGED
        got = "none" if version is None else repr(version[:40])
        raise CheckpointError(explain(where, expected=f"format version {FORMAT_VERSION}", got=got, do=do))
    stated = texts.pop(_SHA256, None)
    actual = _digest(arrays, texts)
    if stated != actual:
        got = "none" if stated is None else repr(stated[:64])
        raise CheckpointError(explain(where, expected=f"checksum {actual}", got=got, do=_DAMAGED))
    described = texts.pop(_DESCRIPTION, None)
    del texts[_VERSION]
    try:
        description = None if described is None else json.loads(described)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            explain(f"{where}, description", expected="JSON", got=_shown(error), do=_DAMAGED)
        ) from error
    return Checkpoint(arrays, texts, description)


def _plain(name: str, value: Any) -> np.ndarray:
    """A C-contiguous array in native byte order, with 0-d kept 0-d (`np.ascontiguousarray` would make it 1-d)."""
    if not hasattr(value, "__array__"):
        got = type(value).__name__
        raise CheckpointError(
            explain(f"array {name[:80]!r}", expected="a NumPy array", got=got, do="Wrap it in np.asarray.")
        )
    array = np.asarray(value)
    if array.dtype.name not in _FROM_CODE.values():
        do = "Convert it with .astype, or put it into the description."
        raise CheckpointError(explain(f"array {name[:80]!r}", expected=_KINDS, got=str(array.dtype), do=do))
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or name == "__metadata__":
        raise CheckpointError(explain("array name", expected="text other than '__metadata__'", got=repr(name)))
    return name


def _checked_texts(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            got = f"{key!r} of {type(value).__name__}"
            do = "Numbers and lists go into the description."
            raise CheckpointError(explain("metadata", expected="text by text", got=got, do=do))
        if key.startswith(_OURS):
            raise CheckpointError(explain("metadata", expected=f"keys that do not begin with {_OURS!r}", got=repr(key)))
    return dict(metadata)


def _digest(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> str:
    """SHA-256 in hex over all texts, then name, dtype, shape and bytes of all arrays, each in sorted order."""
    import hashlib  # brings OpenSSL, which `import tinygrad_rnn` need not wait for

    sha = hashlib.sha256(json.dumps(sorted(texts.items())).encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        sha.update(array.data)
    return sha.hexdigest()


def _parse(data: bytes, where: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Let the library check and cut the file, then read the metadata from the header that it found valid."""
    from safetensors import SafetensorError, deserialize

    if not isinstance(data, bytes):
        got = f"text or other {type(data).__name__}"
        raise CheckpointError(explain(where, expected="bytes", got=got, do="Open the file with mode 'rb'."))
    length = int.from_bytes(data[:8], "little")
    try:
        if length > _LARGEST_HEADER:
            raise ValueError(f"a header said to have {length:,} bytes where {_LARGEST_HEADER:,} are allowed")
        entries = deserialize(data)
        header = json.loads(data[8 : 8 + length])
    except (SafetensorError, ValueError, RecursionError) as error:
        # Asked only now: a sound file whose header is 640 bytes long begins with the bytes of a pickle.
        pickled = data.startswith(_PICKLES)
        got = "a pickle, as of torch.save" if pickled else f"{len(data):,} bytes, and {_shown(error)}"
        do = _NO_PICKLES if pickled else _DAMAGED
        raise CheckpointError(explain(where, expected="a whole safetensors file", got=got, do=do)) from error
    return {name: _array(name, entry, where) for name, entry in entries}, header.get("__metadata__") or {}


def _array(name: str, entry: Mapping[str, Any], where: str) -> np.ndarray:
    dtype = _FROM_CODE.get(entry["dtype"])
    if dtype is None:
        do = "NumPy has no such dtype: convert it where it was written (in PyTorch, .float())."
        raise CheckpointError(explain(f"{where}, array {name[:80]!r}", expected=_KINDS, got=entry["dtype"], do=do))
    try:
        return np.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"])
    except (ValueError, OverflowError) as error:  # more axes or elements than NumPy can count, in an empty array
        got = f"a shape of {len(entry['shape'])} axes: {_shown(error)}"
        raise CheckpointError(
            explain(f"{where}, array {name[:80]!r}", expected="a shape", got=got, do=_DAMAGED)
        ) from error


def _with_tied(arrays: dict[str, np.ndarray], texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Bring back the names that `safetensors.torch.save_model` dropped and noted as {dropped: kept}."""
    noted = {new: arrays[old] for new, old in texts.items() if new not in arrays and old in arrays and new != "format"}
    return arrays | noted


def _shown(error: Exception) -> str:
    """The text of an error in which a hostile file may speak: short, and nothing that a terminal would obey."""
    text = str(error)
    return "".join(c if c.isprintable() else "?" for c in text[:200]) + ("..." if len(text) > 200 else "")


def _file_error(where: str, error: OSError, expected: str, *, reading: bool = False) -> CheckpointError:
    kind = MissingCheckpointError if isinstance(error, FileNotFoundError) else CheckpointError
    got, do = advice(error, reading=reading)
    return kind(explain(where, expected=expected, got=got, do=do))
