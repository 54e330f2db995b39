"""Pictures as SVG text."""

from .write import content as content
from .write import write as write
from .write import write_all as write_all
from .xml import THEMES as THEMES
from .xml import Content as Content
from .xml import check_theme as check_theme
from .xml import document as document
from .xml import escape as escape
