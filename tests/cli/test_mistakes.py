"""What goes wrong is told in a sentence on standard error, with an exit code, and never as a traceback."""

import importlib.util
import socket

import pytest

from tests.writers import close
from tinygrad_rnn import forecasting
from tinygrad_rnn.cli.console import counted
from tinygrad_rnn.train import Ended


def refused(done, *words, code=2):
    assert done.code == code, done
    assert done.out == ""
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    return done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "required"),
        (("trian",), "invalid choice"),
        (("train", "transformer"), "rnn"),
        (("train", "--hidden", "0"), "--hidden: expected a whole number of at least 1, got '0'"),
        (("train", "--hidden", "many"), "got 'many'"),
        (("train", "--lr", "-1"), "--lr: expected a number above 0"),
        (("train", "--lr", "nan"), "--lr: expected a number above 0"),
        (("train", "--dropout", "1"), "--dropout: expected a number from 0 to below 1"),
        (("train", "--hiden=3"), "unrecognized arguments: --hiden"),
        (("sample", "--temperature", "hot"), "--temperature: expected a number of at least 0"),
        (("sample", "--length", "-1"), "--length: expected a whole number of at least 0"),
        (("forecast",), "CSV"),
        (("forecast", "a.csv", "--lag", "0"), "--lag: expected a whole number of at least 1"),
        (("draw", "--level", "atoms"), "invalid choice: 'atoms'"),
        (("draw", "--steps", "0"), "--steps"),
        (("compare", "--steps", "x"), "--steps"),
        (("compare", "--rtol", "-1"), "--rtol: expected a number above 0, got '-1'"),
        (("compare", "--rtol", "nan"), "--rtol: expected a number above 0"),
        (("doctor", "--seconds", "0"), "--seconds"),
        (("bench", "cnn"), "invalid choice: 'cnn'"),
        (("export", "--format", "onnx"), "unrecognized arguments"),
        (("app", "--port", "http"), "--port"),
        (("info", "--all"), "unrecognized arguments"),
        (("completion", "powershell"), "invalid choice: 'powershell'"),
    ],
)
def test_bad_flags(tg, words, said):
    refused(tg(*words), said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--text", "no.txt", "--out", "o"), "no.txt"),
        (("train", "--config", "no.toml"), "no.toml"),
        (("train", "--resume", "--out", "nothing"), "expected a run in nothing, got no config.toml there"),
        (("train", "--encoding", "klingon"), "--encoding klingon: expected a file that is written so, got none"),
        (("train", "--out", "/dev/null/x"), "/dev/null/x: expected a folder for the run"),
        (("sample", "nothing"), "Train a model first with: tinygrad-rnn train"),
        (("export", "nothing", "--out", "w.safetensors"), "Train a model first"),
        (("forecast", "no.csv"), "no.csv"),
        (("draw", "nothing"), "expected rnn, lstm, gru, a folder that `train` wrote, or module:function"),
        (("compare", "transformer"), "expected one of regression"),
        (("compare", "no_such_module:f"), "there is no module 'no_such_module'"),
        (("doctor", "no_such_module:f"), "there is no module 'no_such_module'"),
        (("draw", "../mine:Net"), "expected the name of a module, such as mymodel or folder.mymodel, got '../mine'"),
        (("doctor", "--break", "typo"), "expected one of: shared activation"),
        (("doctor", "lstm", "--break", "gradient transposed"), "works on regression"),
        (("draw", "--out", "picture.bmp"), "picture.bmp"),
        (("draw", "--out", "no/such/folder.svg"), "no/such"),
        (("export", "--out", "m.pt"), "m.pt"),
        (("export", "--out", "no/w.safetensors"), "no/w.safetensors: there is no folder"),
    ],
)
def test_missing_files_and_names(tg, words, said):
    done = refused(tg(*words), said)
    assert "folders are not created" not in done.err  # which is said of writing


def test_of_many_names_the_nearest_are_told(tg):
    done = refused(tg("draw", "os:opem"), "os has no function 'opem'. Did you mean open or ")
    assert len(done.err) < 120
    assert tg("draw", "os:xqzqxz").err == "tinygrad-rnn: os:xqzqxz: os has no function 'xqzqxz'.\n"


def test_files_that_are_not_what_they_seem(tg, tmp_path):
    (tmp_path / "binary").write_bytes(b"\0\xff\xfe" * 100)
    (tmp_path / "empty").write_text("")
    (tmp_path / "short").write_text("ab")
    (tmp_path / "bad.toml").write_text("hidden = = 3")
    (tmp_path / "odd.toml").write_text("width = 3")
    (tmp_path / "kind.toml").write_text('hidden = "wide"')
    (tmp_path / "range.toml").write_text("hidden = 0")
    (tmp_path / "fake.safetensors").write_bytes(b"not at all" * 10)
    refused(tg("train", "--text", "binary"), "binary", "byte")
    refused(tg("train", "--text", "empty"), "an empty file")
    said = "short: expected at least 64 characters to learn beside 1 held out with --batch 32, got 1. Give a longer"
    refused(tg("train", "--text", "short"), said)
    said = "expected at least 2 characters held out with --validation 0.05, got 1 of 3. Give a longer text, a larger"
    (tmp_path / "short").write_text("abc")
    refused(tg("train", "--text", "short", "--batch", 1), said)
    refused(tg("train", "--text", tmp_path), "irectory")
    refused(tg("train", "--config", "bad.toml"), "bad.toml: expected TOML")
    refused(tg("train", "--config", "odd.toml"), "'width'", "hidden")
    refused(tg("train", "--config", "kind.toml"), "hidden: expected a value of type int, got 'wide'")
    refused(tg("train", "--config", "range.toml"), "expected a whole number of at least 1")
    (tmp_path / "latin.toml").write_bytes(b'text = "caf\xe9"')
    refused(tg("train", "--config", "latin.toml"), "latin.toml: expected UTF-8", "convert the file")
    (tmp_path / "encoding.toml").write_text('encoding = "latin-1"')
    refused(tg("train", "--config", "encoding.toml"), "--encoding latin-1: expected a file")
    refused(tg("sample", "fake.safetensors"), "fake.safetensors")
    refused(tg("forecast", "binary"), "binary")
    refused(tg("forecast", "empty"), "an empty file")


def test_tables_that_cannot_be_forecast(tg, series, tmp_path):
    refused(tg("forecast", series), "'step', 'wave'", "Choose one")
    refused(tg("forecast", series, "--column", "tide"), "'tide'")
    refused(tg("forecast", series, "--column", "7"), "0 to 1")
    refused(tg("forecast", series, "--column", "wave", "--lag", 500, "-q"), "at least 510 rows", "--lag 500, got 120")
    refused(tg("forecast", series, "--column", "wave", "--lag", 111, "-q"), "Choose a smaller --lag")
    assert tg("forecast", series, "--column", "wave", "--lag", 110, "--epochs", 1, "-q").code == 0
    refused(tg("forecast", series, "--column", "wave", "--plot", "x.bmp"), "x.bmp")
    refused(tg("forecast", series, "--column", "wave", "--out", "no/x.csv"), "there is no folder")
    (tmp_path / "gap.csv").write_text("y\n1\nnan\n3\n")
    refused(tg("forecast", "gap.csv"), "line 3", "nan")
    (tmp_path / "blank.csv").write_text("y\n1\n\n3\n")
    refused(tg("forecast", "blank.csv"), "line 3", "an empty cell. Fill or cut such gaps")
    (tmp_path / "flat.csv").write_text("y\n" + "1\n" * 60)
    refused(tg("forecast", "flat.csv", "-q"), "a constant")


def test_what_to_pass_is_told_as_flags(tg, tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"gr\xf6\xdfe;x\n" + b"1,5;2\n" * 40)
    for words in (("train", "--text"), ("forecast",)):
        refused(tg(*words, "latin.csv"), "byte 2: expected utf-8 text", "such as --encoding latin-1.")
    (tmp_path / "wide.txt").write_text("wide", "utf-16")
    refused(tg("train", "--text", "wide.txt"), "pass --encoding utf-16.")
    words = ("forecast", "latin.csv", "--encoding", "latin-1", "--column", "größe")
    refused(tg(*words), "Is the delimiter ';'? Pass --delimiter ';'.")
    refused(tg(*words, "--delimiter", ";"), "pass --decimal ',';")
    refused(tg(*words, "--delimiter", ";", "--decimal", ",", "-q"), "a constant")
    (tmp_path / "tab.csv").write_text("a\tb\n" + "1\t2\n" * 40)
    refused(tg("forecast", "tab.csv", "--column", "b"), r"Pass --delimiter '\t'.")
    refused(tg("forecast", "tab.csv", "--column", "b", "--delimiter", r"\t", "-q"), "a constant")


def test_what_may_not_be_read_or_written(tg, text, series, tmp_path, monkeypatch):
    close(text, monkeypatch)
    refused(tg("train", "--text", text), str(text), "Permission denied. Give a file that you may read.")
    close(series, monkeypatch)
    refused(tg("forecast", series), str(series), "Permission denied")
    (tmp_path / "locked").mkdir()
    close(tmp_path / "locked", monkeypatch)
    refused(tg("draw", "--out", "locked/net.svg"), "locked/net.svg", "Permission denied")
    monkeypatch.undo()


def test_a_folder_where_a_file_stands(tg, text):
    refused(tg("train", "--text", text, "--out", text, "--steps", 1, "--batch", 2, "--quiet"), str(text))


def test_a_run_is_not_replaced_unasked_and_not_resumed_as_another(tg, text, trained):
    again = ("train", "--text", text, "--batch", 4, "--time", 10, "--steps", 2, "--quiet")
    refused(tg(*again), "--resume", "--overwrite")
    refused(tg("train", "--resume", "--hidden", 9), "got another --hidden")
    refused(tg("train", "--resume", "--overwrite"), "--overwrite")
    text.write_text("Quite another text. " * 100)
    refused(tg("train", "--resume"), "expected the text that run began with, got another, which has 'Q'")
    assert tg(*again, "--overwrite").code == 0


def test_a_prompt_outside_the_vocabulary(tg, trained):
    done = refused(tg("sample", "--prompt", "the Ω", "--json"), "--prompt: expected the 13 characters", "got 'Ω'")
    assert "unknown=" not in done.err


def test_one_thing_is_singular(tg, text, series, monkeypatch):
    assert [counted(n, "epoch") for n in (0, 1, 2000)] == ["0 epochs", "1 epoch", "2,000 epochs"]
    text.write_text("a" * 400)
    words = ("--hidden", 2, "--batch", 1, "--time", 5, "--steps", 1, "--quiet")
    assert tg("train", "rnn", "--text", text, *words).code == 0
    refused(tg("sample", "--prompt", "b"), "expected the 1 character that run was trained on")
    real = forecasting.forecast
    stopped = lambda *series, **options: real(*series, **options)._replace(ended=Ended.INTERRUPTED)
    monkeypatch.setattr(forecasting, "forecast", stopped)
    done = tg("forecast", series, "--column", "wave", "--lag", 5, "--hidden", 2, "--epochs", 1)
    assert done.code == 130
    assert "this is the forecast after 1 epoch; run it again" in done.out


@pytest.mark.parametrize("damage", [lambda b: b[:50], lambda b: b[:-4] + b"oops", lambda b: b""])
def test_a_damaged_checkpoint(tg, trained, damage):
    path = trained / "best.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    refused(tg("sample"), "best.safetensors")


MODULE = """
import numpy as np
import tinygrad_rnn as tg
def number(): return 3
def pair(): return (lambda p: p["w"].sum()), 3
def only(): return (lambda p: p["w"].sum()), {"w": np.ones(3)}
def broken(): return np.ones(3) @ np.ones(4)
def inside(): return (lambda p: p["v"].sum()), {"w": np.ones(3)}
"""


def test_functions_of_the_users_that_go_wrong(tg, tmp_path):
    (tmp_path / "faulty_module.py").write_text(MODULE)
    (tmp_path / "no_python.py").write_text("def (:")
    refused(tg("compare", "faulty_module:number"), "expected it to return (loss_fn, params)", "got int")
    refused(tg("compare", "faulty_module:pair"), "expected params as a dict")
    refused(tg("doctor", "faulty_module:only"), "got no gradients to look at")
    refused(tg("compare", "faulty_module:none"), "has no function 'none'. It has: number")
    refused(tg("compare", "faulty_module:broken"), "raised ValueError at", "faulty_module.py, line 7")
    refused(tg("compare", "faulty_module:inside"), "raised KeyError at", "line 8")
    refused(tg("draw", "faulty_module:number"), "faulty_module:number")
    refused(tg("compare", "no_python:f"), "SyntaxError")
    refused(tg("compare", ":f"), "expected module:function")
    assert tg("compare", "faulty_module:only").code == 0


def test_what_to_install(tg, trained, series, monkeypatch):
    real = importlib.util.find_spec
    hidden = {"matplotlib", "streamlit", "onnx"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in hidden else real(name, *rest))
    refused(tg("app"), "pip install 'tinygrad_rnn[app]'", code=3)
    refused(tg("forecast", series, "--plot", "x.png"), "pip install 'tinygrad_rnn[plot]'", code=3)
    refused(tg("compare", "--plot", "x.png"), "pip install 'tinygrad_rnn[plot]'", code=3)
    refused(tg("export"), "pip install 'tinygrad_rnn[onnx]'", code=3)


def test_dropout_without_effect_is_told_as_the_command_line_tells_things(tg, text):
    words = ("train", "rnn", "--text", text, "--hidden", 4, "--batch", 2, "--time", 5, "--steps", 2, "--dropout", 0.5)
    aloud, quiet = tg(*words), tg(*words, "--quiet", "--overwrite")
    said = "Dropout acts between layers: with one layer it changes nothing."
    assert (aloud.code, aloud.err, quiet.code, quiet.out) == (0, "", 0, "")
    assert said in aloud.out
    assert quiet.err.startswith(said)
    assert tg("sample", "--length", 2).err == ""
    two = tg(*words, "--layers", 2, "--overwrite")
    assert (two.code, said in two.out) == (0, False)


def test_a_port_that_cannot_be_had(tg):
    pytest.importorskip("streamlit")
    pytest.importorskip("matplotlib")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused(tg("app", "--port", other.getsockname()[1]), "expected a free port")
    refused(tg("app", "--port", 65536), "from 1 to 65535")


def test_png_without_a_library_for_it(tg, monkeypatch):
    import viz.raster

    monkeypatch.setattr(viz.raster, "_module", lambda name: None)
    refused(tg("draw", "--out", "x.png", "--quiet"), "pip install 'tinygrad_rnn[picture]'", code=3)


def test_training_works_without_matplotlib_and_without_rich(tg, text, monkeypatch, tmp_path):
    import tinygrad_rnn.plots

    def missing(*sizes, **more):
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr(tinygrad_rnn.plots, "figure", missing)
    done = tg("train", "rnn", "--text", text, "--hidden", 4, "--batch", 2, "--time", 5, "--steps", 2)
    assert done.code == 0
    assert not (tmp_path / "run/curves.png").exists()


def test_too_much_memory_is_a_sentence(tg, text):
    refused(tg("train", "--text", text, "--hidden", 10**12, "--quiet"), "memory")
