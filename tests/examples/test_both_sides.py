"""The numbered examples and the doctor's run as they stand, and say what they promise."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name, capsys, monkeypatch, *options):
    """Run an example as a script; returns what it prints."""
    monkeypatch.setattr(sys, "argv", [name, *options])
    state = np.random.get_state()  # noqa: NPY002 - the published runs seed the global generator
    try:
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return capsys.readouterr().out


def figures(pattern, text):
    return [float(found) for found in re.findall(pattern, text)]


def test_time_series(capsys, monkeypatch):
    text = run("01_series.py", capsys, monkeypatch, "--epochs", "12")
    assert "All sides agree" in text
    assert max(figures(r"two sides (\S+)", text)) < 1e-10
    assert figures(r"predict the same to (\S+);", text)[0] < 1e-10


def test_classifier_prints_the_published_losses_twice(capsys, monkeypatch):
    text = run("02_classifier.py", capsys, monkeypatch)
    for loss in ("0.068712", "0.024700", "0.021294", "0.020934", "0.020771"):
        assert text.count(loss) == 2
    assert figures(r"at most (\S+), the", text)[0] < 1e-12
    assert figures(r"the parameters by (\S+)", text)[0] < 1e-12


def test_character_model_writes_its_text(capsys, monkeypatch):
    text = run("03_characters.py", capsys, monkeypatch, "--epochs", "150")
    assert text.count("'hello world'") == 2
    assert max(figures(r"two sides (\S+)", text)) < 1e-8


def test_sentiment(capsys, monkeypatch):
    text = run("04_sentiment.py", capsys, monkeypatch, "--epochs", "1")
    assert "All sides agree" in text
    assert max(figures(r"differ by (\S+)", text)) < 1e-12


def test_next_word(capsys, monkeypatch):
    text = run("05_next_word.py", capsys, monkeypatch)
    assert text.count("'you doing well'") == 2
    assert figures(r"differ by (\S+)", text)[0] < 1e-8


def test_doctor_names_three_published_mistakes_and_the_cure_helps(capsys, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    text = run("doctor.py", capsys, monkeypatch, "--plot", str(tmp_path / "cure.png"))
    assert "4 mistakes together reproduce your numbers" in text
    for kind in (
        "weight not transposed",
        "activation shared by all steps",
        "outputs shifted by one step",
        "transposed",
    ):
        assert f". {kind}: " in text
    assert "BPTT cut after k steps" in text
    assert text.count("cured: The gradients are right") == 3
    published, cured = figures(r"as published .*-> +(\S+)", text), figures(r"when cured .*-> +(\S+)", text)
    assert len(published) == 3
    assert all(right < wrong for right, wrong in zip(cured, published, strict=True))
    assert cured[0] < published[0] / 10
    assert cured[2] < published[2] / 100
    assert (tmp_path / "cure.png").stat().st_size > 5000
