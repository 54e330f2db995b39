"""The gradient doctor: names the mistake in a handwritten gradient by making it on purpose."""

from .diagnosis import Diagnosis, diagnose
from .findings import Finding
from .localise import Location

__all__ = ["Diagnosis", "Finding", "Location", "diagnose"]
