"""Names that are imported when they are first used, so that importing the package costs little.

Floor 0.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any


def lazily(package: str, names: dict[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` (PEP 562) for the `__init__` of a package.

    names: public name -> "module" of the package that it is, or "module:name" that it is found under.
    """

    def get(name: str) -> Any:
        if name not in names:
            import difflib  # only ever wanted for this sentence

            near = difflib.get_close_matches(name, [*names, *vars(sys.modules[package])], n=1, cutoff=0.75)
            hint = f". Did you mean: {near[0]!r}?" if near and not name.startswith("_") else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        module, _, attribute = names[name].partition(":")
        found: Any = importlib.import_module(f"{package}.{module}")
        if attribute:
            found = getattr(found, attribute)
        setattr(sys.modules[package], name, found)
        return found

    return get
