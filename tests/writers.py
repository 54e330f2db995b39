"""Everything that puts a file on disk, in one table, and a program that kills it at random moments.

`python -m tests.writers FOLDER KILLS SEED [NAMES]` starts each writer again and again in a child, ends it with SIGKILL,
SIGTERM and SIGINT at random moments, and each time looks at what is there: one of the two versions that it writes in
turn, whole. It prints a line of JSON: the kills, how often the file was another afterwards, and the temporary files
that were left over.
"""

import contextlib
import errno
import functools
import io
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@functools.cache
def network():
    import tinygrad_rnn as tg
    from tinygrad_rnn import nn

    tg.manual_seed(0)
    return nn.RNN(3, 4)


@functools.cache
def drawing(k):
    import tinygrad_rnn as tg
    import viz

    return viz.draw(network(), tg.full((2 + k, 1, 3), 0.5))


def draw(path, k):
    drawing.cache_clear()  # the work of drawing belongs to what is interrupted
    drawing(k).save(path)


def draw_program(path, k):
    import tinygrad_rnn as tg
    import viz

    viz.draw(tg.compile(lambda x: (x * x).sum() if k else x.sum()), tg.rand(2, 3)).save(path)


def export_onnx(path, k):
    import tinygrad_rnn as tg
    from tinygrad_rnn.export import export

    export(network(), (tg.zeros(2 + k, 1, 3),), path, output_names=[f"y{k}", f"h{k}"])


def save_checkpoint(path, k):
    from tinygrad_rnn import checkpoint

    checkpoint.save(path, {"a": np.full(5000, k)}, description={"k": k})


def save_like_torch(path, k):
    import tinygrad_rnn as tg

    tg.save({"a": tg.full((5000,), float(k))}, path)


def write_table(path, k):
    from tinygrad_rnn.data import write_columns

    write_columns(path, {"x": np.arange(300.0) + k})


def save_figure(path, k):
    from tinygrad_rnn import plots

    figure, (axes,) = plots.figure()
    plots.curves(axes, {"a": (range(9), [k] * 9)})
    plots.save(figure, path)


def save_manual_figure(path, k):
    from tinygrad_rnn.manual import figures

    figures.loss_curve(np.arange(9.0) + k, path)


def write_settings(path, k):
    from tinygrad_rnn.cli import config

    config.write(os.fspath(path), config.Settings(hidden=10 + k, text="x" * 2000))


def command(*words):
    """A writer that is a command of the command line; the version is its --steps or --seed."""

    def write(path, k):
        from tinygrad_rnn.cli import main

        given = [str(path) if word == "PATH" else str(2 + k) if word == "K" else word for word in words]
        with np.errstate(all="warn"), contextlib.redirect_stdout(io.StringIO()):
            code = main([*given, "--quiet"])
        if code not in (0, 1):
            raise SystemExit(code)

    return write


def forecast(path, k):
    table = path.with_name("series.csv")
    if not table.exists():
        write_table(table, 0)
        table.write_text("y\n" + "".join(f"{np.sin(0.3 * t):.6f}\n" for t in range(60)))
    words = ("forecast", str(table), "--lag", "3", "--horizon", str(300 + k), "--epochs", "3", "--hidden", "2")
    command(*words, "--out", "PATH")(path, k)


# name of the file -> writer(path, k), which puts version k (0 or 1) at the path
WRITERS = {
    "drawing.svg": draw,
    "drawing.html": draw,
    "drawing.dot": draw,
    "drawing.txt": draw,
    "drawing.json": draw,
    "program.svg": draw_program,
    "model.onnx": export_onnx,
    "checkpoint.safetensors": save_checkpoint,
    "model.pt": save_like_torch,
    "table.csv": write_table,
    "figure.png": save_figure,
    "curve.png": save_manual_figure,
    "settings.toml": write_settings,
    "command_draw.svg": command("draw", "rnn", "--hidden", "3", "--steps", "K", "--out", "PATH"),
    "command_compare.png": command("compare", "rnn", "--steps", "K", "--plot", "PATH"),
    "command_forecast.csv": forecast,
}


def content(path):
    """What a file holds, to be compared: its bytes, but of a checkpoint, whose header has no fixed order, what it says,
    and of a forecast, which says after an interruption what was learnt until then, how long it is.

    Raises CheckpointError or DataError for half of one.
    """
    if path.name == "command_forecast.csv":
        from tinygrad_rnn.data import read_column

        return len(read_column(path, "forecast"))
    if path.suffix not in (".safetensors", ".pt"):
        return path.read_bytes()
    from tinygrad_rnn import checkpoint

    arrays, metadata, description = checkpoint.load(path)
    return {name: array.tobytes() for name, array in arrays.items()}, description, sorted(metadata)


def close(path, monkeypatch):
    """Take away the right to read a file, or to make files in a folder: from root as well, whom no permission binds."""
    if path.is_dir():
        path.chmod(0o555)
    else:
        path.chmod(0)
    if os.geteuid() == 0:  # answer as the kernel does to everybody else
        real_open, real_os_open = open, os.open

        def refuse(name, *more, **options):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

        def os_open(name, flags, *more, **options):
            made = flags & os.O_CREAT and Path(os.fsdecode(name)).parent == path
            return (refuse if made else real_os_open)(name, flags, *more, **options)

        def plain_open(name, *more, **options):
            return (refuse if os.fspath(name) == os.fspath(path) else real_open)(name, *more, **options)

        monkeypatch.setattr(os, "open", os_open)
        monkeypatch.setattr("tinygrad_rnn.files.open", plain_open, raising=False)


def versions(folder, name):
    """The content of both versions, written in peace."""
    found = []
    for k in (1, 0):
        WRITERS[name](folder / name, k)
        found.append(content(folder / name))
    assert found[0] != found[1], f"{name}: the two versions are one"
    return found


def child(path, write, log):
    """Write the versions in turn for ever. Never returns."""
    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(2, 1)
        k = 0
        while True:
            k = 1 - k
            write(path, k)
    except KeyboardInterrupt:
        code = 130
    except SystemExit as stop:
        code = stop.code
    except BaseException:  # noqa: BLE001  (told to the parent, which is another process)
        import traceback

        traceback.print_exc()
        code = 99
    finally:
        os._exit(code)


def strike(folder, name, number, delay):
    """Start a writer, end it after so many seconds, and return how it ended: its code, or minus the signal."""
    log = folder / "log"
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the child is ready to be interrupted
    pid = os.fork()
    if pid == 0:
        child(folder / name, WRITERS[name], log)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    time.sleep(delay)
    end, ended = time.monotonic() + 30, 0
    while not ended:
        os.kill(pid, number)  # again, should Python have swallowed it in a destructor
        for _ in range(1000):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended or time.monotonic() > end:
                break
            time.sleep(0.001)
        assert ended or time.monotonic() < end, f"{name}: goes on after {number!r}"
    code = os.waitstatus_to_exitcode(status)
    said = log.read_text() if log.exists() else ""
    expected = {signal.SIGINT: (130,), signal.SIGTERM: (130, -number)}.get(number, (-number,))  # training heeds SIGTERM
    assert code in expected, f"{name}: ended with {code} and not {expected} after {number!r}: {said}"
    # Ctrl-C in a destructor or callback of a library is reported by Python and swallowed; it is sent again above
    assert "Traceback" not in said or "Exception ignored in" in said, f"{name}: {said}"
    return code


def main(folder, kills, seed, *names):
    """Kill each writer, or those named, so often with each signal; an AssertionError tells what was found broken."""
    folder, rng, tally = Path(folder), np.random.default_rng(int(seed)), Counter()
    for name in names or WRITERS:
        write = WRITERS[name]
        both = versions(folder, name)
        start = time.perf_counter()
        write(folder / name, 0)
        once = time.perf_counter() - start
        for number in SIGNALS:
            for _ in range(int(kills)):
                before = content(folder / name)
                strike(folder, name, number, rng.uniform(0, 2 * once))
                after = content(folder / name)
                assert after in both, f"{name}: neither version, after {number!r}"
                left = [entry for entry in os.listdir(folder) if entry.endswith(".tmp")]
                assert not left or number != signal.SIGINT, f"{name}: Ctrl-C leaves {left}"
                tally.update({"kills": 1, number.name: 1, "replaced": after != before, "left over": len(left)})
                write(folder / name, 0)
                left = [entry for entry in os.listdir(folder) if entry.endswith(".tmp")]
                assert not left, f"{name}: the next write leaves {left}"
    print(json.dumps(tally))


if __name__ == "__main__":
    main(*sys.argv[1:])
