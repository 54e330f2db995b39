"""Golden files: every kind of drawing, byte for byte, in this process and in others with other hash seeds."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.viz.samples import SAMPLES

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("name", SAMPLES)
def test_r14_svg_equals_its_golden_file(name, golden):
    golden(f"{name}.svg", SAMPLES[name]().svg)


def test_html_equals_its_golden_file(golden):
    golden("vanilla.html", SAMPLES["vanilla"]().html)


def test_text_and_json_equal_their_golden_files(golden):
    drawing = SAMPLES["two_layers"]()
    golden("two_layers.txt", drawing.text)
    golden("two_layers.json", drawing.json)


PROGRAM = """
import hashlib
from tests.viz.samples import SAMPLES
for name, make in SAMPLES.items():
    drawing = make()
    print(name, hashlib.sha256((drawing.svg + drawing.text + drawing.json).encode()).hexdigest())
print("page", hashlib.sha256(SAMPLES["lstm"]().html.encode()).hexdigest())
"""


def test_r14_bytes_do_not_depend_on_hash_seed_locale_or_process():
    printed = set()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("4242", "de_DE.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    lines = printed.pop().splitlines()
    assert len(lines) == len(SAMPLES) + 1
    drawing = SAMPLES["vanilla"]()
    here = hashlib.sha256((drawing.svg + drawing.text + drawing.json).encode()).hexdigest()
    assert f"vanilla {here}" in lines


def test_the_same_model_drawn_twice_gives_the_same_bytes():
    for name in ("nn_lstm", "gradients", "tree"):
        assert SAMPLES[name]().svg == SAMPLES[name]().svg
