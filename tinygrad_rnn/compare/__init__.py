"""Every gradient against another one: differences, the handwritten twin, other frameworks; and why they differ."""

from .agreement import assert_gradients_match, compare_gradients
from .doctor import Diagnosis, diagnose
from .numeric import GradcheckError, NotDifferentiableError, central_difference, gradcheck, gradgradcheck
from .report import Report

__all__ = [
    "Diagnosis",
    "GradcheckError",
    "NotDifferentiableError",
    "Report",
    "assert_gradients_match",
    "central_difference",
    "compare_gradients",
    "diagnose",
    "gradcheck",
    "gradgradcheck",
]
