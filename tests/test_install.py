"""Installed from a wheel into a fresh environment, without extras and with each alone: it is small, it works, and
what is missing is named. Needs the package index, so it runs by itself: `make test-install`.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.install

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 120e6  # bytes of everything that `pip install .` brings
TEXT = "the cat sat on the mat and the dog sat on the cat. " * 40
SMALL = ("--text", "text.txt", "--hidden", "4", "--batch", "2", "--time", "5", "--steps", "2", "--quiet")


class Place(NamedTuple):
    """An environment and a folder to work in, with none of this checkout in sight."""

    environment: Path
    folder: Path

    def run(self, *words, code=0):
        """Run a program of the environment; returns what it printed on both streams."""
        hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
        variables = {name: value for name, value in os.environ.items() if name not in hidden}
        variables["PATH"] = f"{self.environment / 'bin'}{os.pathsep}{variables.get('PATH', '')}"
        variables |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        program = str(self.environment / "bin" / words[0])
        done = subprocess.run(
            [program, *map(str, words[1:])], cwd=self.folder, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def tg(self, *words, code=0):
        return self.run("tinygrad-rnn", *words, code=code)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def install(wheel, tmp_path):
    """`install("plot")`: a fresh environment with the package and these extras, and nothing else; not even pip."""

    def make(*extras):
        environment, folder = tmp_path / "env", tmp_path / "work"
        folder.mkdir()
        (folder / "text.txt").write_text(TEXT)
        (folder / "series.csv").write_text("y\n" + "".join(f"{(t * 7) % 11}\n" for t in range(60)))
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
        what = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
        command = [sys.executable, "-m", "pip", "--python", str(environment), "install", "-q", what]
        subprocess.run(command, check=True, capture_output=True)
        return Place(environment, folder)

    return make


def test_the_wheel_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"tinygrad_rnn", "viz", "tinygrad_rnn-0.1.0.dist-info"}
    suffixes = {Path(name).suffix for name in names if "dist-info" not in name}
    assert suffixes <= {".py", ".typed", ".css", ".js", ".html", ".md", ""}


def test_without_extras_it_is_small_trains_and_says_what_to_install(install):
    place = install()
    files = [path for path in (place.environment / "lib").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    place.tg("train", "gru", *SMALL)
    assert place.tg("sample", "--length", 5, "--quiet")
    place.tg("draw", "rnn", "--out", "rnn.svg")
    assert "All sides agree" in place.tg("compare", "lstm", "--steps", 3)
    info = json.loads(place.tg("info", "--json"))
    assert not [name for packages in info["extras"].values() for name, version in packages.items() if version]
    for words, extra in (
        (("forecast", "series.csv", "--plot", "f.png"), "plot"),
        (("compare", "--plot", "f.png"), "plot"),
        (("export", "--out", "m.onnx"), "onnx"),
        (("app",), "app"),
        (("draw", "--out", "d.png"), "picture"),
    ):
        said = place.tg(*words, code=3)
        assert f"pip install 'tinygrad_rnn[{extra}]'" in said
    for extra in info["extras"]:
        assert f"pip install 'tinygrad_rnn[{extra}]'" in place.tg("info")


def test_plot(install):
    place = install("plot")
    place.tg("train", *SMALL)
    place.tg("forecast", "series.csv", "--lag", 3, "--epochs", 2, "--hidden", 4, "--plot", "f.svg")
    place.tg("compare", "--steps", 3, "--plot", "heat.png")
    assert {"run", "f.svg", "heat.png"} <= {path.name for path in place.folder.iterdir()}
    assert (place.folder / "run" / "curves.png").exists()


def test_onnx(install):
    place = install("onnx")
    place.tg("train", "lstm", *SMALL)
    place.tg("export", "--out", "m.onnx")
    program = (
        "import onnxruntime, numpy as np;"
        "s = onnxruntime.InferenceSession('m.onnx', providers=['CPUExecutionProvider']);"
        "print(s.run(None, {s.get_inputs()[0].name: np.zeros((3, 2), np.int64)})[0].shape)"
    )
    assert "(3, 2, " in place.run("python", "-c", program)


def test_app(install):
    place = install("app")
    program = (
        "from streamlit.testing.v1 import AppTest; from tinygrad_rnn.dashboard import page;"
        "t = AppTest.from_file(page.__file__, default_timeout=60).run(); print(len(t.tabs), list(t.exception))"
    )
    assert "6 []" in place.run("python", "-c", program)


def test_notebook(install):
    place = install("notebook")
    program = (
        "import sys, nbformat, nbclient; notebook = nbformat.read(sys.argv[1], 4);"
        "nbclient.NotebookClient(notebook, timeout=120).execute(); print('done')"
    )
    assert "done" in place.run("python", "-c", program, ROOT / "examples/notebooks/1_sequence_classifier.ipynb")


def test_picture(install):
    place = install("picture")
    place.tg("draw", "--out", "d.png")
    assert (place.folder / "d.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform == "win32", reason="the extra brings no mpiexec there")
def test_mpi(install):
    place = install("mpi")
    said = place.run("mpiexec", "-n", 2, "tinygrad-rnn", "train", "rnn", *SMALL[:-1])
    assert said.count("2 ranks") == 1
    assert (place.folder / "run" / "last.safetensors").exists()


def test_docs(install):
    place = install("docs")
    place.run("python", "-m", "pdoc", "-o", "api", "tinygrad_rnn.optim")
    assert (place.folder / "api" / "tinygrad_rnn" / "optim.html").exists()
