"""The page: self-contained by its text, and driven in a headless Chromium (extra `browser`)."""

import json
import re
import shutil
import time
from html.parser import HTMLParser

import pytest

import viz
from tests.viz import networks as n
from tests.viz.samples import SAMPLES
from viz.html.page import MOST, island, views


class Reader(HTMLParser):
    """Collects what could load or run something."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, name, value) for name, value in attrs if name in ("src", "href") or name.startswith("on")]
        if tag in ("iframe", "link", "object", "embed", "img", "base"):
            self.found.append((tag, "", ""))


@pytest.mark.parametrize("name", ["vanilla", "bidirectional", "hostile", "feedforward"])
def test_r13_the_page_loads_nothing(name):
    page = SAMPLES[name]().html
    reader = Reader()
    reader.feed(page)
    assert reader.found == []
    assert "default-src 'none'" in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_r17_the_data_cannot_end_its_script_element():
    text = island({"</script><img onerror=alert(1)>": "\u2028<!--"})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(text) == {"</script><img onerror=alert(1)>": "\u2028<!--"}
    page = SAMPLES["hostile"]().html
    assert page.count("</script>") == 2
    assert "<img" not in page


def test_a_graph_without_modules_has_no_heading_for_them():
    assert "<section hidden><h2>Modules</h2>" in viz.draw(n.plain_loop()).html
    assert "<section><h2>Modules</h2>" in viz.draw(n.recurrent()).html


def test_views_hold_every_single_state_and_stay_few():
    found = views(["rnn", "rnn.l0", "rnn.l1", "head"])
    for expand, collapse in [((), ()), (("rnn.l0", "rnn.l1", "head"), ()), (("rnn.l1",), ()), ((), ("rnn",))]:
        assert (expand, collapse) in found
    assert len(views([f"m{k}" for k in range(50)])) == MOST


def test_the_walk_knows_all_steps_also_those_left_out():
    page = SAMPLES["elided"]().html
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))
    assert [step["t"] for step in data["steps"]] == list(range(48))
    path, value, gradient = data["steps"][20]["rows"][0]
    assert path == "rnn.l0"
    assert value.startswith("norm ")
    assert gradient.startswith("norm ")
    assert data["modules"] == ["rnn", "rnn.l0", "head"]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=program, args=options)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium to drive: {str(error).splitlines()[0]}")
        yield found
        found.close()


class Visit:
    """One page opened in the browser; remembers what it asked for and what it complained about."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append("dialog"))
        self.page.goto(path.as_uri())
        self.address = path.as_uri()

    def count(self, selector):
        return self.page.locator(f"#stage {selector}").count()

    def close(self):
        assert self.complaints == []
        assert self.requests == [self.address], "the page asks for nothing but itself"
        self.context.close()


@pytest.fixture
def visit(browser, tmp_path):
    opened = []

    def open_page(drawing, **options):
        path = drawing.save(tmp_path / f"page{len(opened)}.html")
        opened.append(Visit(browser, path, **options))
        return opened[-1]

    yield open_page
    for one in opened:
        one.close()


@pytest.mark.browser
def test_modules_expand_and_collapse_by_mouse_and_keyboard(visit):
    here = visit(SAMPLES["two_layers"]())
    page = here.page
    boxes = here.count(".n")
    assert here.count(".n.contract") == 0
    page.get_by_role("button", name="rnn.l0").click()
    assert here.count(".n.contract") == 10
    assert page.get_by_role("button", name="rnn.l0").get_attribute("aria-expanded") == "true"
    page.get_by_role("button", name="head").focus()
    page.keyboard.press("Enter")
    assert here.count(".n.contract") == 11
    page.keyboard.press("Enter")
    page.get_by_role("button", name="rnn.l0").click()
    assert here.count(".n") == boxes
    page.locator("[data-path=rnn]").click()
    assert here.count(".n") < boxes
    page.locator("[data-path=rnn]").click()
    assert here.count(".n") == boxes
    page.locator("#stage .n.module[data-m='rnn.l1']").first.dblclick()
    assert here.count(".n.contract") == 10


@pytest.mark.browser
def test_selecting_a_box_lights_what_it_comes_from_and_leads_to(visit):
    here = visit(n_drawing())
    page = here.page
    page.locator("#stage .n[data-c='2'].module").click()
    lit = page.locator("#stage .n.on")
    columns = {c for c in lit.evaluate_all("all => all.map(e => e.dataset.c)") if c is not None}
    assert columns == {"0", "1", "2", "3", "4"}
    assert page.locator("#stage .n.input.on[data-c='2']").count() == 1
    assert page.locator("#stage .n.input[data-c='3']:not(.on)").count() == 1
    assert page.locator("#stage .n.parameter.on").count() == 4
    assert "t = 2" in page.locator("#about").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#stage .n.on").count() == 0
    page.locator("#stage .n").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#stage .n.self").count() == 1


def until(page, condition, seconds=10.0):
    """Wait for a condition; the page's policy forbids the usual way, which evaluates text inside it."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"{condition} did not come about"
        page.wait_for_timeout(50)


def n_drawing():
    return viz.draw(n.recurrent())


@pytest.mark.browser
def test_search_finds_and_says_how_many(visit):
    here = visit(n_drawing())
    page = here.page
    page.get_by_role("searchbox").fill("t = 3")
    assert page.locator("#count").inner_text() == "2 found"
    assert here.count(".n.hit") == 2
    page.keyboard.press("Enter")
    page.get_by_role("searchbox").fill("no such thing")
    assert page.locator("#count").inner_text() == "0 found"
    page.get_by_role("searchbox").fill("")
    assert here.count(".n.hit") == 0


@pytest.mark.browser
def test_the_slider_walks_forward_then_backward_with_values(visit):
    here = visit(n_drawing())
    page = here.page
    slider = page.get_by_role("slider")
    assert slider.get_attribute("max") == "9"
    slider.fill("3")
    assert page.locator("#clock").inner_text() == "forward, t = 3"
    assert page.evaluate("getComputedStyle(document.querySelector('#stage .backward')).display") == "none"
    assert page.locator("#stage .band.now").get_attribute("data-c") == "3"
    assert here.count(".n.later[data-c='4']") == 2
    row = page.locator("#rows tr").first.inner_text()
    assert row.startswith("rnn.l0")
    assert "norm" in row
    slider.fill("8")
    assert page.locator("#clock").inner_text() == "backward, t = 1"
    shown = "getComputedStyle(document.querySelector('#stage .backward')).display"
    assert page.evaluate(shown) == "inline"
    page.get_by_role("button", name="Play").click()
    until(page, "document.getElementById('slider').value === '9'")
    assert page.get_by_role("button", name="Play").is_visible()
    page.get_by_role("button", name="Play").click()
    until(page, "Number(document.getElementById('slider').value) >= 1")
    assert page.get_by_role("button", name="Pause").is_visible()


@pytest.mark.browser
def test_dark_mode_by_system_and_by_button(visit):
    def ground(page):
        return page.evaluate("getComputedStyle(document.querySelector('#stage .ground')).fill")

    light, dark = visit(n_drawing()), visit(n_drawing(), color_scheme="dark")
    assert ground(light.page) == "rgb(255, 255, 255)"
    assert ground(dark.page) == "rgb(15, 20, 26)"
    light.page.get_by_role("button", name="Dark").click()
    assert ground(light.page) == "rgb(15, 20, 26)"
    light.page.get_by_role("button", name="Light").click()
    assert ground(light.page) == "rgb(255, 255, 255)"


@pytest.mark.browser
def test_pan_zoom_and_fit(visit):
    page = visit(n_drawing()).page

    def box():
        return [float(v) for v in page.locator("#stage svg").get_attribute("viewBox").split()]

    home = box()
    page.get_by_role("button", name="Zoom in").click()
    assert box()[2] == pytest.approx(home[2] * 0.8, abs=0.2)
    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    assert box()[0] > home[0]
    page.mouse.move(400, 400)
    page.mouse.down()
    page.mouse.move(300, 350, steps=4)
    page.mouse.up()
    moved = box()
    page.mouse.wheel(0, 240)
    until(page, f"Number(document.querySelector('#stage svg').getAttribute('viewBox').split(' ')[2]) > {moved[2]}")
    page.get_by_role("button", name="Fit").click()
    assert box() == home


@pytest.mark.browser
def test_hostile_names_stay_text_in_a_browser(visit):
    here = visit(SAMPLES["hostile"]())
    assert here.count("img") == 0
    assert "</script>" in here.page.locator("#modules").inner_text()


@pytest.mark.browser
def test_a_narrow_screen_shows_everything_below_each_other(visit):
    page = visit(n_drawing()).page
    page.set_viewport_size({"width": 380, "height": 720})
    stage, aside = page.locator("#stage").bounding_box(), page.locator("aside").bounding_box()
    assert aside["y"] >= stage["y"] + stage["height"] - 1
    assert stage["width"] > 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.wait_for_timeout(100)
    width = float(page.locator("#stage svg").get_attribute("viewBox").split()[2])
    assert width <= 2.1 * stage["width"], "it begins in a size that can be read"


@pytest.mark.browser
@pytest.mark.parametrize("name", ["vanilla", "lstm_ops", "bidirectional", "elided_gradients", "nn_gru_ops"])
def test_real_text_fits_into_real_boxes(browser, tmp_path, name):
    """The widths that the layout reckons with hold for the fonts of a browser."""
    path = SAMPLES[name]().save(tmp_path / "picture.svg")
    page = browser.new_page()
    page.goto(path.as_uri())
    outside = page.evaluate("""() => [...document.querySelectorAll('g.n[tabindex]')].filter((g) => {
        const r = g.querySelector('rect').getBBox();
        return [...g.querySelectorAll('text')].some((t) => {
            const b = t.getBBox();
            return b.x < r.x - 0.5 || b.x + b.width > r.x + r.width + 0.5;
        });
    }).map((g) => g.querySelector('title').textContent)""")
    page.close()
    assert outside == []
