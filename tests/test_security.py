"""What SECURITY.md says of the code as it stands: nothing unpickles, evaluates text, opens a connection or a shell."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# module -> the files that may import it, and why
GUARDED = {
    **{name: {} for name in "pickle _pickle dill cloudpickle joblib shelve marshal copyreg ctypes".split()},
    **{name: {} for name in "http urllib requests ftplib smtplib ssl asyncio".split()},
    "socket": {"tinygrad_rnn/cli/app.py": "asks whether the dashboard's port on loopback is free; connects to nothing"},
    "subprocess": {
        "viz/dot.py": "runs `dot`, on request",
        "tinygrad_rnn/cli/app.py": "runs Streamlit, which is asked for",
        "examples/drawing_tools.py": "times other programs' drawings",
    },
}
# function -> the files that may call it, and why
CALLS = {
    "eval": {},
    "exec": {"tinygrad_rnn/compiler/unrolled.py": "loops over calls, of names that are an r or a c and a number"},
    "system": {},
    "popen": {},
    "__import__": {"viz/raster.py": "one of two names that stand there"},
    "unsafe_load": {},
}


def look(tree):
    """(modules that are imported, calls as (name, what it is called on, keywords)) of a syntax tree."""
    modules, calls = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call):
            words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if isinstance(node.func, ast.Name):
                calls.append((node.func.id, "", words))
            elif isinstance(node.func, ast.Attribute):
                calls.append((node.func.attr, ast.unparse(node.func.value)[-20:], words))
    return modules, calls


SEEN = {
    path.relative_to(ROOT).as_posix(): look(ast.parse(path.read_text()))
    for folder in ("tinygrad_rnn", "viz", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


@pytest.mark.parametrize("module", GUARDED)
def test_only_these_files_import_it(module):
    assert {file for file, (modules, _) in SEEN.items() if module in modules} == set(GUARDED[module])


@pytest.mark.parametrize("function", CALLS)
def test_only_these_files_call_it(function):
    # `model.eval()` is a method of ours
    found = {
        file
        for file, (_, calls) in SEEN.items()
        for name, on, _ in calls
        if name == function and (not on or on.endswith("os"))
    }
    assert found == set(CALLS[function])


def test_no_shell_and_no_pickled_arrays():
    for file, (_, calls) in SEEN.items():
        for name, _, words in calls:
            assert name not in ("run", "Popen", "call", "check_output") or words.get("shell", "False") == "False", file
            assert "allow_pickle" not in words, file


def test_ranks_alone_exchange_pickles():
    # mpi4py pickles what its methods of small letters send. The ranks of one job run the same program and trust it.
    pickling = {"bcast", "allgather", "allreduce", "isend", "recv", "gather", "scatter"}
    found = {
        file for file, (_, calls) in SEEN.items() for name, on, _ in calls if name in pickling and on[-4:] == "comm"
    }
    assert found == {"tinygrad_rnn/distributed/world.py", "tinygrad_rnn/distributed/watchdog.py"}


def test_the_dashboard_listens_on_loopback_and_limits_uploads():
    source = (ROOT / "tinygrad_rnn/cli/app.py").read_text()
    assert '"server.address": "127.0.0.1"' in source
    assert '"server.maxUploadSize": 5,' in source
