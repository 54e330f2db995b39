"""Pictures of recorded graphs: time runs from left to right, layers are rows, shared weights are drawn once.

    viz.draw(model, x).save("model.svg")                # or .html, .png, .pdf, .dot, .txt, .json
    viz.draw(loss, level="ops", steps=slice(20, 25))    # every op of a few steps
    viz.draw(loss, gradients=True)                      # where the gradient dies
    viz.compare({"RNN": one, "LSTM": other})            # two drawings on one scale
    viz.draw(tg.compile(step), x)                       # what the compiler makes of it

README.md beside this file says how a drawing comes about.
"""

from .compare import Comparison as Comparison
from .compare import compare as compare
from .drawing import Drawing as Drawing
from .drawing import draw as draw
