"""The dashboard in a headless Chromium: default steps, uploads good and bad, stop in mid-training, two at once.

Screenshots of every tab, wide and narrow, go where TINYGRAD_RNN_SCREENSHOTS says, if it says so.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import process

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("TINYGRAD_RNN_SCREENSHOTS")


@contextlib.contextmanager
def serving(folder, *flags, **options):
    """The dashboard, started as a user starts it; its address, when it answers."""
    pytest.importorskip("streamlit")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with process("app", "--port", port, *flags, cwd=folder, **options) as server:
        url = f"http://127.0.0.1:{port}"
        for _ in range(150):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).read()
                break
            assert server.poll() is None
            time.sleep(0.2)
        yield url
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 130


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("app"), "--no-browser") as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser, address):
    """Open a session of its own; `visit(width)` returns the page."""
    opened = []

    def session(width=1280):
        page = browser.new_context(viewport={"width": width, "height": 1500}).new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        page.get_by_role("tab", name="Training (Regression)").wait_for()
        page.get_by_role("button", name="Start Training").wait_for()
        opened.append(page)
        return page

    yield session
    for page in opened:
        assert page.locator('[data-testid="stException"]').all_inner_texts() == []
        page.context.close()


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def panel(page, tab):
    """Go to a tab; its visible panel."""
    page.get_by_role("tab", name=tab).click()
    return page.get_by_role("tabpanel", name=tab)


def fill(place, label, value):
    box = place.get_by_label(label, exact=True)
    box.fill(str(value))
    box.press("Enter")


def train(page, neurons=10, epochs=20):
    place = panel(page, "Training (Regression)")
    fill(place, "Neurons", neurons)
    fill(place, "Epochs", epochs)
    place.get_by_role("button", name="Start Training").click()
    place.get_by_text(f"Epoch {epochs} of {epochs}").wait_for()
    return place


def test_the_first_run_of_all_asks_nothing(tmp_path):
    """In an empty home, with nobody at the keyboard, and a browser that opens no window."""
    env = {"HOME": str(tmp_path), "BROWSER": "true", "DISPLAY": ""}
    with serving(tmp_path, env=env, stdin=subprocess.DEVNULL) as url:
        urllib.request.urlopen(url, timeout=5).read()


def test_default_steps_of_the_original(visit):
    page = visit()
    inference = panel(page, "Inference (Prediction)")
    inference.get_by_role("button", name="Run Apply_RNN() Forward Pass").click()
    inference.get_by_text("Nothing is trained yet").wait_for()
    place = panel(page, "Training (Regression)")
    place.get_by_role("button", name="Start Training").click()
    place.get_by_text("of 500, loss").wait_for()
    shot(page, "training_running")
    place.get_by_text("Epoch 500 of 500").wait_for(timeout=300_000)
    shot(page, "training")
    inference = panel(page, "Inference (Prediction)")
    inference.get_by_role("button", name="Run Apply_RNN() Forward Pass").click()
    inference.get_by_text("which training never saw").wait_for()
    inference.locator("img").wait_for()
    shot(page, "inference")


def test_stop_in_mid_training_keeps_the_model(visit):
    page = visit()
    place = panel(page, "Training (Regression)")
    fill(place, "Epochs", 5000)
    place.get_by_role("button", name="Start Training").click()
    place.get_by_text("of 5000, loss").wait_for()
    place.get_by_role("button", name="Stop").click()
    place.get_by_text("Stopped; the model is kept as it is").wait_for()
    inference = panel(page, "Inference (Prediction)")
    inference.get_by_role("button", name="Run Apply_RNN() Forward Pass").click()
    inference.get_by_text("which training never saw").wait_for()


def test_an_upload_and_bad_ones(visit, tmp_path):
    good, bad, binary = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "binary.csv"
    good.write_text("x,y\n" + "".join(f"{t},{t % 7}\n" for t in range(60)))
    bad.write_text("x,y\n" + "".join(f"{t},{t % 7}\n" for t in range(60)) + "60,\n")
    binary.write_bytes(b"\0\1\2\3" * 50)
    page = visit()
    place = panel(page, "Training (Regression)")
    chooser = place.locator('input[type="file"]')

    def remove(complaint):
        place.get_by_role("button", name="Remove").first.click()
        place.get_by_text(complaint).wait_for(state="detached")
        page.get_by_test_id("stStatusWidget").wait_for(state="detached")

    chooser.set_input_files(bad)
    place.get_by_text("bad.csv, line 62").wait_for()
    assert place.get_by_role("button", name="Start Training").is_disabled()
    shot(page, "bad_upload")
    remove("bad.csv, line 62")
    chooser.set_input_files(binary)
    place.get_by_text("binary.csv, byte 0").wait_for()
    remove("binary.csv, byte 0")
    chooser.set_input_files(good)
    place.get_by_text("48 steps of good.csv to learn, the last 12 left unseen").wait_for()
    train(page)


def test_two_sessions_know_nothing_of_each_other(visit):
    first, second = visit(), visit()
    train(first)
    inference = panel(second, "Inference (Prediction)")
    inference.get_by_role("button", name="Run Apply_RNN() Forward Pass").click()
    inference.get_by_text("Nothing is trained yet").wait_for()
    train(second, neurons=4, epochs=7)
    inference = panel(first, "Inference (Prediction)")
    inference.get_by_role("button", name="Run Apply_RNN() Forward Pass").click()
    inference.get_by_text("which training never saw").wait_for()


@pytest.mark.parametrize("width", [1280, 480])
def test_the_other_tabs(visit, width):
    page = visit(width)
    train(page)
    place = panel(page, "Autoregression")
    fill(place, "Epochs", 20)
    place.get_by_role("button", name="Start Forecast").click()
    place.get_by_text("epoch 20 of 20").wait_for()
    shot(page, f"autoregression_{width}")
    place = panel(page, "Unrolled graph")
    place.get_by_role("button", name="Draw").click()
    place.frame_locator("iframe").locator("svg").first.wait_for()
    place.get_by_text("It vanishes.").wait_for()
    shot(page, f"unrolled_{width}")
    place = panel(page, "Gradient check")
    place.get_by_label("Mistake in the backward pass").click()
    page.get_by_role("option", name="gradient transposed").click()
    place.get_by_role("button", name="Check Gradients").click()
    place.get_by_text("Wh is returned transposed").wait_for()
    shot(page, f"check_{width}")
    place = panel(page, "Text")
    fill(place, "Updates", 12)
    place.get_by_role("button", name="Start Reading").click()
    place.get_by_text("Update 12 of 12").wait_for()
    shot(page, f"text_{width}")
    panel(page, "Training (Regression)")
    shot(page, f"training_{width}")
