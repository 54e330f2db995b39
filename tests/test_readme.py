"""The README's code runs as printed, and prints what it says; its pictures and links exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)


def without_digits_that_vary(text: str) -> str:
    """Rounding errors and counts of tried sweeps may differ between machines and versions."""
    return re.sub(r"largest relative error \S+; \d+ sweeps", "largest relative error, sweeps", text)


def test_there_are_programs_to_run():
    assert len(PROGRAMS) == README.count("```python") >= 2


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_a_program_prints_what_stands_below_it(number):
    names: dict[str, object] = {}
    for code, _ in PROGRAMS[: number + 1]:  # later ones build on earlier ones
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "README.md", "exec"), names)
    assert without_digits_that_vary(out.getvalue()) == without_digits_that_vary(PROGRAMS[number][1])


def test_every_file_it_names_exists():
    names = re.findall(r"\]\(([^)#:]+)\)|(?:src|srcset)=\"([^\"]+)\"", README)
    missing = [a or b for a, b in names if not (ROOT / (a or b)).exists()]
    assert not missing


def test_every_target_it_names_is_a_make_target():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_the_shipped_pictures_are_what_the_first_program_draws():
    viz = pytest.importorskip("viz")
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(PROGRAMS[0][0].partition("for step in")[0], "README.md", "exec"), names)
    import tinygrad_rnn as tg

    for theme in ("light", "dark"):
        drawn = viz.draw(names["model"], tg.rand(5, 1, 1), theme=theme).svg
        assert drawn == (ROOT / f"examples/pictures/echo_{theme}.svg").read_text(encoding="utf-8"), (
            f"redraw examples/pictures/echo_{theme}.svg"
        )
