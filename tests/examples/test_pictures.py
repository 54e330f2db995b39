"""The script that draws the pictures of the documentation draws those that the README shows, too."""

import re
import runpy
from pathlib import Path

import pytest

from tests.test_readme import README, without_values

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = runpy.run_path(str(ROOT / "examples" / "pictures.py"))


def test_none_of_the_readme_is_left_out():
    made = {**SCRIPT["PICTURES"], **SCRIPT["OF_THE_README"]}
    assert set(re.findall(r"examples/pictures/(\w+\.svg)", README)) <= set(made)


@pytest.mark.parametrize("name", SCRIPT["OF_THE_README"])
def test_a_picture_of_the_readme_is_up_to_date(name):
    drawn = SCRIPT["OF_THE_README"][name]().svg
    shipped = (ROOT / "examples" / "pictures" / name).read_text(encoding="utf-8")
    assert without_values(drawn) == without_values(shipped), f"run examples/pictures.py and look at {name}"
