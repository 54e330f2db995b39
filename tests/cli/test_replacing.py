"""No command writes over the file that it reads, nor over a run that it was not asked to replace."""

import os

import pytest

from tests.cli.test_mistakes import refused

QUICK = ("--lag", 5, "--epochs", 2, "--hidden", 2, "--quiet")
SMALL = ("--hidden", 4, "--batch", 2, "--time", 5, "--steps", 2, "--quiet")


@pytest.fixture
def unchanged():
    """Files that must be after the test what they were when it named them."""
    held = {}

    def keep(*paths):
        held.update({path: path.read_bytes() for path in paths})

    yield keep
    for path, data in held.items():
        assert path.read_bytes() == data, path


@pytest.mark.parametrize("flag", ["--out", "--plot"])
@pytest.mark.parametrize("kind", ["same", "relative", "link", "hard link"])
def test_a_forecast_stays_away_from_its_table(tg, series, tmp_path, unchanged, flag, kind):
    table = series.rename(tmp_path / "t.svg")
    (tmp_path / "sub").mkdir()
    other = {"same": "t.svg", "relative": "sub/../t.svg"}.get(kind, "sub/link.svg")
    if kind == "link":
        (tmp_path / other).symlink_to(table)
    elif kind == "hard link":
        os.link(table, tmp_path / other)
    unchanged(table)
    pytest.importorskip("matplotlib")
    refused(tg("forecast", table, "--column", "wave", flag, other, *QUICK), f"{flag} {other}: expected another file")
    refused(tg("forecast", other, "--column", "wave", flag, "t.svg", *QUICK), f"{flag} t.svg: expected another file")


def test_a_forecast_of_a_forecast_needs_a_name(tg, series, tmp_path, unchanged):
    assert tg("forecast", series, "--column", "wave", "--horizon", 30, *QUICK).code == 0
    unchanged(tmp_path / "forecast.csv")
    refused(tg("forecast", "forecast.csv", "--column", 1, *QUICK), "--out forecast.csv: expected another file")
    assert tg("forecast", "forecast.csv", "--column", 1, "--out", "next.csv", *QUICK).code == 0


def test_table_and_figure_are_two_files(tg, series):
    pytest.importorskip("matplotlib")
    said = "--plot f.svg: expected another file than --out"
    refused(tg("forecast", series, "--column", "wave", "--out", "./f.svg", "--plot", "f.svg", *QUICK), said)


@pytest.mark.parametrize("read", ["run", "run/best.safetensors", "run/last.safetensors", "link"])
@pytest.mark.parametrize("out", ["run/last.safetensors", "run/best.safetensors", "link/../run/best.safetensors"])
def test_an_export_stays_away_from_the_run(tg, trained, tmp_path, unchanged, read, out):
    (tmp_path / "link").symlink_to("run")
    unchanged(trained / "last.safetensors", trained / "best.safetensors")
    refused(tg("export", read, "--out", out), f"--out {out}: expected another file")
    assert tg("export", read, "--out", "run/weights.safetensors").code == 0


def test_an_export_stays_away_from_other_runs_and_from_what_it_reads(tg, text, trained, tmp_path, unchanged):
    assert tg("train", "rnn", "--text", text, *SMALL, "--out", "other").code == 0
    unchanged(tmp_path / "other/last.safetensors")
    refused(tg("export", "--out", "other/last.safetensors"), "which is a checkpoint of a run")
    assert tg("export", "--out", "w.safetensors").code == 0
    assert tg("export", "--out", "w.safetensors").code == 0  # anew, as after more training
    unchanged(tmp_path / "w.safetensors")
    refused(tg("export", "w.safetensors", "--out", "w.safetensors"), "which is read and would be replaced")


def test_a_drawing_stays_away_from_the_model(tg, trained, tmp_path, unchanged):
    model = (trained / "best.safetensors").rename(tmp_path / "model.svg")
    unchanged(model)
    refused(tg("draw", "model.svg", "--out", "model.svg"), "which is read and would be replaced")


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.toml"])
def test_a_run_stays_away_from_its_text(tg, trained, unchanged, name):
    unchanged(trained / name)
    for words in (("--overwrite",), ("--resume",)):
        refused(tg("train", "--text", f"run/{name}", *words), f"--text run/{name}: expected a file that the run ")


def test_a_run_stays_away_from_settings_that_are_none_of_a_run(tg, text, trained, tmp_path, unchanged):
    (tmp_path / "new").mkdir()
    settings = tmp_path / "new/config.toml"
    settings.write_text(f'# mine\ntext = "{text}"\nhidden = 4\nbatch = 2\ntime = 5\nsteps = 2\n')
    unchanged(settings)
    for words in ((), ("--overwrite",)):
        said = "--config new/config.toml: expected a file that the run does not write"
        refused(tg("train", "--config", "new/config.toml", "--out", "new", *words), said)
    # A run may be made again from its own settings: it is replaced with all it has, as was asked.
    assert tg("train", "--config", "run/config.toml", "--steps", 2, "--overwrite", "--quiet").code == 0
