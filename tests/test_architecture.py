"""The architecture as data: who imports whom, how large files grow, what `__init__` files hold, what import costs."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import Import, cycle, imports, modules

ROOT = Path(__file__).resolve().parent.parent

# A module imports strictly lower floors only, and this is the house from the ground up. "" is tinygrad_rnn itself: its
# names are for the world above.
FLOORS = [
    ["errors", "files", "lazy", "generators"],
    ["plots"],
    ["primitive", "state", "dtypes", "checkpoint", "trees", "data", "manual", "mistakes", "protection"],
    ["ops", "graph"],
    ["complaints", "printing", "totals", "writes"],
    ["backward", "protocols", "reading"],
    ["tensor"],
    ["functions", "creation", "accelerator", "backends", "cuda", "legacy"],
    ["vocabulary"],
    ["everyday"],
    ["transforms", "function", "nn", "optim", "utils", "compiler"],
    ["models", "language", "distributed", "viz"],
    ["compare"],
    ["train", "export", "autograd", "serialization"],
    ["onnx"],
    ["forecasting"],
    [""],
    ["cli", "dashboard"],
    ["__main__"],
]

# Inside a folder a file imports only those listed before it. Folders not listed here must merely be free of cycles.
ORDER = {
    "nn": ["init", "module", "functional", "layers", "recurrent", "losses", "modules", "utils"],
    "compiler": (
        "program machine kinds chains builder cleaning softmax columns splitting saturation gates cutting sums address "
        "biases stacking joining windows batching rows weights layout calls lookups kernels planning unrolled "
        "replay signature naming guards effects trace passes checking compiled flat step"
    ).split(),
    "compare": ["differences", "numeric", "report", "anatomy", "agreement", "doctor"],
    "viz": [
        "model",
        "layout",
        "svg",
        "dot",
        "text",
        "html",
        "record",
        "raster",
        "saving",
        "program",
        "drawing",
        "compare",
    ],
}

# Tighter than the floors: the handwritten side owes nothing to the engine, and drawings read the graph alone.
MAY_IMPORT = {
    "manual": {"errors", "plots"},
    "data": {"errors", "files"},
    "viz": {"graph", "state", "errors", "files"},
}
IMPORTED_ONLY_BY = {"viz": {"cli", "dashboard"}, "cli": {"__main__"}, "dashboard": set()}

LONGEST_FILE = 400
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
MODULES = modules(ROOT)
IMPORTS = imports(ROOT)


def part(module: str) -> str:
    """The row of the floor table that a module belongs to: `tinygrad_rnn.nn.init` -> "nn", `viz.svg` -> "viz"."""
    package, *rest = module.split(".")
    return "viz" if package == "viz" else (rest[0] if rest else "")


def within(module: str) -> str:
    """The file or folder below the part: `tinygrad_rnn.nn.init` -> "init"; "" for the part's own `__init__`."""
    rest = module.split(".")[1 if module.startswith("viz") else 2 :]
    return rest[0] if rest else ""


def violations(edges: list[Import]) -> list[str]:
    """A sentence for each import that the tables above forbid."""
    found = []
    for importer, target, line in edges:
        above, below = part(importer), part(target)
        where = f"{importer}, line {line}, imports {target}"
        if above == below:
            order = ORDER.get(above)
            if order and within(importer) and (not within(target) or _rank(order, target) > _rank(order, importer)):
                found.append(f"{where}: inside {above}/ the order is {' < '.join(order)}")
        elif below in MAY_IMPORT.get(above, {below}) and above in IMPORTED_ONLY_BY.get(below, {above}):
            if FLOOR_OF.get(below, 99) >= FLOOR_OF.get(above, -1):
                found.append(f"{where}: floor {FLOOR_OF.get(below)} is not below floor {FLOOR_OF.get(above)}")
        else:
            found.append(f"{where}: {above or 'tinygrad_rnn'} may not import {below}")
    return found


def _rank(order: list[str], module: str) -> int:
    return order.index(within(module)) if within(module) in order else -1


def test_every_module_has_a_floor():
    homeless = sorted({part(module) for module in MODULES} - set(FLOOR_OF))
    assert not homeless, f"add these parts to FLOORS: {homeless}"


@pytest.mark.parametrize("folder", ORDER)
def test_every_file_of_an_ordered_folder_is_listed(folder):
    unlisted = {within(module) for module in MODULES if part(module) == folder} - {"", *ORDER[folder]}
    assert not unlisted, f"add these files of {folder}/ to ORDER: {sorted(unlisted)}"


def test_imports_go_strictly_downwards():
    assert not violations(IMPORTS), "\n".join(violations(IMPORTS))


def test_no_import_cycle_even_inside_functions():
    # That a package imports its own submodules, and they never it, is the one-way street being checked.
    assert not cycle(IMPORTS), " -> ".join(cycle(IMPORTS))


@pytest.mark.parametrize(
    ("importer", "target", "complaint"),
    [
        (
            "tinygrad_rnn.graph",
            "tinygrad_rnn.tensor",
            f"floor {FLOOR_OF['tensor']} is not below floor {FLOOR_OF['graph']}",
        ),
        (
            "tinygrad_rnn.ops.shape",
            "tinygrad_rnn.graph",
            f"floor {FLOOR_OF['graph']} is not below floor {FLOOR_OF['ops']}",
        ),
        ("tinygrad_rnn.nn.module", "tinygrad_rnn.nn.layers", "inside nn/ the order is"),
        ("tinygrad_rnn.nn.module", "tinygrad_rnn.nn", "inside nn/ the order is"),
        ("tinygrad_rnn.tensor", "tinygrad_rnn", f"floor {FLOOR_OF['']} is not below floor {FLOOR_OF['tensor']}"),
        ("tinygrad_rnn.manual.gated", "tinygrad_rnn.primitive", "manual may not import primitive"),
        ("viz.model", "tinygrad_rnn.tensor", "viz may not import tensor"),
        ("tinygrad_rnn.train", "viz", "train may not import viz"),
    ],
)
def test_the_check_itself_finds(importer, target, complaint):
    (found,) = violations([Import(importer, target, 1)])
    assert complaint in found


def test_the_scanner_sees_every_form_of_import(tmp_path):
    package = tmp_path / "tinygrad_rnn"
    (package / "nn").mkdir(parents=True)
    for name in ("__init__", "graph", "tensor", "nn/__init__", "nn/init"):
        (package / f"{name}.py").write_text("")
    (package / "nn" / "layers.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from tinygrad_rnn.tensor import Tensor\n"
        "def late():\n    from ..graph import Node\n    from . import init\n    import tinygrad_rnn\n"
        "    importlib.import_module('tinygrad_rnn.tensor')\n"
    )
    assert [(edge.target, edge.line) for edge in sorted(imports(tmp_path), key=lambda edge: edge.line)] == [
        ("tinygrad_rnn.tensor", 3),
        ("tinygrad_rnn.graph", 5),
        ("tinygrad_rnn.nn.init", 6),
        ("tinygrad_rnn", 7),
        ("tinygrad_rnn.tensor", 8),
    ]


def test_a_cycle_is_found():
    edges = [Import("a", "b", 1), Import("b", "c", 1), Import("x", "a", 1), Import("c", "b", 1)]
    assert cycle(edges) == ["b", "c", "b"]
    assert cycle(edges[:3]) == []


def test_no_file_is_too_long():
    files = [path for folder in ("tinygrad_rnn", "viz", "tests", "examples") for path in (ROOT / folder).rglob("*.py")]
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in files}
    long = {name: size for name, size in sizes.items() if size > LONGEST_FILE}
    assert not long, f"longer than {LONGEST_FILE} lines, so they hold more than one idea: {long}"


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_init_files_hold_names_only(module):
    tree = ast.parse(MODULES[module].read_text())
    code = [f"line {statement.lineno}" for statement in tree.body if not _is_a_name(statement)]
    assert not code, f"{module}/__init__.py has code: {code}"


def _is_a_name(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):  # __all__, __version__
            return name.startswith("__") and name.endswith("__")
    return False


@pytest.mark.parametrize("module", [name for name, path in MODULES.items() if path.name == "__init__.py"])
def test_every_public_name_has_a_docstring(module):
    package = importlib.import_module(module)
    names = getattr(package, "__all__", None) or [name for name in vars(package) if not name.startswith("_")]
    bare = []
    for name in names:
        thing = getattr(package, name)
        if inspect.ismodule(thing) or callable(thing):
            bare += [name] if not _documented(thing) else []
        if inspect.isclass(thing) and thing.__module__.split(".")[0] in ("tinygrad_rnn", "viz"):
            members = [member for member in vars(thing) if not member.startswith("_")]
            bare += [f"{name}.{member}" for member in members if not _documented_in(thing, member)]
    assert not bare, f"without a docstring in {module}: {', '.join(bare)}"


def _documented(thing: object) -> bool:
    return bool((vars(thing).get("__doc__") if inspect.isclass(thing) else getattr(thing, "__doc__", None)) or "")


def _documented_in(owner: type, member: str) -> bool:
    thing = vars(owner)[member]
    described = inspect.isfunction(thing) or isinstance(thing, (property, staticmethod, classmethod))
    return not described or bool(inspect.getdoc(getattr(owner, member)))


def test_importing_loads_numpy_and_nothing_else_that_is_heavy():
    # In a fresh interpreter, because this one has loaded pytest and Hypothesis.
    script = (
        "import sys, numpy; before = set(sys.modules); import tinygrad_rnn;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    foreign = {name for name in loaded if name not in sys.stdlib_module_names} - {"tinygrad_rnn"}
    foreign -= {name for name in foreign if "numpy" in name or "cython" in name}  # numpy.random, which NumPy loads late
    heavy = loaded & set("asyncio multiprocessing unittest http xml email sqlite3 tkinter ssl socket".split())
    assert "tinygrad_rnn" in loaded
    assert not foreign | heavy, f"`import tinygrad_rnn` also loads {sorted(foreign | heavy)}"
