"""Row S1.10 and S4.2: each module is importable alone, and imports NumPy only; `nextword` not even that."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_rnn.manual

MODULES = sorted(module.name for module in pkgutil.iter_modules(tinygrad_rnn.manual.__path__))
ROOT = Path(__file__).parents[2]

REPORT = """
import sys
before = set(sys.modules)
import tinygrad_rnn.manual.{name}
new = {{module.partition(".")[0] for module in set(sys.modules) - before}} - set(sys.stdlib_module_names)
parts = {{name.split(".")[1] for name in sys.modules if name.startswith("tinygrad_rnn.")}}
print(*sorted(new), "|", *sorted(parts))
"""


def test_the_folder_holds_what_it_should():
    documented = {"charmodel", "classifier", "gated", "nextword", "regression", "sentiment", "vectorized"}
    assert documented <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_s1_10_imports_numpy_only_and_nothing_of_the_engine(name):
    text = REPORT.format(name=name).replace("import tinygrad_rnn.manual", BARE + "import tinygrad_rnn.manual")
    output = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    ).stdout
    foreign, ours = output.split("|")
    # NumPy's compiled parts leave modules of Cython's runtime behind.
    needed = {module for module in foreign.split() if "cython" not in module}
    assert needed <= {"numpy", "tinygrad_rnn"}
    assert set(ours.split()) == {"manual"}


# The package's own __init__ holds the public names; an empty one takes its place, to see what the module itself needs.
BARE = f"""
import types
package = types.ModuleType("tinygrad_rnn")
package.__path__ = [{str(ROOT / "tinygrad_rnn")!r}]
sys.modules["tinygrad_rnn"] = package
"""


def test_s4_2_nextword_is_core_python():
    text = BARE + "import tinygrad_rnn.manual.nextword; assert 'numpy' not in sys.modules, 'imports NumPy'"
    subprocess.run([sys.executable, "-c", "import sys\n" + text], check=True, cwd=ROOT, timeout=60)
