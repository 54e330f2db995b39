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


def without_values(svg: str) -> str:
    """A drawing without what its tooltips say of numbers, and without the name that is made from all it contains."""
    return re.sub(r"g[0-9a-f]{8}", "name", re.sub(r"\n(value|gradient): [^<\n]*", "", svg))


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


def test_the_shipped_pictures_are_what_the_line_below_the_first_program_draws():
    import viz

    (draw,) = re.findall(r"`(viz\.draw\(.*?\))\.save\(", README)
    names: dict[str, object] = {"viz": viz}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(re.sub(r"range\(\d+\)", "range(1)", PROGRAMS[0][0]), "README.md", "exec"), names)
    for theme in ("light", "dark"):
        drawn = eval(f"{draw[:-1]}, theme={theme!r})", names).svg
        shipped = (ROOT / f"examples/pictures/echo_{theme}.svg").read_text(encoding="utf-8")
        assert without_values(drawn) == without_values(shipped), f"redraw examples/pictures/echo_{theme}.svg"


def test_what_it_is_and_a_first_run_with_its_output_stand_on_the_first_screen():
    lines = README.splitlines()
    assert lines.index("step 200: loss 0.0001") < 30
    assert len(lines) <= 170
