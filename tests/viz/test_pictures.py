"""The pictures of the documentation are what the script makes now, and every rule of a good drawing has its test."""

import importlib.util
import re
from pathlib import Path

import pytest

from tests.viz.geometry import overlapping_boxes
from viz.drawing import Drawing

ROOT = Path(__file__).resolve().parent.parent.parent


def script():
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "examples" / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PICTURES = script().PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_documentation_is_up_to_date(name, request):
    drawing = PICTURES[name]()
    path = ROOT / "examples" / "pictures" / name
    if request.config.getoption("--overwrite-golden", default=False):
        drawing.save(path)
    assert path.read_text(encoding="utf-8") == drawing.svg, f"run examples/pictures.py and look at {name}"
    if isinstance(drawing, Drawing):
        assert overlapping_boxes(drawing.picture) == []


def test_the_page_of_pictures_shows_them_all():
    page = (ROOT / "examples" / "pictures" / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(?([\w/]+\.svg)\)?", page))
    assert set(PICTURES) <= shown
    for name in shown:
        assert (ROOT / "examples" / "pictures" / name).exists(), name


def test_every_rule_is_named_by_a_test():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "viz").glob("test_*.py"))
    named = {int(number) for number in re.findall(r"def test_r(\d+)_", text)}
    assert named == set(range(1, 20))
