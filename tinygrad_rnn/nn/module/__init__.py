"""`Module`, `Parameter`, `Buffer`: what networks are made of. parameter < tree < persistence < hooks < module."""

from .module import Module
from .parameter import Buffer, Parameter
from .persistence import IncompatibleKeys

__all__ = ["Buffer", "IncompatibleKeys", "Module", "Parameter"]
