"""Pictures as SVG text."""

from .write import THEMES as THEMES
from .write import check_theme as check_theme
from .write import escape as escape
from .write import write as write
