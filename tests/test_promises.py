"""PROMISES.md and SECURITY.md name what exists, and no row of a table lacks its test or its figure."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("PROMISES.md", "SECURITY.md")}
SAID = [(name, quoted) for name, page in PAGES.items() for quoted in re.findall(r"`([^`\n]+)`", page)]


def rows(page):
    """The cells of every row of every table, without heads and rules."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    heads = {k - 1 for k, line in enumerate(cells) if set("".join(line)) <= set("-| ")}
    return [line for k, line in enumerate(cells) if k not in heads and k - 1 not in heads]


def functions(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_the_tables_are_read():
    assert len(rows(PAGES["PROMISES.md"])) > 25
    assert len(rows(PAGES["SECURITY.md"])) >= 7


@pytest.mark.parametrize("row", rows(PAGES["PROMISES.md"]), ids=lambda row: row[0][:40])
def test_every_promise_has_a_test_or_command_and_a_figure(row):
    assert len(row) == 3, row
    promise, shown, figure = row
    assert promise
    assert re.search(r"`(tests/|python -m |make )", shown), "no test or command"
    assert re.search(r"[a-z]{3}|\d", figure), "no figure"
    assert not re.search(r"\b[A-Z]{4,}(_[A-Z]+)*\b", figure.replace("SIGKILL", "")), "a placeholder is left"


@pytest.mark.parametrize(("page", "path"), [(n, q) for n, q in SAID if q.startswith("tests/")])
def test_tests_that_are_named_exist(page, path):
    file, _, function = path.partition("::")
    assert (ROOT / file).is_file(), f"{page} names {file}"
    assert not function or function in functions(ROOT / file), f"{page} names {path}"


@pytest.mark.parametrize(("page", "command"), [(n, q) for n, q in SAID if q.startswith(("python -m ", "make "))])
def test_commands_that_are_named_exist(page, command):
    if command.startswith("make "):
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert command.split()[1] in targets, f"{page} names {command}"
    else:
        assert importlib.util.find_spec(command.split()[2]) is not None, f"{page} names {command}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGES[page]):
        assert (ROOT / link).exists(), link


def test_names_of_the_package_exist():
    import tinygrad_rnn as tg

    for name in ("autograd.protect_residuals", "serialization.safe_globals"):
        assert any(quoted.startswith(name) for _, quoted in SAID)
        module, _, attribute = name.partition(".")
        assert hasattr(getattr(tg, module), attribute)
