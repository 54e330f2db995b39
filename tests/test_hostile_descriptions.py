"""A checkpoint with a right checksum and a lying description: refused in a sentence, or a result; memory bounded."""

import resource

import numpy as np
import pytest

from tests.hostile_descriptions import fuzz, sound
from tinygrad_rnn import checkpoint
from tinygrad_rnn.cli import main
from tinygrad_rnn.errors import CheckpointError


def grown(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = work()
    return result, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


@pytest.mark.filterwarnings("ignore:dropout option")
@pytest.mark.parametrize("count", [600, pytest.param(6_000, marks=pytest.mark.slow)])
def test_changed_descriptions_are_refused_or_give_a_result(tmp_path, count):
    fuzz(100, np.random.default_rng(1), tmp_path / "a")
    verdicts, memory = grown(lambda: fuzz(count, np.random.default_rng(0), tmp_path / "a"))
    assert verdicts.total() == count
    assert 0.5 < verdicts["refused"] / count < 0.9
    assert memory < 50e6, f"{memory / 1e6:.0f} MB for files of a few kB"


@pytest.mark.parametrize("size", ["hidden", "layers", "embedding"])
@pytest.mark.parametrize("claimed", [5, 30_000, 2**31, 10**12, 0, -1, 1.5, True, "8", None])
def test_sizes_that_the_weights_do_not_have(tmp_path, size, claimed):
    data, load = sound()["language model"]
    arrays, _, description = checkpoint.unpack(data)
    description["model"][size] = claimed
    checkpoint.save(tmp_path / "a", arrays, description=description)

    def refused():
        with pytest.raises(CheckpointError, match=r"expected shape \[|expected a size above 0"):
            load(tmp_path / "a")

    _, memory = grown(refused)
    assert memory < 10e6


def test_empty_arrays_prove_no_size(tmp_path):
    # An array of shape (0, 10**6) takes no byte of the file, and must not stand for a hidden size.
    data, load = sound()["language model"]
    arrays, _, description = checkpoint.unpack(data)
    H = description["model"]["hidden"] = 10**6
    empty = {name: np.zeros((0, H), np.float32) for name in arrays if "weight_hh" in name or name == "head.weight"}
    checkpoint.save(tmp_path / "a", {**arrays, **empty}, description=description)
    with pytest.raises(CheckpointError, match="expected shape"):
        load(tmp_path / "a")


@pytest.mark.parametrize(("key", "value"), [("cell", ["gru"]), ("hidden", 10**9), ("vocabulary", {}), ("kind", "cat")])
def test_the_command_line_says_it_in_a_sentence(tmp_path, capsys, key, value):
    data, _ = sound()["language model"]
    arrays, _, description = checkpoint.unpack(data)
    description["model"][key] = value
    checkpoint.save(tmp_path / "a.safetensors", arrays, description=description)
    assert main(["sample", str(tmp_path / "a.safetensors")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinygrad-rnn: ")
    assert "expected" in said
    assert "Traceback" not in said


def test_the_sound_ones_load(tmp_path):
    for name, (data, load) in sound().items():
        (tmp_path / "a").write_bytes(data)
        assert load(tmp_path / "a") is not None, name
