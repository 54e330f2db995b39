"""The picture before it has places: recorded nodes read into boxes, edges, time columns and module frames."""

from .diagram import Box as Box
from .diagram import Diagram as Diagram
from .diagram import Edge as Edge
from .read import LEVELS as LEVELS
from .read import read as read
from .steps import Column as Column
