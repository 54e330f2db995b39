"""Drawings as one self-contained page."""

from .page import View as View
from .page import page as page
