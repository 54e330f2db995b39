"""Places for everything: time steps in columns, layers in rows, everything else in clean layers. No other program is
asked.
"""

from .picture import Bus as Bus
from .picture import Picture as Picture
from .picture import Placed as Placed
from .picture import Wire as Wire
from .place import place as place
