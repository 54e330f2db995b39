"""Running a module with other parameters than its own: what derivatives with respect to a dict of parameters need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module import Module


def functional_call(module: Module, parameters: Mapping[str, Any], args: Any = (), kwargs: Any = None) -> Any:
    """Call `module` with some of its parameters replaced, for this call only.

    parameters: dotted name -> tensor of the same shape, as `named_parameters` names them; the rest stay the module's
    own.
    args, kwargs: what the module is called with; a single argument need not be a tuple.
    Returns what the module returns; gradients flow to the tensors given. Raises KeyError for a name that it does not
    have.
    Source of the interface: PyTorch's `torch.func.functional_call`.
    """
    places = {}
    for path in parameters:
        owner_path, _, name = path.rpartition(".")
        owner = module.get_submodule(owner_path)
        if name not in owner._parameters:
            known = ", ".join(name for name, _ in module.named_parameters())
            raise KeyError(f"functional_call: {type(module).__name__} has no parameter {path!r}; it has {known}.")
        places[path] = (owner._parameters, name, owner._parameters[name])
    try:
        for path, (table, name, _) in places.items():
            table[name] = parameters[path]
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for table, name, own in places.values():
            table[name] = own
