"""The commands in the README, one after the other as a reader would type them."""

import re
import shlex
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
LINES = re.findall(r"^tinygrad-rnn (.*)$", README, re.MULTILINE)

# Fewer steps, smaller: what is tried is that they work, in this order.
SMALLER = {"--steps 300": "--steps 4 --hidden 8", "--steps 400": "--steps 6"}


def test_the_commands_work_in_their_order(tg):
    assert len(LINES) >= 6
    said = []
    for line in LINES:
        command = line.partition("#")[0].strip()
        for long, short in SMALLER.items():
            command = command.replace(long, short)
        done = tg(*shlex.split(command))
        expected = 1 if "--break" in command else 0  # the doctor has found the mistake
        assert (done.code, done.err) == (expected, ""), command
        said.append(done.out)
    assert "step 6/6" in said[1]
    assert said[2].startswith("The ")
    assert "All sides agree" in said[4]
    assert "1. transposed: Wh is returned transposed." in said[5]


def test_every_command_is_named(tg):
    for name in re.findall(r"^    ([a-z]+) ", tg("--help").out, re.MULTILINE) or ["completion"]:
        assert name in README
