"""Nothing of a name, title or remark escapes into SVG, HTML or DOT: whatever the text, the structure is that of "x".

Structure means tags and the names of their attributes, in order; for DOT everything that is not inside quotes.
"""

import functools
import re
import string
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
import viz
from tests.viz import networks as n

HOSTILE = [
    n.HOSTILE,
    "</title></svg><script>alert(1)</script>",
    "--><img src=x onerror=alert(1)>",
    "]]><![CDATA[",
    "&lt;script&gt;&#60;",
    'a"];evil->x[URL="javascript:alert(1)"];"',
    'x" URL="javascript:alert(1)',
    "\\",
    '\\"',
    "\\N\\G\\l",
    "<b>html label</b>",
    "{{title}} {{summary}}",
    "javascript:alert(1)",
    "\u2028</script>\u2029",
    "\ud800",
    "\x1b]0;title\x07",
    "{a|<port>b}",
]
texts = st.one_of(
    st.text(max_size=30),
    st.text(st.sampled_from("<>&\"'\\;[]{}-=/\n\0 ab"), max_size=30),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=2).map("".join),
)


def every_hostile(drawn):
    """Run a test on every text of the list and on so many drawn ones."""

    def decorate(test):
        for text in HOSTILE:
            test = example(text)(test)
        return settings(max_examples=drawn)(given(texts)(test))

    return decorate


def drawings(text):
    """Drawings in which the text is the name of parameters, modules and inputs, a title, and a remark."""
    loss = n.hostile(T=2, name=text or "x")
    x = tg.tensor(np.ones(2), requires_grad=True)

    def compiled(t):
        with tg.scope(text or "x"):
            return (t * t).sum()

    compiled.__name__ = text or "x"
    return {
        "modules": viz.draw(loss, title=text),
        "ops": viz.draw(loss, level="ops", title=text, names={text or "x": loss}, marks={"<script>": text or "x"}),
        "program": viz.draw(tg.compile(compiled), x),
    }


def skeleton(svg):
    # How a text is broken into lines depends on the text, so lines of texts count once.
    tags = [(element.tag, *sorted(element.attrib)) for element in ET.fromstring(svg).iter()]
    return [tag for k, tag in enumerate(tags) if not tag[0].endswith(("text", "tspan")) or tag[:1] != tags[k - 1][:1]]


def links(svg):
    """Attributes that could load or run something."""
    return [
        (name, value)
        for element in ET.fromstring(svg).iter()
        for name, value in element.attrib.items()
        if name.lower().startswith("on") or "href" in name.lower() or "javascript:" in value.lower()
    ]


@functools.cache
def plain():
    """The structure of the drawings with a harmless text."""
    return {name: skeleton(drawing.svg) for name, drawing in drawings("x").items()}


@every_hostile(30)
def test_svg(text):
    for name, drawing in drawings(text).items():
        assert not links(drawing.svg)
        found = {tag[0] for tag in skeleton(drawing.svg)}
        assert found <= {tag[0] for tag in plain()[name]}, name
        assert len(skeleton(drawing.svg)) <= len(plain()[name]) + 4, f"{name}: more elements than with a plain name"


class Tags(HTMLParser):
    """The tags and attribute names of a page as a browser's tokenizer sees them."""

    def __init__(self, page):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"<{tag} {name}={value!r}>"
            assert "javascript:" not in (value or "").lower() or name in ("title", "data-m"), name
        if tag == "script":
            self.scripts.append(dict(attrs))

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data!r}")


@every_hostile(5)
def test_html(text):
    page = viz.draw(n.hostile(T=2, name=text or "x"), title=text).html
    tags = Tags(page)
    assert [script.get("type") for script in tags.scripts] == ["application/json", None]
    allowed = set(plain_page().found)
    assert set(tags.found) <= allowed, set(tags.found) - allowed
    assert "\0" not in page
    page.encode()


@functools.cache
def plain_page():
    """The tags of the page with a harmless text."""
    return Tags(viz.draw(n.hostile(T=2, name="x"), title="x").html)


def outside_quotes(source):
    """DOT without what is quoted. Asserts that every quote is closed: a backslash escapes the sign after it."""
    assert re.fullmatch(r'(?:[^"]|"(?:[^"\\]|\\.)*")*', source, re.S), "a quote stays open"
    for quoted in re.findall(r'"((?:[^"\\]|\\.)*)"', source, re.S):
        # all other escapes mean something to DOT: \N is the name of the node, \G that of the graph
        assert "\\" not in re.sub(r'\\\\|\\"|\\n', "", quoted), quoted
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', source)


PLAIN_SIGNS = set(string.ascii_letters + string.digits + '_=[]{}->;"#. \t\n')


@every_hostile(30)
def test_dot(text):
    pytest.importorskip("graphviz")
    for name in ("modules", "ops"):
        harmless = outside_quotes(drawings("x")[name].dot)
        found = outside_quotes(drawings(text)[name].dot)
        assert set(found) <= PLAIN_SIGNS
        # an identifier needs no quotes, so those of plain names stand outside
        assert re.sub(r"=\w+", '=""', found) == re.sub(r"=\w+", '=""', harmless)
