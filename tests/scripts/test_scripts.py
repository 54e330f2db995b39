"""Scripts written for PyTorch run with only the import changed, and give the same losses: PyTorch's own examples, from
the folder in the environment variable PYTORCH_EXAMPLES, and small ones of ours in the same style, always."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXAMPLES = os.environ.get("PYTORCH_EXAMPLES", "")
OWN = sorted(path.name for path in (HERE / "own").glob("*.py"))
needs_examples = pytest.mark.skipif(not EXAMPLES, reason="PYTORCH_EXAMPLES names no folder with pytorch/examples")


def change_import(text):
    """`import torch` -> `import tinygrad_rnn as torch`, and the same for its submodules; nothing else changes."""
    text = re.sub(r"^import torch$", "import tinygrad_rnn as torch", text, flags=re.M)
    return re.sub(r"^(import|from) torch\.", r"\1 tinygrad_rnn.", text, flags=re.M)


def run(source, folder, arguments=(), ours=True, dtype="float32"):
    """Run a script in a copy of its folder; returns the numbers that it read, and what it printed."""
    place = folder / ("ours" if ours else "theirs")
    place.mkdir(exist_ok=True)
    for path in source.parent.glob("*.py"):
        text = path.read_text(encoding="utf8")
        (place / path.name).write_text(change_import(text) if ours else text, encoding="utf8")
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = os.environ | one_thread | {"PYTHONPATH": str(ROOT), "DTYPE": dtype, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, str(HERE / "run.py"), str(place / "record.json"), str(place / source.name), *arguments],
        cwd=place, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return np.array(json.loads((place / "record.json").read_text())), done.stdout


@pytest.mark.parametrize("name", OWN)
def test_a_script_of_ours_runs_and_learns(name, tmp_path):
    losses, _ = run(HERE / "own" / name, tmp_path)
    assert len(losses) >= 20
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OWN)
def test_a_script_of_ours_gives_the_losses_of_pytorch(name, dtype, tmp_path):
    pytest.importorskip("torch")
    compare(HERE / "own" / name, tmp_path, (), dtype)


def compare(source, folder, arguments, dtype, at_least=20):
    ours, _ = run(source, folder, arguments, ours=True, dtype=dtype)
    theirs, _ = run(source, folder, arguments, ours=False, dtype=dtype)
    assert len(ours) == len(theirs) >= at_least
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if dtype == "float64" else 1e-3)


@needs_examples
@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", [
    ("--model", "RNN_TANH", "--lr", "1"),
    ("--model", "RNN_RELU", "--lr", "1"),
    ("--model", "LSTM"),
    ("--model", "GRU", "--lr", "2"),
    ("--model", "LSTM", "--tied"),
    ("--model", "GRU", "--use-optimizer", "--lr", "0.003"),
], ids=" ".join)  # fmt: skip
def test_the_word_language_model_gives_the_losses_of_pytorch(options, dtype, tmp_path):
    pytest.importorskip("torch")
    source = Path(EXAMPLES) / "word_language_model" / "main.py"
    compare(source, tmp_path, (*small_corpus(tmp_path), *options), dtype, at_least=50)


def small_corpus(folder):
    """Write texts of forty words; returns the arguments that train a small model on them."""
    rng = np.random.default_rng(11)
    words = [f"w{i}" for i in range(40)]
    for part, count in (("train", 1500), ("valid", 200), ("test", 200)):
        picks = (np.cumsum(rng.integers(0, 4, count)) % len(words)).tolist()
        lines = [" ".join(words[i] for i in picks[start : start + 9]) for start in range(0, count, 9)]
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n")
    sizes = ("--emsize", "16", "--nhid", "16", "--bptt", "7", "--batch_size", "4", "--epochs", "1", "--dropout", "0")
    return ("--data", str(folder), *sizes)


@needs_examples
@pytest.mark.parametrize("model", ["RNN_TANH", "RNN_RELU", "LSTM", "GRU"])
def test_the_word_language_model_is_saved_exported_and_generated_from(model, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    folder = Path(EXAMPLES) / "word_language_model"
    arguments = (*small_corpus(tmp_path), "--model", model, "--dry-run", "--onnx-export", str(tmp_path / "model.onnx"))
    run(folder / "main.py", tmp_path, arguments)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    scores = session.run(None, {"input": np.zeros((3, 5), np.int64)})[0]
    assert scores.shape == (15, 41)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, rtol=1e-5)
    run(folder / "generate.py", tmp_path, ("--data", str(tmp_path), "--words", "30"))
    words = (tmp_path / "ours" / "generated.txt").read_text().split()
    assert len(words) == 30
    assert {word[0] for word in words} <= {"w", "<"}


@needs_examples
@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_images_read_row_by_row_give_the_losses_of_pytorch(dtype, tmp_path):
    pytest.importorskip("torch")
    source = Path(EXAMPLES) / "mnist_rnn" / "main.py"
    arguments = ("--batch-size", "8", "--epochs", "5", "--log-interval", "1", "--save-model")
    compare(source, tmp_path, arguments, dtype, at_least=50)


@needs_examples
@pytest.mark.peers
@pytest.mark.slow
def test_the_whole_time_sequence_prediction_gives_the_losses_of_pytorch(tmp_path):
    pytest.importorskip("torch")
    folder = Path(EXAMPLES) / "time_sequence_prediction"
    for ours in (True, False):
        run(folder / "generate_sine_wave.py", tmp_path, ours=ours)
    compare(folder / "train.py", tmp_path, ("--steps", "3"), "float64", at_least=50)
