"""Every notebook runs from top to bottom in a fresh kernel, is stored executed, and is small."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))

# The kernel's own libraries warn of what does not concern us: sockets, event loops, folders.
pytestmark = pytest.mark.filterwarnings("default")


def texts(notebook):
    """What every cell printed, numbers that rounding changes left out."""
    found = []
    for cell in notebook.cells:
        printed = "".join(out.text for out in cell.get("outputs", ()) if out.output_type == "stream")
        found.append(printed.splitlines()[0].split() if printed else [])
    return found


def shown(cell):
    """The kinds of pictures and texts under a cell."""
    return [kind for out in cell.get("outputs", ()) for kind in out.get("data", {})]


def test_there_are_four_lessons():
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_is_stored(path, monkeypatch, tmp_path):
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    ran = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(ran, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "store it executed, in order"
    for before, after in zip(texts(stored), texts(ran), strict=True):
        assert len(before) == len(after)
        assert before[:2] == after[:2]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_lesson_and_small(path):
    notebook = nbformat.read(path, as_version=4)
    prose = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "**Claim.**" in prose
    assert "assert " in code
    assert {"image/svg+xml", "image/png"} & {kind for cell in notebook.cells for kind in shown(cell)}, "no picture"
    assert path.stat().st_size < 150_000
