"""Pictures of recorded graphs: time runs from left to right, layers are rows, shared weights are drawn once."""

from .compare import Comparison as Comparison
from .compare import compare as compare
from .drawing import Drawing as Drawing
from .drawing import draw as draw
