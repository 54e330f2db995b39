"""What an SVG must be: well-formed, inert, readable in light and dark, and speaking to those who do not see it."""

import re
import xml.etree.ElementTree as ET
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n
from tests.viz.library import library
from tests.viz.samples import SAMPLES
from viz.model import words
from viz.svg.path import data, num
from viz.svg.theme import DARK, LIGHT, VIRIDIS, contrast, heat, ink

SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g", "circle"}


def inert(svg):
    """Parse an SVG and check that nothing in it can run or load anything."""
    root = ET.fromstring(svg)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) in ALLOWED
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            assert "href" not in name.lower()
            assert "javascript:" not in value.lower()
            assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", value))
    styles = "".join(root.itertext())
    assert "@import" not in styles
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", styles))
    return root


@pytest.mark.parametrize("name", SAMPLES)
def test_r13_svg_is_well_formed_and_inert(name):
    inert(SAMPLES[name]().svg)


def test_r17_hostile_names_are_drawn_as_text():
    drawing = SAMPLES["hostile"]()
    root = inert(drawing.svg)
    titles = [t.text for t in root.iter(f"{SVG}text")]
    assert "<script>" in titles
    assert any(t.startswith("</script><img src=x") for t in titles)
    assert "<script" not in drawing.svg
    assert "\x00" not in drawing.svg


names = st.text(max_size=40)


@given(names, names)
def test_r17_no_name_breaks_or_injects(parameter, title):
    loss = n.hostile(T=2, name=parameter or "x")
    for text in (viz.draw(loss, title=title).svg, viz.draw(loss, level="ops", title=title).svg):
        inert(text)


@given(st.one_of(st.text(), st.floats(), st.binary(), st.none()))
def test_clean_leaves_one_line_that_xml_can_hold(value):
    text = words.clean(value)
    assert "\n" not in text
    root = ET.fromstring(f"<a>{viz.svg.escape(text)}</a>")
    assert (root.text or "") == text


def test_r15_text_contrast_is_at_least_four_and_a_half():
    for theme in (LIGHT, DARK):
        grounds = ["ground", "band", "module", "op", "parameter", "input", "constant", "gate"]
        for ink_name, ground in product(("text", "muted"), grounds):
            assert contrast(theme[ink_name], theme[ground]) >= 4.5, (ink_name, ground)
        for name in ("state", "mark", "backward"):
            assert contrast(theme[name], theme["ground"]) >= 4.5, name
            assert contrast(theme[name], theme["band"]) >= 4.5, name
        for name in ("line", "module line", "op line", "parameter line", "input line", "gate line"):
            assert contrast(theme[name], theme["ground"]) >= 3.0, name


def test_r15_numbers_on_heat_are_readable_and_the_scale_rises_in_lightness():
    from viz.svg.theme import luminance

    for k in range(101):
        assert contrast(ink(heat(k / 100)), heat(k / 100)) >= 4.5
    lightness = [luminance(colour) for colour in VIRIDIS]
    assert lightness == sorted(lightness)


def test_r15_theme_follows_the_system_or_the_argument():
    loss = n.recurrent(T=2)
    auto, light, dark = (viz.draw(loss, theme=theme).svg for theme in ("auto", "light", "dark"))
    assert "prefers-color-scheme:dark" in auto
    assert "prefers-color-scheme" not in light + dark
    assert LIGHT["module"] in auto
    assert DARK["module"] in auto
    assert LIGHT["module"] in light
    assert LIGHT["module"] not in dark
    with pytest.raises(ValueError, match=r"theme='pink' is none of 'auto', 'light', 'dark'"):
        viz.draw(loss, theme="pink")


def test_r16_a_picture_has_a_role_a_title_a_description_and_focusable_boxes():
    drawing = viz.draw(n.recurrent(T=9), title="My <network>")
    root = ET.fromstring(drawing.svg)
    assert root.get("role") == "img"
    title, description = root.get("aria-labelledby").split()
    texts = {e.get("id"): e.text for e in root if e.get("id")}
    assert texts[title] == "My <network>"
    assert "9 time steps run from left to right" in texts[description]
    groups = [g for g in root.iter(f"{SVG}g") if "n" in g.get("class", "").split()]
    assert len(groups) == len(drawing.diagram.boxes)
    assert all(g.get("tabindex") == "0" and g.find(f"{SVG}title").text for g in groups)


def test_r1_tooltips_say_what_is_known():
    module, x = library(tg.nn.RNN)
    drawing = viz.draw(module, x, gradients=True, level="ops")
    tips = {t.text for t in ET.fromstring(drawing.svg).iter(f"{SVG}title")}
    tanh = next(t for t in tips if t.startswith("tanh") and "t = 3" in t)
    for said in (
        "rnn.l0",
        "float32 2×4, 32 B",
        "saved for the backward sweep",
        "value: norm",
        "gradient: norm",
        "library.py:",
    ):
        assert said in tanh
    weight = next(t for t in tips if t.startswith("parameter weight_hh_l0"))
    assert "float32 4×4, 64 B" in weight
    index = next(t for t in tips if t.startswith("getitem") and "t = 2" in t)
    assert "index=(2,)" in index


def test_saved_values_constants_and_inputs_differ_without_colour():
    svg = SAMPLES["expression"]().svg
    assert 'class="saved"' in svg
    rules = re.search(r"<style>(.*?)</style>", svg, re.S).group(1)
    dashed = next(rule for rule in rules.split("}") if ".n.constant>rect" in rule and "dasharray" in rule)
    assert dashed
    assert '<g class="n constant still"' in svg
    assert '<g class="n parameter"' in svg
    assert any(".n.still text" in rule and "italic" in rule for rule in rules.split("}"))
    assert ' class="spine"' in svg


@pytest.mark.parametrize("level", ["ops", "modules", "layers"])
@pytest.mark.parametrize("name", ["recurrent", "plain_loop", "expression", "feedforward"])
def test_dots_are_explained_wherever_they_are_drawn(name, level):
    svg = viz.draw(getattr(n, name)(), level=level).svg
    key = svg.partition('<g class="key">')[2]
    dots = svg.count('<circle class="saved"')
    assert (dots > 1) == ("kept for the backward sweep" in key) == ('<circle class="saved"' in key)
    assert dots != 1, "a dot in the key alone"


def test_pictures_in_one_page_do_not_share_names():
    one, other = SAMPLES["vanilla"]().svg, SAMPLES["lstm"]().svg
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    for svg in (one, other):
        ident = re.search(r'class="(g[0-9a-f]{8})"', svg).group(1)
        sheet = re.search(r"<style>(.*?)</style>", svg, re.S).group(1)
        for rule in re.findall(r"([^{}]+)\{", sheet.replace("@media(prefers-color-scheme:dark)", "")):
            assert all(part.strip().startswith(f".{ident}") for part in rule.split(",") if part.strip())


def test_numbers_are_written_in_one_way():
    assert [num(v) for v in (1.0, 1.25, -0.04, 2.96, 10)] == ["1", "1.2", "0", "3", "10"]
    assert [words.number(v) for v in (0, 1.0, 0.12345, 1234.5, 1e-9, 1.26e7, float("nan"), float("inf"))] == [
        "0", "1", "0.123", "1234", "1e-9", "1.3e7", "NaN", "∞",
    ]  # fmt: skip
    assert [words.octets(v) for v in (0, 999, 1000, 1_234_567, 5_000_000_000)] == [
        "0 B",
        "999 B",
        "1 kB",
        "1.23 MB",
        "5 GB",
    ]


def test_path_data():
    assert data([(0, 0), (10, 0)]) == "M0 0H10"
    assert data([(0, 10), (0, 0)]) == "M0 10V0"
    assert data([(0, 10), (20, 0)]) == "M0 10C0 5 20 5 20 0"
    assert data([(0, 0), (20, 0), (20, 20)]) == "M0 0L13 0Q20 0 20 7L20 20"
