"""What a file says is shown and not obeyed: by the terminal, by matplotlib, by a spreadsheet. Links are followed."""

import csv
import json
import sys

import numpy as np
import pytest

from tinygrad_rnn import checkpoint
from tinygrad_rnn.cli.console import visible

TITLE = "\x1b]0;owned\x07"  # sets the title of a terminal
HOSTILE = [TITLE, "\x1b[2J", "\x9b31m", "a\rb", "\u202egpj.exe", "\x08\x08", "\x00"]
SMALL = ("--hidden", 4, "--batch", 2, "--time", 5, "--steps", 2, "--quiet")
QUICK = ("--lag", 5, "--epochs", 2, "--hidden", 2, "--quiet")


@pytest.mark.parametrize("text", HOSTILE)
def test_control_signs_are_shown(text):
    shown = visible(f"{text}\tä\n")
    assert shown.endswith("\tä\n")
    assert shown[:-3].isprintable()
    assert visible(shown) == shown
    assert visible("plain ä €") == "plain ä €"


def obeyed(text):
    """The signs of a text that a terminal would act upon."""
    return [sign for sign in text if not sign.isprintable() and sign not in "\n\t"]


def test_names_out_of_a_checkpoint(tg, trained):
    path = trained / "best.safetensors"
    held = checkpoint.load(path)
    last, array = held.arrays.popitem()
    checkpoint.save(path, {**held.arrays, last + TITLE: array}, description=held.description)
    done = tg("sample")
    assert done.code == 2
    assert "x1b]0;owned" in done.err
    assert not obeyed(done.err)


def test_names_out_of_a_table(tg, tmp_path):
    (tmp_path / "t.csv").write_text(f"a{TITLE},b\n1,2\n")
    done = tg("forecast", "t.csv")
    assert done.code == 2
    assert "owned" in done.err
    assert not obeyed(done.err)


def test_control_signs_of_a_vocabulary_go_to_files_and_not_to_terminals(tg, tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("\x1b]0;\x07" * 300)
    assert tg("train", "rnn", "--text", "text.txt", *SMALL).code == 0
    assert "\x1b" in tg("sample", "--length", 50).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = tg("sample", "--length", 50, "--prompt", "\x1b")
    assert shown.out.startswith("\\x1b")
    assert not obeyed(shown.out)


@pytest.mark.parametrize("name", [r"a$\frac$.csv", "$x$ _^{}.csv", "100 $.csv"])
def test_a_file_name_is_no_formula_in_a_figure(tg, tmp_path, series, name):
    series.rename(tmp_path / name)
    done = tg("forecast", tmp_path / name, "--column", "wave", *QUICK, "--plot", "p.svg")
    assert done.code == 0, done
    assert (tmp_path / "p.svg").stat().st_size > 1000


def test_what_is_written_for_spreadsheets_runs_nothing(tg, tmp_path):
    rows = "\n".join(f"{np.sin(0.3 * t):.6f}" for t in range(60))
    (tmp_path / "t.csv").write_text(f"=cmd|' /C calc'!A0\n{rows}\n")
    assert tg("forecast", "t.csv", *QUICK).code == 0
    with open(tmp_path / "forecast.csv", newline="") as file:
        header, *found = csv.reader(file)
    assert header == ["step", "forecast"]
    assert all(np.isfinite(float(cell)) for row in found for cell in row)


def test_links_are_followed_and_stay(tg, tmp_path, series, text):
    (tmp_path / "there").mkdir()
    links = {"in.csv": series, "in.txt": text, "out.csv": "there/real.csv", "net.svg": "there/net.svg"}
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)
    assert tg("forecast", "in.csv", "--column", "wave", *QUICK, "--out", "out.csv").code == 0
    assert tg("draw", "--out", "net.svg", "--quiet").code == 0
    assert tg("train", "rnn", "--text", "in.txt", *SMALL).code == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["net.svg", "real.csv"]
    assert all((tmp_path / link).is_symlink() for link in links)


@pytest.mark.parametrize("words", [("forecast", "loop"), ("train", "--text", "loop"), ("draw", "--out", "loop.svg")])
def test_a_link_to_itself(tg, tmp_path, words):
    for name in ("loop", "loop.svg"):
        (tmp_path / name).symlink_to(name)
    done = tg(*words)
    assert done.code == 2, done
    assert "symbolic links" in done.err
    assert "Traceback" not in done.err


def test_json_holds_every_sign(tg, tmp_path):
    (tmp_path / "text.txt").write_text('\x1b\u2028"\\<script>' * 40)
    assert tg("train", "rnn", "--text", "text.txt", *SMALL).code == 0
    done = tg("sample", "--length", 30, "--json")
    assert set(json.loads(done.out)["text"]) <= set('\x1b\u2028"\\<script>')
    assert not obeyed(done.out.replace("\u2028", ""))
