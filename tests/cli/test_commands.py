"""The main use of every command, as text and as JSON."""

import json
import shlex
import subprocess
import tomllib

import numpy as np
import pytest

import tinygrad_rnn as tg_package
from tinygrad_rnn import checkpoint
from tinygrad_rnn.cli.main import parser
from tinygrad_rnn.data import column_names, read_column
from tinygrad_rnn.language import load
from tinygrad_rnn.mistakes import MISTAKES

COMMANDS = list(parser()._subparsers._group_actions[0].choices)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(tg, command):
    done = tg(command, "--help")
    assert done.code == 0
    assert "examples:\n  tinygrad-rnn" in done.out
    assert "--json" in done.out


def test_every_example_in_the_help_is_a_line_that_the_parser_takes(capsys):
    top = parser()
    lines = [line for sub in top._subparsers._group_actions[0].choices.values() for line in sub.epilog.splitlines()[1:]]
    assert len(lines) > 20
    for line in lines:
        command = line.split("  ")[1].partition(" >")[0]
        words = shlex.split(command.removeprefix("mpiexec -n 4 ").removesuffix(" ..."))
        assert words[0] == "tinygrad-rnn"
        assert top.parse_args(words[1:]).run


def test_version(tg):
    assert tg("--version") == (0, f"tinygrad_rnn {tg_package.__version__}\n", "")


def test_train_writes_lines_when_piped_and_a_folder(tg, text, tmp_path):
    done = tg("train", "gru", "--text", text, "--hidden", 8, "--batch", 4, "--time", 10, "--steps", 10)
    assert done.code == 0
    assert done.err == ""
    assert "\x1b" not in done.out
    assert "step 10/10" in done.out
    assert "tinygrad-rnn sample run" in done.out
    assert {"last.safetensors", "best.safetensors", "metrics.jsonl", "config.toml"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    assert checkpoint.load(tmp_path / "run/best.safetensors").description["model"]["cell"] == "gru"


def test_train_json(tg, text):
    done = tg("train", "lstm", "--text", text, "--hidden", 4, "--batch", 4, "--time", 10, "--steps", 4, "--json")
    assert done.code == 0
    assert done.json["step"] == 4
    assert done.json["ended"] == "finished"
    assert done.json["settings"]["hidden"] == 4


def test_train_on_words(tg, text):
    words = ("--unit", "words", "--vocabulary", 6)
    done = tg("train", "--text", text, *words, "--hidden", 4, "--batch", 2, "--time", 5, "--steps", 2)
    assert done.code == 0
    assert " words of " in done.out
    assert len(tg("sample", "--length", 5, "--quiet").out.split()) == 5


def test_settings_come_from_a_file_and_flags_win(tg, text, tmp_path):
    (tmp_path / "a.toml").write_text(f'model = "rnn"\nhidden = 6\nbatch = 2\ntime = 5\nsteps = 3\ntext = "{text}"\n')
    done = tg("train", "--config", "a.toml", "--hidden", 7, "--json")
    assert (done.json["settings"]["model"], done.json["settings"]["hidden"]) == ("rnn", 7)
    assert tomllib.loads((tmp_path / "run/config.toml").read_text())["hidden"] == 7


def test_resuming_gives_the_same_weights_as_a_run_unbroken(tg, text, tmp_path):
    flags = ("rnn", "--text", text, "--hidden", 6, "--batch", 4, "--time", 10, "--quiet", "--evaluate-every", 5)
    assert tg("train", *flags, "--steps", 20, "--out", "whole").code == 0
    assert tg("train", *flags, "--steps", 10, "--out", "broken").code == 0
    assert tg("train", "--resume", "--steps", 20, "--out", "broken", "--quiet").code == 0
    whole, broken = (checkpoint.load(tmp_path / name / "last.safetensors").arrays for name in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], broken[name], err_msg=name)


def test_sample_depends_on_the_seed_and_on_nothing_else(tg, trained):
    first, again, other = (tg("sample", "--prompt", "the ", "--length", 40, "--seed", s) for s in (1, 1, 2))
    assert first.out == again.out != other.out
    assert first.out.startswith("the ")
    assert len(first.out) == 4 + 40 + 1
    greedy = {tg("sample", "--prompt", "the ", "--temperature", 0, "--seed", seed).out for seed in (1, 2)}
    assert len(greedy) == 1
    assert tg("sample", "--length", 5, "--json").json["text"] == tg("sample", "--length", 5).out[:-1]


def test_forecast_writes_a_table_and_a_figure(tg, series, tmp_path):
    pytest.importorskip("matplotlib")
    flags = ("--column", "wave", "--lag", 5, "--horizon", 12, "--epochs", 60, "--hidden", 16)
    done = tg("forecast", series, *flags, "--plot", "f.png", "--json")
    assert done.code == 0
    assert column_names(tmp_path / "forecast.csv") == ["step", "forecast"]
    np.testing.assert_array_equal(read_column(tmp_path / "forecast.csv", "step"), np.arange(120, 132))
    np.testing.assert_allclose(read_column(tmp_path / "forecast.csv", "forecast"), done.json["forecast"])
    # The wave goes on: what is beyond the data is nearer to it than the model's own figure of merit allows by luck.
    assert np.abs(np.array(done.json["forecast"]) - np.sin(0.3 * np.arange(120, 132))).max() < 0.35
    assert done.json["error"] < done.json["naive"] / 3
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    by_number = tg("forecast", series, "--column", 1, *flags[2:], "--json")
    assert by_number.json["forecast"] == done.json["forecast"]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_draw_a_built_in_model(tg, tmp_path, cell):
    done = tg("draw", cell, "--steps", 3, "--out", f"{cell}.svg", "--json")
    assert "3 time steps" in done.json["summary"]
    assert (tmp_path / f"{cell}.svg").read_text().startswith(("<svg", "<?xml"))


def test_draw_what_was_trained_as_text(tg, trained):
    done = tg("draw", trained, "--out", "-")
    assert "embedding" in done.out
    assert json.loads(tg("draw", trained, "--out", "-", "--json").out)["text"] == done.out[:-1]


def test_draw_a_function_of_the_users(tg, tmp_path):
    source = "import tinygrad_rnn as tg\ndef build():\n    return (tg.ones(2, requires_grad=True) * 3).sum()\n"
    (tmp_path / "mine_to_draw.py").write_text(source)
    assert tg("draw", "mine_to_draw:build", "--level", "ops", "--out", "d.dot", "--quiet").code == 0
    assert "digraph" in (tmp_path / "d.dot").read_text()


@pytest.mark.parametrize(
    "name", ["regression", "classifier", "charmodel", "sentiment", "nextword", "rnn", "lstm", "gru"]
)
def test_compare_and_doctor_find_built_in_models_right(tg, name):
    done = tg("compare", name, "--steps", 4, "--json")
    assert done.code == 0
    assert done.json["ok"]
    assert {row["verdict"] for row in done.json["parameters"]} == {"exact"}
    assert tg("doctor", name, "--steps", 4).out.startswith("The gradients are right")


MINE = """
import numpy as np
def check():
    w = np.arange(1.0, 4.0)
    return lambda p: (p["w"] * p["w"]).sum(), {"w": w}, {"w": FACTOR * w}
"""


@pytest.mark.parametrize(("factor", "code"), [("2", 0), ("1", 1)])
def test_compare_a_function_of_the_users(tg, tmp_path, factor, code):
    (tmp_path / f"mine{factor}.py").write_text(MINE.replace("FACTOR", factor))
    done = tg("compare", f"mine{factor}:check")
    assert done.code == code
    assert ("scaled by 0.5" in done.out) == (factor == "1")
    assert tg("doctor", f"mine{factor}:check").code == code


def test_compare_draws_a_heat_map(tg, tmp_path):
    pytest.importorskip("matplotlib")
    assert tg("compare", "rnn", "--steps", 3, "--plot", "heat.svg", "--quiet").code == 0
    assert "<svg" in (tmp_path / "heat.svg").read_text()


FOUND = {
    "shared activation": "activation shared by all steps", "recurrent weight not transposed": "weight not transposed",
    "gradient transposed": "transposed", "error of the wrong step": "outputs shifted by one step",
    "no way back in time": "BPTT cut after k steps", "tanh' forgotten": "activation derivative missing",
    "state of the wrong step": "operand of another step", "half the gradient": "constant factor",
    "bias of the last step only": "overwritten instead of accumulated",
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_doctor_finds_every_mistake_that_can_be_made_on_purpose(tg, mistake):
    done = tg("doctor", "--break", mistake, "--json")
    assert done.code == 1
    assert [finding["kind"] for finding in done.json["findings"]] == [FOUND[mistake]]


def test_doctor_lists_the_mistakes(tg):
    assert tg("doctor", "--list", "--json").json["mistakes"] == MISTAKES


def test_export_of_the_weights_alone(tg, trained, tmp_path):
    assert tg("export", "--out", "w.safetensors", "--json").json["bytes"] == (tmp_path / "w.safetensors").stat().st_size
    whole, alone = checkpoint.load(trained / "best.safetensors"), checkpoint.load(tmp_path / "w.safetensors")
    assert whole.arrays.keys() == alone.arrays.keys()
    assert tg("sample", "w.safetensors", "--length", 20).out == tg("sample", "--length", 20).out


def test_export_for_onnx_runtime(tg, trained, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    assert tg("export", "--out", "m.onnx").code == 0
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    numbers = np.arange(12).reshape(6, 2) % 5
    scores, _ = load(trained)(tg_package.tensor(numbers))
    found = session.run(None, {session.get_inputs()[0].name: numbers})
    np.testing.assert_allclose(found[0], scores.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_bench_times_the_sides_in_turns(tg):
    flags = ("rnn", "--hidden", 4, "--input", 3, "--batch", 2, "--time", 4, "--classes", 3, "--rounds", 2)
    found = tg("bench", *flags, "--json").json
    assert set(found["seconds"]) == {"loop", "compiled", "by hand, step by step", "by hand, as an expert"}
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert "make bench" in tg("bench", *flags).out


def test_info_tells_what_is_here_and_what_to_install(tg, monkeypatch):
    found = tg("info", "--json").json
    assert found["required"]["numpy"] == np.__version__
    assert found["blas"]
    from tinygrad_rnn.cli import info

    real = info._version
    monkeypatch.setattr(info, "_version", lambda name: None if name == "streamlit" else real(name))
    assert "pip install 'tinygrad_rnn[app]'" in tg("info").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_flags(tg, shell):
    script = tg("completion", shell).out
    for word in ("forecast", "gradients", "temperature", "lstm"):
        assert word in script


def test_bash_takes_the_completion_and_completes(tg, tmp_path):
    (tmp_path / "c.sh").write_text(tg("completion", "bash").out)
    ask = "source ./c.sh; COMP_WORDS=(tinygrad-rnn {}); COMP_CWORD={}; _tinygrad_rnn; echo ${{COMPREPLY[@]}}"
    for words, place, expected in (("f", 1, "forecast"), ("draw --gra", 2, "--gradients"), ("train g", 2, "gru")):
        done = subprocess.run(
            ["bash", "-c", ask.format(words, place)], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert done.stdout.split() == [expected]
