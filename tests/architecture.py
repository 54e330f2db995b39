"""Read the source tree as data: modules, every import in them, sizes. Used by test_architecture.py."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("tinygrad_rnn", "viz")


class Import(NamedTuple):
    """One import statement's effect: the module written in, the module it reaches, and the line."""

    importer: str
    target: str
    line: int


def modules(root: Path) -> dict[str, Path]:
    """Dotted module name -> file, for both packages; a package is named without `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def line_counts(root: Path) -> dict[str, int]:
    """Path relative to the root -> number of lines, for both packages."""
    return {path.relative_to(root).as_posix(): len(path.read_text().splitlines()) for path in modules(root).values()}


def imports(root: Path) -> list[Import]:
    """Every import of one of our modules by another, wherever it stands: inside functions, TYPE_CHECKING, by string."""
    files = modules(root)
    found = []
    for importer, path in files.items():
        package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            targets = (target for target in _targets(node, package, files) if target != importer)
            found.extend(Import(importer, target, node.lineno) for target in targets)
    return found


def _targets(node: ast.AST, package: str, files: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(parent + ([base] if base else []))
        # `from package import module` reaches the module; the package's own names are reached only by the others.
        names = [name if (name := f"{base}.{alias.name}") in files else base for alias in node.names]
    elif isinstance(node, ast.Call) and _called(node.func) in {"import_module", "__import__"} and node.args:
        name = node.args[0]
        names = [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
    else:
        return
    for name in names:
        if name.split(".")[0] in PACKAGES:
            while name not in files and "." in name:
                name = name.rpartition(".")[0]
            if name in files:
                yield name


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def cycle(edges: list[Import]) -> list[str]:
    """Names of modules along one import cycle, the first repeated at the end; empty if there is none."""
    reaches: dict[str, list[str]] = {}
    for edge in edges:
        reaches.setdefault(edge.importer, []).append(edge.target)
    done: set[str] = set()
    for start in sorted(reaches):
        path, pending = [start], [iter(reaches.get(start, ()))]
        while path:
            for following in pending[-1]:
                if following in path:
                    return path[path.index(following) :] + [following]
                if following not in done:
                    path.append(following)
                    pending.append(iter(reaches.get(following, ())))
                    break
            else:
                done.add(path.pop())
                pending.pop()
    return []
