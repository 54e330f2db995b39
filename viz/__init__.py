"""Pictures of recorded graphs: time runs from left to right, layers are rows, shared weights are drawn once."""

from .drawing import Drawing as Drawing
from .drawing import draw as draw
