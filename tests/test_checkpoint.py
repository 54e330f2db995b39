"""Checkpoints come back bit for bit, in both directions with PyTorch, and whatever is wrong with a file is said."""

import io
import json
import math
import os
import resource
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.checkpoint_mutations import fuzz
from tinygrad_rnn import checkpoint
from tinygrad_rnn.errors import CheckpointError, MissingCheckpointError

# `CHECKPOINT_FUZZ=2000000 pytest tests/test_checkpoint.py -k damaged` for a long hunt; every file takes about 40 us.
DAMAGED_FILES = int(os.environ.get("CHECKPOINT_FUZZ", "20000"))


def arrays_of_every_kind():
    rng = np.random.default_rng(0)
    square, cube = rng.standard_normal((3, 4)), rng.standard_normal((2, 3, 4)).astype(np.float32)
    return {
        "plain": square,
        "transposed": square.T,
        "reversed": square[::-1],
        "reversed columns": square[:, ::-1],
        "strided": square[::2, 1::2],
        "swapped": cube.swapaxes(0, 2),
        "fortran": np.asfortranarray(cube),
        "broadcast": np.broadcast_to(np.float32(3), (2, 5)),
        "0-d": np.array(7.5),
        "0-d of a strided array": cube[1, 1, 1:2].reshape(()),
        "numpy scalar": np.float32(1.5),
        "empty": np.zeros((0, 3)),
        "empty inside, transposed": np.zeros((2, 0, 3)).T,
        "bool": np.array([True, False, True])[::-1],
        "big-endian": np.arange(4, dtype=">f8"),
        "odd numbers": np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        "unaligned": np.frombuffer(b"x" + np.arange(3.0).tobytes(), np.uint8)[1:].view(np.float64),
        "names äöü \n \0 'quoted'": np.arange(3),
    } | {dtype: np.array([0, 1, 100]).astype(dtype)[::-1] for dtype in checkpoint._FROM_CODE.values()}


@pytest.mark.parametrize("name", arrays_of_every_kind())
def test_every_kind_of_array_comes_back(tmp_path, name):
    array = np.asarray(arrays_of_every_kind()[name])
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, {name: array})
    (found,) = checkpoint.load(path).arrays.values()
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    assert found.tobytes() == array.astype(found.dtype).tobytes("C")
    assert found.flags.writeable
    assert found.flags.c_contiguous


def test_saving_reads_arrays_only():
    arrays = arrays_of_every_kind()
    for array in arrays.values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    once, again = checkpoint.unpack(checkpoint.pack(arrays)), checkpoint.unpack(checkpoint.pack(arrays))
    assert {name: array.tobytes() for name, array in once.arrays.items()} == {
        name: array.tobytes() for name, array in again.arrays.items()
    }


def test_descriptions_and_metadata_come_back(tmp_path):
    description = {"hidden": [64, 32], "rate": 0.1, "best": math.inf, "state": 2**127 + 1, "none": None, "name": "é\0"}
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, {}, description=description, metadata={"note": "ü\n"})
    found = checkpoint.load(path)
    assert found == ({}, {"format": "pt", "note": "ü\n"}, description)
    assert checkpoint.load(io.BytesIO(path.read_bytes())) == found


def test_open_files_and_text_files(tmp_path):
    with open(tmp_path / "a", "w+b") as file:
        checkpoint.save(file, {"x": np.arange(3)})
        file.seek(0)
        assert checkpoint.load(file).arrays["x"].tolist() == [0, 1, 2]
    with pytest.raises(CheckpointError, match=r"expected bytes, got text or other str. Open the file with mode 'rb'"):
        checkpoint.load(io.StringIO("text"))


def test_tied_weights_are_written_under_both_names(tmp_path):
    weight = np.arange(6.0).reshape(2, 3)
    checkpoint.save(tmp_path / "a", {"encoder.weight": weight, "decoder.weight": weight})
    found = checkpoint.load(tmp_path / "a").arrays
    assert sorted(found) == ["decoder.weight", "encoder.weight"]
    assert all(np.array_equal(array, weight) for array in found.values())
    assert not np.shares_memory(*found.values())


def test_names_that_another_program_dropped_for_being_tied_come_back():
    from safetensors.numpy import save  # as safetensors.torch.save_model does: {dropped: kept} in the metadata

    data = save({"encoder": np.arange(3.0), "pt": np.zeros(1)}, {"format": "pt", "decoder": "encoder", "note": "none"})
    arrays = checkpoint.unpack(data).arrays
    assert sorted(arrays) == ["decoder", "encoder", "pt"]
    assert arrays["decoder"] is arrays["encoder"]


def test_a_header_too_large_to_be_read_again_is_not_written(monkeypatch):
    monkeypatch.setattr(checkpoint, "_LARGEST_HEADER", 1000)
    with pytest.raises(CheckpointError, match=r"save: expected names and metadata below 1,000 bytes, got 1,\d\d\d"):
        checkpoint.pack({}, metadata={"note": "x" * 1000})
    sound = checkpoint.pack({}, metadata={"note": "x" * 500})
    monkeypatch.setattr(checkpoint, "_LARGEST_HEADER", 400)
    with pytest.raises(CheckpointError, match=r"bytes, and a header said to have \d\d\d bytes where 400 are allowed"):
        checkpoint.unpack(sound)


def test_a_hostile_header_costs_a_bounded_multiple_of_its_size():
    entries = ",".join(f'"{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(20_000))
    header = f"{{{entries}}}".encode()
    data = len(header).to_bytes(8, "little") + header
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(checkpoint.unpack(data).arrays) == 20_000
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < 80 * len(data)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"arrays": {"a": [1, 2]}}, "array 'a': expected a NumPy array, got list. Wrap it in np.asarray."),
        ({"arrays": {"a": np.array(["x"])}}, "array 'a': expected bool, 8 to 64 bit integers, .*, got <U1. Convert it"),
        ({"arrays": {"a": np.array([None])}}, "array 'a': expected .*, got object"),
        ({"arrays": {"a": np.zeros(1, complex)}}, "array 'a': expected .*, got complex128"),
        ({"arrays": {"a": np.zeros(1, np.longdouble)}}, "array 'a': expected .*, got"),
        ({"arrays": {3: np.zeros(1)}}, "array name: expected text other than '__metadata__', got 3"),
        ({"arrays": {"__metadata__": np.zeros(1)}}, "array name: expected text other than"),
        ({"arrays": {"\ud800": np.zeros(1)}}, "save: expected names and texts of valid Unicode"),
        ({"arrays": {}, "metadata": {"a": 1}}, "metadata: expected text by text, got 'a' of int. Numbers and lists go"),
        ({"arrays": {}, "metadata": {"tinygrad_rnn.x": ""}}, "metadata: expected keys that do not begin with"),
        ({"arrays": {}, "description": {1, 2}}, "description: expected what JSON can hold, got TypeError: .*set"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_the_old_file_stays(tmp_path, arguments, text):
    path = tmp_path / "a"
    checkpoint.save(path, {"old": np.zeros(1)})
    with pytest.raises(CheckpointError, match=text):
        checkpoint.save(path, **arguments)
    assert list(checkpoint.load(path).arrays) == ["old"]
    assert os.listdir(tmp_path) == ["a"]


def test_paths_that_cannot_be_read_or_written(tmp_path):
    missing = str(tmp_path / "missing.safetensors")
    with pytest.raises(MissingCheckpointError, match=f"{missing}: expected a checkpoint to read, got No ") as caught:
        checkpoint.load(missing)
    assert str(caught.value).endswith(" Check the path.")
    with pytest.raises(FileNotFoundError, match=r"Check the path; folders are not created\."):
        checkpoint.save(tmp_path / "missing" / "a", {})
    for act in (checkpoint.load, lambda path: checkpoint.save(path, {})):
        with pytest.raises(CheckpointError, match=r"got a directory. Give the path of a regular file."):
            act(tmp_path)
        with pytest.raises(CheckpointError, match="got a device, pipe or socket"):
            act("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def altered(change):
    """A sound file with its header changed and its length put right."""
    data = checkpoint.pack({"w": np.arange(3.0)}, description={"a": 1})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "f: expected a whole safetensors file, got 0 bytes, and .*header too small. The file is damaged"),
        (checkpoint.pack({"w": np.arange(3.0)})[:-1], "f: expected a whole safetensors file, got .*not fully covered"),
        (altered(lambda m: m.update({"tinygrad_rnn.version": "2"})), "expected format version 1, got '2'. .*update"),
        (altered(lambda m: m.update({"tinygrad_rnn.version": "x"})), "expected format version 1, got 'x'. The file is"),
        (
            altered(lambda m: m.pop("tinygrad_rnn.version")),
            "f: expected format version 1, got none. The file is damaged",
        ),
        (altered(lambda m: m.pop("tinygrad_rnn.sha256")), "f: expected checksum [0-9a-f]{64}, got none. The file is"),
        (
            altered(lambda m: m.update(format="np")),
            "f: expected checksum [0-9a-f]{64}, got '[0-9a-f]{64}'. The file is",
        ),
        (b"PK\x03\x04" + bytes(100), "f: expected a whole safetensors file, got a pickle, .* Pickles can run code"),
        (b"\x80\x04" + bytes(100), "got a pickle, as of torch.save. Pickles can run code and are never read"),
    ],
)
def test_files_that_cannot_be_trusted(data, text):
    with pytest.raises(CheckpointError, match=text):
        checkpoint.unpack(data, where="f")


def test_every_single_bit_of_the_data_is_guarded():
    data = checkpoint.pack({"w": np.arange(3.0), "b": np.array([True])}, description={"a": 1})
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckpointError):
            checkpoint.unpack(bytes(flipped))


def test_a_sound_file_may_begin_like_a_pickle():
    name = next(
        "n" * size
        for size in range(1, 1000)
        if checkpoint.pack({"n" * size: np.zeros(1)}).startswith((b"\x80\x02", b"\x80\x03"))
    )
    assert list(checkpoint.unpack(checkpoint.pack({name: np.zeros(1)})).arrays) == [name]


def test_damaged_and_hostile_files_are_refused_or_unharmed():
    fuzz(200, np.random.default_rng(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdicts = fuzz(DAMAGED_FILES, np.random.default_rng(0))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert sum(verdicts.values()) == DAMAGED_FILES
    assert verdicts["refused"] > 0.8 * DAMAGED_FILES
    assert grown < 50_000, f"{grown} kB for files of 2 kB"


SAVE_FOREVER = """
import sys, numpy as np
from tinygrad_rnn import checkpoint
k = 0
while True:
    arrays = {name: np.full(200_000, k, np.float32) for name in "abc"}
    checkpoint.save(sys.argv[1], arrays, description={"k": k})
    k += 1
"""


def kill_while_saving(path, kills, seed):
    """SIGKILL a process that saves and saves, at random moments; each time the file must be whole. Returns each k."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(kills):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, path])
        while not path.exists():
            assert process.poll() is None, "the saving process died by itself"
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        arrays, _, description = checkpoint.load(path)
        assert all((array == description["k"]).all() for array in arrays.values())
        found.append(description["k"])
    checkpoint.save(path, {})
    assert os.listdir(path.parent) == [path.name], "the next save removes what killed ones left"
    return found


def test_a_kill_while_saving_leaves_the_old_file_or_the_new(tmp_path):
    assert len(kill_while_saving(tmp_path / "a", kills=4, seed=0)) == 4


@pytest.mark.slow
def test_fifty_kills_while_saving(tmp_path):
    assert max(kill_while_saving(tmp_path / "a", kills=50, seed=1)) > 0


@pytest.mark.peers
def test_files_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file, save_model

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    save_file(lstm.state_dict(), tmp_path / "lstm.safetensors")
    found = checkpoint.load(tmp_path / "lstm.safetensors")
    assert found.description is None
    assert sorted(found.arrays) == sorted(lstm.state_dict())
    for name, tensor in lstm.state_dict().items():
        np.testing.assert_array_equal(found.arrays[name], tensor.numpy(), strict=True)

    tied = torch.nn.ModuleDict({"encoder": torch.nn.Linear(3, 3), "decoder": torch.nn.Linear(3, 3)})
    tied["decoder"].weight = tied["encoder"].weight
    save_model(tied, str(tmp_path / "tied.safetensors"), metadata={"format": "pt"})
    arrays = checkpoint.load(tmp_path / "tied.safetensors").arrays
    assert sorted(arrays) == sorted(tied.state_dict())
    assert arrays["encoder.weight"] is arrays["decoder.weight"]

    save_file({"half": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match=r"array 'half': expected bool, .*, got BF16. NumPy has no such dtype"):
        checkpoint.load(tmp_path / "half.safetensors")


@pytest.mark.peers
def test_files_for_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    state = {name: tensor.numpy() for name, tensor in torch.nn.GRU(3, 4).state_dict().items()}
    checkpoint.save(tmp_path / "gru.safetensors", state, description={"hidden": 4})
    found = load_file(tmp_path / "gru.safetensors")
    torch.nn.GRU(3, 4).load_state_dict(found)
    for name, array in state.items():
        np.testing.assert_array_equal(found[name].numpy(), array, strict=True)

    checkpoint.save(tmp_path / "kinds.safetensors", arrays_of_every_kind())
    found = load_file(tmp_path / "kinds.safetensors")
    for name, array in arrays_of_every_kind().items():
        np.testing.assert_array_equal(found[name].numpy(), np.asarray(array))
