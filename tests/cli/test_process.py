"""Signals, pipes and terminals, each with a process of its own."""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import ROOT, process

LONG = ("train", "rnn", "--hidden", 8, "--batch", 4, "--time", 10, "--steps", 100000)


def wait_for(stream, word, seconds=60):
    """Read lines until one has the word."""
    seen, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        line = stream.readline()
        seen += line
        if word in line:
            return seen
        if not line:
            break
    raise AssertionError(f"{word!r} did not come; it said: {seen}")


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_stopped_training_is_saved_and_says_how_to_go_on(text, tmp_path, tg, number, name):
    with process(*LONG, "--text", text, "--out", "r", cwd=tmp_path) as running:
        wait_for(running.stdout, " weights; kept in r")
        time.sleep(0.3)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"Interrupted by {name} after step" in out
    assert "Go on with: tinygrad-rnn train --resume --out r" in out
    assert err == ""
    step = int(out.partition("after step ")[2].partition(".")[0].replace(",", ""))
    done = tg("train", "--resume", "--out", "r", "--steps", step + 3, "--json")
    assert (done.code, done.json["step"]) == (0, step + 3)


def test_an_interrupted_forecast_is_written_with_what_was_learnt(series, tmp_path):
    words = ("forecast", series, "--column", "wave", "--lag", 5, "--epochs", 100000, "--hidden", 4)
    with process(*words, cwd=tmp_path) as running:
        wait_for(running.stdout, "epoch 2:")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "this is the forecast after" in out
    assert err == ""
    assert (tmp_path / "forecast.csv").exists()


@pytest.mark.parametrize(
    "words", [("bench", "--rounds", 100000, "--time", 2, "--hidden", 2), ("sample", "run", "--length", 10**9)]
)
def test_ctrl_c_ends_other_commands_in_a_word(words, tmp_path, trained):
    with process(*words, cwd=tmp_path) as running:
        assert running.stdout.read(1)
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "\nInterrupted.\n")


def test_a_reader_that_goes_away(tmp_path, trained):
    with process("sample", "run", "--length", 10**9, cwd=tmp_path) as running:
        running.stdout.read(1)
        running.stdout.close()
        assert running.wait(timeout=60) == 141
        assert running.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_a_bar_and_colours_unless_refused(text, tmp_path, env, coloured):
    import pty

    main, worker = pty.openpty()
    words = ("train", "rnn", "--hidden", 8, "--batch", 4, "--time", 10, "--steps", 30, "--text", text)
    flags = {"TERM": "xterm-256color", "COLUMNS": "120", **env}
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **flags}
    command = [sys.executable, "-m", "tinygrad_rnn", *map(str, words)]
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=worker, stderr=worker)
    os.close(worker)
    shown = b""
    end = time.monotonic() + 60
    while time.monotonic() < end and (running.poll() is None or select.select([main], [], [], 0)[0]):
        if select.select([main], [], [], 0.1)[0]:
            try:
                shown += os.read(main, 65536)
            except OSError:  # the other side has closed
                break
    os.close(main)
    assert running.wait(timeout=10) == 0
    assert b"30/30" in shown
    assert b"steps/s" in shown
    assert (b"\x1b[3" in shown or b"\x1b[9" in shown) == coloured


def test_the_module_runs_too(tmp_path):
    with process("--version", cwd=tmp_path) as running:
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert out.startswith("tinygrad_rnn ")


@pytest.mark.parametrize(("variables", "expected"), [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2)])
def test_blas_has_one_thread_unless_the_user_chose(tmp_path, variables, expected):
    (tmp_path / "seen.py").write_text(
        "import numpy as np\nfrom threadpoolctl import threadpool_info\n"
        "def check():\n"
        "    print('threads', [pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'])\n"
        "    return lambda p: p['w'].sum(), {'w': np.ones(2)}\n"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-m", "tinygrad_rnn", "compare", "seen:check"]
    env |= {"PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    if os.cpu_count() == 1:
        expected = 1
    assert done.stdout.startswith(f"threads [{expected}")
