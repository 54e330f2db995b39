"""`draw` and what it returns: inputs, formats, notebooks, Graphviz, refusals."""

import builtins
import json
import stat
import sys

import pytest

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tests.viz.library import library
from tests.viz.samples import SAMPLES


def test_a_tensor_and_a_list_of_tensors():
    loss = n.recurrent()
    assert viz.draw(loss).svg.startswith("<svg ")
    make = n.Maker(0)
    a = make.parameter("a", 3)
    two = viz.draw([a * a, tg.exp(a)])
    assert sum(b.root for b in two.diagram.boxes) == 2
    assert sum(b.kind == "parameter" for b in two.diagram.boxes) == 1


def test_a_module_with_sample_input_knows_names_and_classes():
    module, x = library(tg.nn.RNN)
    drawing = viz.draw(module, x)
    titles = {b.title for b in drawing.diagram.boxes}
    assert {"x", "x[0]", "head · Linear", "weight_hh_l0", "initial state"} <= titles
    assert drawing.title == "Sequenced unrolled"


def test_a_module_is_recorded_whole_even_without_gradients():
    module, x = library(tg.nn.RNN)
    for parameter in module.parameters():
        parameter.requires_grad = False
    with tg.no_grad():
        drawing = viz.draw(module, x)
    assert drawing.diagram.length == 5


def test_the_last_state_of_a_module_stands_right_of_the_steps():
    drawing = viz.draw(tg.nn.RNN(3, 4), n.Maker(0).data(4, 2, 3), level="ops")
    roots = [p for p in drawing.picture.placed if p.box.root]
    assert len(roots) == 2
    assert any(p.x > drawing.picture.bands[-1].x + drawing.picture.bands[-1].width for p in roots)


@pytest.mark.parametrize(
    ("level", "kinds"), [("ops", {"op"}), ("modules", {"module", "op"}), ("layers", {"module", "op"})]
)
def test_levels(level, kinds):
    drawing = viz.draw(n.recurrent(), level=level)
    assert {b.kind for b in drawing.diagram.boxes if b.kind in ("op", "module")} == kinds
    assert drawing.diagram.timed == (level != "layers")


def test_a_line_of_the_drawing_itself_is_not_shown_as_source():
    assert "record.py" not in viz.draw(tg.nn.RNN(3, 4), tg.rand(2, 1, 3)).svg


def test_layers_say_how_often_they_run_and_what_they_hold():
    (layer,) = [b for b in SAMPLES["layers"]().diagram.boxes if b.title.startswith("l1_reverse")]
    assert layer.detail == "tanh · 2×4 · 56 parameters"
    assert layer.title == "l1_reverse × 5"


def test_one_is_written_in_the_singular():
    drawing = viz.draw(tg.nn.Linear(1, 1, bias=False), tg.ones(1))
    assert drawing.summary.endswith("Parameters hold 1 number.")
    assert "1 time step runs from left to right." in viz.draw(n.recurrent(T=1)).summary
    assert "5 time steps run from left to right." in viz.draw(n.recurrent(T=5)).summary
    hidden = viz.draw(n.recurrent(T=5), steps=[0, 1, 3, 4])
    assert "5 time steps run from left to right, 1 equal one left out." in hidden.summary
    assert "1 equal step left out" in hidden.svg
    (layer,) = [b for b in viz.draw(tg.nn.Linear(1, 1, bias=False), tg.ones(1), level="layers").diagram.boxes if b.uses]
    assert layer.detail.endswith("1 parameter")


def test_refusals_say_what_to_do():
    loss = n.recurrent()
    with pytest.raises(
        TypeError, match="expected a Tensor, several Tensors, a Module with sample input, or a compiled"
    ):
        viz.draw(3)
    with pytest.raises(TypeError, match=r"sample input only goes with a Module, but a Tensor came with it"):
        viz.draw(loss, loss)
    with pytest.raises(TypeError, match=r"a RNN is drawn with sample input, and got none. Call draw\(model, sample\)"):
        viz.draw(tg.nn.RNN(2, 3))
    with pytest.raises(ValueError, match="has no recorded graph"):
        viz.draw(tg.zeros(3))
    with pytest.raises(ValueError, match="level='op' is none of 'ops', 'modules', 'layers'"):
        viz.draw(loss, level="op")
    with pytest.raises(ValueError, match="elide='many' is neither a number of steps, None, nor"):
        viz.draw(loss, elide="many")
    with pytest.raises(ValueError, match="engine='neato' is neither None"):
        viz.draw(loss, engine="neato")


def test_saving_by_suffix(tmp_path):
    drawing = viz.draw(n.recurrent(T=3))
    for suffix, text in (
        (".svg", drawing.svg),
        (".html", drawing.html),
        (".txt", drawing.text),
        (".json", drawing.json),
    ):
        path = drawing.save(tmp_path / f"rnn{suffix}")
        assert path.read_text(encoding="utf-8") == text
    with pytest.raises(
        ValueError, match=r"'rnn\.gif' ends in none of \.svg, \.html, \.dot, \.txt, \.json, \.png, \.pdf"
    ):
        drawing.save(tmp_path / "rnn.gif")


def test_png_and_pdf_without_a_library_name_the_ways_out(tmp_path, monkeypatch):
    plain = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name in ("vl_convert", "cairosvg"):
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"\.png needs a library .* pip install vl-convert-python"):
        viz.draw(n.recurrent(T=2)).save(tmp_path / "rnn.png")


def test_png_and_pdf_with_a_library(tmp_path):
    pytest.importorskip("vl_convert", reason="needs the extra `picture`")
    drawing = viz.draw(n.recurrent(T=3))
    assert drawing.save(tmp_path / "rnn.png").read_bytes().startswith(b"\x89PNG")
    assert drawing.save(tmp_path / "rnn.pdf").read_bytes().startswith(b"%PDF")


def test_notebooks_show_it():
    drawing = viz.draw(n.recurrent(T=2))
    assert drawing._repr_svg_() == drawing.svg
    assert drawing._repr_mimebundle_() == {"image/svg+xml": drawing.svg, "text/plain": drawing.text}
    assert repr(drawing).startswith("<Drawing: Computation graph with")


def test_r18_the_table_has_a_line_for_each_box():
    drawing = viz.draw(n.recurrent(T=3))
    lines = drawing.text.splitlines()
    assert lines[0] == drawing.summary
    assert len(lines) == 4 + len(drawing.diagram.boxes)
    assert lines[2].split() == ["#", "time", "module", "what", "dtype", "shape", "size", "from"]
    cell = next(line for line in lines if "rnn.l0" in line and line.split()[1] == "1")
    assert "(2, 4)" in cell
    assert "32 B" in cell


def test_json_holds_boxes_edges_and_columns():
    drawing = viz.draw(n.recurrent(T=3))
    data = json.loads(drawing.json)
    assert drawing.json.isascii()
    assert len(data["boxes"]) == len(drawing.diagram.boxes)
    assert {edge["kind"] for edge in data["edges"]} == {"data", "weight", "recurrent"}
    assert [c["first"] for c in data["columns"]] == [0, 1, 2]


@pytest.mark.parametrize("name", ["vanilla", "lstm_ops", "hostile", "detached", "elided"])
def test_r19_dot_is_written_by_the_graphviz_package(name):
    graphviz = pytest.importorskip("graphviz")
    drawing = SAMPLES[name]()
    graph = drawing.to_graphviz()
    assert isinstance(graph, graphviz.Digraph)
    assert graph.source == drawing.dot
    assert drawing.dot.count("[label=") == len(drawing.diagram.boxes)
    edges = [line for line in drawing.dot.splitlines() if "->" in line]
    assert len(edges) == len(drawing.diagram.edges)


def test_r19_a_label_that_looks_like_html_stays_text():
    make = n.Maker(0)
    loss = (make.parameter("<b>bold</b>", 3) * 2).sum()
    dot = viz.draw(loss).dot
    assert 'label="<b>bold</b>' in dot, "quoted: an unquoted <...> would be taken for HTML"
    assert "label=<" not in dot


def test_r19_no_dot_on_path_names_the_ways_out(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"there is none on PATH. Ways out: leave `engine` away .* install Graphviz"):
        _ = viz.draw(n.recurrent(T=2), engine="dot").svg


def program(tmp_path, monkeypatch, body):
    """Put a program called `dot` on PATH."""
    path = tmp_path / "dot"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_r19_dot_is_run_as_a_child_with_a_time_limit(monkeypatch, tmp_path):
    program(tmp_path, monkeypatch, "import sys; print('<svg>' + str(len(sys.stdin.read())) + sys.argv[1] + '</svg>')")
    drawing = viz.draw(n.recurrent(T=2), engine="dot")
    assert drawing.svg.strip() == f"<svg>{len(drawing.dot)}-Tsvg</svg>"
    program(tmp_path, monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(RuntimeError, match=r"`dot` did not finish in 0.2 s"):
        _ = viz.draw(n.recurrent(T=2), engine="dot", timeout=0.2).svg
    program(tmp_path, monkeypatch, "import sys; sys.exit('bad input')")
    with pytest.raises(RuntimeError, match=r"`dot` failed with status 1: bad input"):
        _ = viz.draw(n.recurrent(T=2), engine="dot").svg


def test_drawing_imports_no_graphviz(tmp_path):
    import subprocess

    code = (
        "import sys, viz\nfrom tests.viz import networks as n\n"
        "d = viz.draw(n.recurrent())\nd.svg, d.html, d.text, d.json\n"
        "print([m for m in ('graphviz', 'pygraphviz', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
