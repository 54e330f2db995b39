"""The same small RNN drawn by five tools, and what can be read from each drawing.

    python examples/drawing_tools.py [--steps 5] [--long] [--out DIRECTORY]

Hidden size 8, batch 2, a tanh cell with a linear head and a cross entropy in every step. torchviz, torchview, MyGrad
and DeZero are optional; their graphs are laid out by Graphviz `dot`, in a child process with a time limit. `--long`
times 50 steps, too.
"""

import argparse
import importlib.util
import re
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
import viz
from tinygrad_rnn.files import replace

B, D, H, C = 2, 4, 8, 3
LIMIT = 150.0  # seconds that `dot` may take


def arrays(steps):
    """Inputs (T, B, D), targets (T, B) and the parameters, by name, from one seed."""
    rng = np.random.default_rng(0)
    shapes = {"weight_ih": (D, H), "weight_hh": (H, H), "bias": (H,), "weight_out": (H, C), "bias_out": (C,)}
    parameters = {name: rng.normal(scale=0.3, size=shape).astype(np.float32) for name, shape in shapes.items()}
    return rng.normal(size=(steps, B, D)).astype(np.float32), rng.integers(0, C, (steps, B)), parameters


class Net(tg.nn.Module):
    """What is drawn by us: a cell and a head, in a plain loop."""

    def __init__(self):
        super().__init__()
        self.cell = tg.nn.RNNCell(D, H)
        self.head = tg.nn.Linear(H, C)

    def forward(self, x, target):
        h, loss = tg.zeros(B, H), 0.0
        for t in range(len(x)):
            with tg.scope(t=t):
                h = self.cell(x[t], h)
                loss = loss + tg.nn.functional.cross_entropy(self.head(h), target[t])
        return loss


def ours(steps):
    """The loss, recorded; drawing it is what is timed."""
    x, target, _ = arrays(steps)
    return Net()(tg.tensor(x), tg.tensor(target))


def torchviz(steps):
    """DOT text by torchviz."""
    import torch
    from torchviz import make_dot

    x, target, parameters = arrays(steps)
    p = {name: torch.tensor(a, requires_grad=True) for name, a in parameters.items()}
    h, loss = torch.zeros(B, H), 0.0
    for t in range(steps):
        h = torch.tanh(torch.tensor(x[t]) @ p["weight_ih"] + h @ p["weight_hh"] + p["bias"])
        logits = h @ p["weight_out"] + p["bias_out"]
        loss = loss + torch.nn.functional.cross_entropy(logits, torch.tensor(target[t]))
    return make_dot(loss, params=p).source


def torchview(steps):
    """DOT text by torchview; a cell written by hand, for `nn.RNN` is one box there."""
    import torch
    from torchview import draw_graph

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.wih, self.whh, self.head = (
                torch.nn.Linear(D, H),
                torch.nn.Linear(H, H, bias=False),
                torch.nn.Linear(H, C),
            )

        def forward(self, x, target):
            h, loss = torch.zeros(B, H), 0.0
            for t in range(steps):
                h = torch.tanh(self.wih(x[t]) + self.whh(h))
                loss = loss + torch.nn.functional.cross_entropy(self.head(h), target[t])
            return loss

    x, target, _ = arrays(steps)
    data = (torch.tensor(x), torch.tensor(target))
    return draw_graph(Network(), input_data=data, expand_nested=True, depth=3).visual_graph.source


def mygrad(steps):
    """DOT text by MyGrad."""
    import mygrad as mg
    from mygrad.computational_graph import build_graph

    x, target, parameters = arrays(steps)
    p = {name: mg.tensor(a) for name, a in parameters.items()}
    h, loss = mg.zeros((B, H)), 0.0
    for t in range(steps):
        h = mg.tanh(x[t] @ p["weight_ih"] + h @ p["weight_hh"] + p["bias"])
        logits = h @ p["weight_out"] + p["bias_out"]
        loss = loss + mg.nnet.losses.softmax_crossentropy(logits, target[t])
    return build_graph(loss, names=p, dims=True).source


def dezero(steps):
    """DOT text by DeZero."""
    vars(np)["int"] = int  # DeZero 0.0.13 still uses the name, which NumPy dropped in 1.24
    import dezero.functions as F
    from dezero import Variable
    from dezero.core import Parameter
    from dezero.utils import get_dot_graph

    x, target, parameters = arrays(steps)
    p = {name: Parameter(a, name=name) for name, a in parameters.items()}
    h, loss = Variable(np.zeros((B, H), np.float32)), 0.0
    for t in range(steps):
        h = F.tanh(F.matmul(Variable(x[t]), p["weight_ih"]) + F.matmul(h, p["weight_hh"]) + p["bias"])
        logits = F.matmul(h, p["weight_out"]) + p["bias_out"]
        loss = loss + F.softmax_cross_entropy(logits, target[t])
    return get_dot_graph(loss, verbose=True)


PEERS = {"torchviz": torchviz, "torchview": torchview, "mygrad": mygrad, "dezero": dezero}


def crossings(lines):
    """How many pairs of lines cross that share no end. lines: (source, target, points)."""

    def side(a, b, c):
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    def cross(p, q):
        return side(*p, q[0]) * side(*p, q[1]) < 0 and side(*q, p[0]) * side(*q, p[1]) < 0

    count = 0
    for k, (s, t, one) in enumerate(lines):
        for s2, t2, other in lines[k + 1 :]:
            if len({s, t, s2, t2}) == 4:
                count += any(cross(p, q) for p in pairwise(one) for q in pairwise(other))
    return count


def measure_ours(drawing):
    """Figures of our drawing; shared weights count as one line for each parameter."""
    picture = drawing.picture
    lines = [(w.edge.source.id, w.edge.target.id, w.points) for w in picture.wires]
    for bus in picture.buses:
        lines += [(bus.box.id, -1 - k, route) for k, route in enumerate(bus.points)]
    return {
        "boxes": len(picture.placed),
        "edges": len(lines),
        "crossings": crossings(lines),
        "area": picture.width * picture.height,
        "labels": drawing.text,
    }


def measure_dot(plain, source):
    """Figures of a layout by `dot -Tplain`: inches, 72 pixels each."""
    width = height = 0.0
    nodes, lines = 0, []
    for line in plain.splitlines():
        words = line.split()
        if words[:1] == ["graph"]:
            width, height = float(words[2]) * 72, float(words[3]) * 72
        elif words[:1] == ["node"]:
            nodes += 1
        elif words[:1] == ["edge"]:
            n = int(words[3])
            numbers = [float(v) for v in words[4 : 4 + 2 * n]]
            lines.append((words[1], words[2], list(zip(numbers[::2], numbers[1::2], strict=True))))
    return {
        "boxes": nodes,
        "edges": len(lines),
        "crossings": crossings(lines),
        "area": width * height,
        "labels": source,
    }


def readable(labels):
    """What the labels tell, by what is written in them."""
    return {
        "time": bool(re.search(r"\bt ?= ?\d|^\d+ +\d+ ", labels, re.MULTILINE)),
        "layers": bool(re.search(r"subgraph cluster|\bcell\b", labels)),
        "shapes": bool(re.search(r"\(\d+, ?\d+\)", labels)),
        "weights once": len(re.findall(r"weight_hh", labels)) == 1,
        "gradients": "∇" in labels,
    }


def run_dot(source, form):
    """The output of `dot`, or None if it takes too long."""
    try:
        done = subprocess.run(
            ["dot", f"-T{form}"], input=source, capture_output=True, text=True, timeout=LIMIT, check=True
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout


def row(name, figures, seconds, facts):
    """One line of the table."""
    numbers = [str(figures["boxes"]), str(figures["edges"]), str(figures["crossings"]), f"{figures['area'] / 1e6:.2f}"]
    said = ["yes" if facts[key] else "no" for key in ("time", "layers", "shapes", "weights once", "gradients")]
    return f"| {name} | {' | '.join(numbers)} | {seconds} | {' | '.join(said)} |"


def clock(seconds):
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def timed(loss, **options):
    """The drawing, and the shortest of five times from the loss to SVG text."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        drawing = viz.draw(loss, elide=None, **options)
        _ = drawing.svg
        best = min(best, time.perf_counter() - start)
    return drawing, best


def draw_ours(steps, out):
    """Two lines of the table; returns the time for every op, for that is what the others draw."""
    loss = ours(steps)
    drawing, short = timed(loss)
    every, long = timed(loss, level="ops")
    looked = viz.draw(loss, elide=None, gradients=True)
    if out:
        drawing.save(out / f"tinygrad_rnn_{steps}.svg")
        every.save(out / f"tinygrad_rnn_{steps}_ops.svg")
        looked.save(out / f"tinygrad_rnn_{steps}_gradients.svg")
    facts = readable(drawing.text + looked.svg)
    facts["weights once"] = sum(p.box.title == "weight_hh" for p in drawing.picture.placed) == 1
    print(row("**viz** (modules)", measure_ours(drawing), clock(short), facts))
    print(row("**viz** (every op)", measure_ours(every), clock(long), facts))
    return long


def draw_peer(name, steps, out):
    if importlib.util.find_spec(name) is None:
        print(f"| {name} | not installed |  |  |  |  |  |  |  |  |  |")
        return None
    start = time.perf_counter()
    source = PEERS[name](steps)
    plain = run_dot(source, "plain")
    seconds = time.perf_counter() - start
    if plain is None:
        print(f"| {name} | stopped after {LIMIT:.0f} s |  |  |  |  |  |  |  |  |  |")
        return LIMIT
    print(row(name, measure_dot(plain, source), clock(seconds), readable(source)))
    if out:
        svg = run_dot(source, "svg")
        if svg:
            replace(out / f"{name}_{steps}.svg", svg.encode())
    return seconds


def table(steps, names, out):
    print(f"\n{steps} steps:\n")
    print(
        "| tool | boxes | edges | crossings | area, Mpx | time | steps | layers | shapes | weights once | gradients |"
    )
    print("|---|--:|--:|--:|--:|--:|---|---|---|---|---|")
    mine = draw_ours(steps, out)
    ratios: list[str] = []
    if shutil.which("dot") is None:
        print("\nThe others need the program `dot` to be laid out, and there is none on PATH.")
        return
    for name in names:
        seconds = draw_peer(name, steps, out)
        if seconds is not None:
            ratios.append(f"{name} takes {'more than ' if seconds >= LIMIT else ''}{seconds / mine:.0f} times as long")
    print(f"\nBeside viz drawing every op: {', '.join(ratios) or 'nothing to compare with'}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--steps", type=int, default=5, help="time steps (default 5)")
    parser.add_argument("--long", action="store_true", help="time 50 steps, too; takes minutes")
    parser.add_argument("--out", type=Path, help="directory for the pictures")
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps: expected at least 1, got {options.steps}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    ours(2)  # the first call pays for imports
    table(options.steps, PEERS, options.out)
    if options.long:
        table(50, ["torchviz", "torchview"], None)


if __name__ == "__main__":
    main()
