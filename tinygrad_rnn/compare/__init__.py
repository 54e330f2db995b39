"""Every gradient against another one: central differences, the handwritten twin, other frameworks."""

from .numeric import GradcheckError, NotDifferentiableError, central_difference, gradcheck, gradgradcheck

__all__ = ["GradcheckError", "NotDifferentiableError", "central_difference", "gradcheck", "gradgradcheck"]
