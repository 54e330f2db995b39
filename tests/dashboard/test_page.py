"""Every tab of the dashboard, driven without a browser."""

import colorsys
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit")
pytest.importorskip("matplotlib")

from streamlit.testing.v1 import AppTest

from tinygrad_rnn.dashboard.engines import ENGINES, copied, fresh
from tinygrad_rnn.dashboard.kit import figure
from tinygrad_rnn.dashboard.series import built_in, uploaded
from tinygrad_rnn.dashboard.text import LARGEST, _text
from tinygrad_rnn.errors import DataError
from tinygrad_rnn.manual.regression import Apply_RNN, SGD_Optimizer
from tinygrad_rnn.mistakes import MISTAKES
from tinygrad_rnn.plots import COLOURS

PAGE = Path(__file__).resolve().parents[2] / "examples" / "app.py"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def button(page, label, key=None):
    (found,) = [b for b in page.button if b.label == label and (key is None or b.key == key)]
    return found


def number(page, label, key=None):
    (found,) = [n for n in page.number_input if n.label == label and (key is None or n.key == key)]
    return found


@pytest.fixture
def page():
    test = AppTest.from_file(str(PAGE), default_timeout=60)
    with np.errstate(all="warn"):
        yield test.run()
    assert not test.exception


def trained(page, neurons=5, epochs=4):
    page.number_input[0].set_value(neurons)
    page.number_input[1].set_value(epochs)
    return button(page, "Start Training").click().run()


def test_six_tabs_with_the_defaults_of_the_original(page):
    assert [tab.label for tab in page.tabs] == [
        "Training (Regression)", "Inference (Prediction)", "Autoregression (Time Forecasting)", "Unrolled graph",
        "Gradient check", "Text",
    ]  # fmt: skip
    assert (page.number_input[0].value, page.number_input[1].value) == (50, 500)


def test_the_colours_that_the_page_names_are_those_of_its_lines(page):
    hues = {"red": 0, "orange": 26, "green": 164, "blue": 202}
    named = {}
    for kind in ("data", "model", "unseen"):
        red, green, blue = (int(COLOURS[kind][at : at + 2], 16) / 255 for at in (1, 3, 5))
        named[kind] = min(hues, key=lambda word: abs(hues[word] - 360 * colorsys.rgb_to_hsv(red, green, blue)[0]))
    said = " ".join(text.value for text in page.markdown)
    for words in (
        f"**{named['data']}** line is the data, the dashed **{named['model']}** one the model",
        f"the **{named['model']}** line on shaded ground",
        f"dashed **{named['unseen']}** line is the prediction",
    ):
        assert words in said


def test_training_keeps_the_model_and_the_losses_fall(page):
    trained(page, epochs=30)
    losses = page.session_state["losses"]
    assert len(losses) == 30
    assert losses[-1] < losses[0]
    page.run()
    assert "Trained: 30 of 30 epochs" in page.success[0].value


def test_inference_says_so_if_nothing_is_trained_and_then_predicts(page):
    button(page, "Run Apply_RNN() Forward Pass").click().run()
    assert "Nothing is trained yet" in page.warning[0].value
    trained(page)
    button(page, "Run Apply_RNN() Forward Pass").click().run()
    assert not page.warning
    assert any("which training never saw" in caption.value for caption in page.caption)


def test_divergence_is_told(page):
    page.number_input[2].set_value(1.0)
    trained(page, epochs=60)
    assert "diverged" in page.error[0].value
    assert "model" not in page.session_state


@pytest.mark.parametrize(("loss", "text"), [(0.14501, "0.1450"), (12345.6, "12345.6000"), (1e300, "1.0e+300")])
def test_a_loss_takes_little_room(loss, text):
    assert figure(loss) == text


@pytest.mark.parametrize(("choice", "lags"), [("20: short memory", [20]), ("20 against 50", [20, 50])])
def test_autoregression_forecasts_beyond_the_data(page, choice, lags):
    page.selectbox(key="ar_choice").set_value(choice).run()
    number(page, "Neurons", "ar_neurons").set_value(5)
    number(page, "Epochs", "ar_epochs").set_value(2)
    button(page, "Start Forecast").click().run()
    found = page.session_state["forecasts"]
    assert [lag for lag, _, _ in found] == lags
    assert all(said.shape == y.shape == (400, 1) for _, y, said in found)


def test_the_unrolled_graph_is_drawn(page):
    button(page, "Draw").click().run()
    assert any("It vanishes." in caption.value for caption in page.caption)


@pytest.mark.parametrize("mistake", [None, "gradient transposed", "shared activation"])
def test_the_gradient_check_names_the_mistake(page, mistake):
    (choice,) = [box for box in page.selectbox if box.label == "Mistake in the backward pass"]
    assert choice.options[1:] == list(MISTAKES)
    if mistake:
        choice.set_value(mistake)
    button(page, "Check Gradients").click().run()
    expected = {
        None: "The gradients are right",
        "gradient transposed": "1. transposed",
        "shared activation": "1. activation",
    }
    assert expected[mistake] in page.code[0].value


def test_text_is_learnt_and_written(page):
    page.text_area[0].set_value("The hen and the cat. " * 40)
    number(page, "Units", "text_hidden").set_value(8)
    number(page, "Updates", "text_updates").set_value(3)
    button(page, "Start Reading").click().run()
    assert len(page.session_state["text_losses"]) == 3
    assert page.session_state["text_written"].startswith("The ")


@pytest.mark.parametrize(("text", "said"), [("ab", "vocabulary|token|numbers"), ("xyz" * 100, "token")])
def test_a_text_that_will_not_do_is_told(page, text, said):
    page.text_area[0].set_value(text)
    button(page, "Start Reading").click().run()
    assert any(word in page.error[0].value for word in said.split("|"))


def test_both_engines_give_the_same_curve():
    data = built_in()
    curves = []
    for engine in ENGINES.values():
        model = fresh(6)
        steps = engine(model, SGD_Optimizer(1e-4, 0.9, 0.01), data.x[:40], data.y[:40], 12)
        curves.append([loss for _, loss in steps])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-10)
    assert curves[0][-1] < curves[0][0]


def test_a_copy_is_looked_at_while_the_model_is_trained():
    data, model = built_in(), fresh(6)
    seen = copied(model)
    before = Apply_RNN(data.x, seen)
    for _ in ENGINES["by hand"](model, SGD_Optimizer(1e-4, 0.9, 0.01), data.x[:40], data.y[:40], 3):
        np.testing.assert_array_equal(Apply_RNN(data.x, seen), before)
    assert not np.allclose(Apply_RNN(data.x, model), before)


def table(rows, head="x,y\n"):
    return (head + "\n".join(rows) + "\n").encode()


def test_uploads_are_scaled_and_their_end_is_left_unseen():
    found = uploaded(table(f"{t},{7 + 3 * np.sin(t)}" for t in range(100)), "a.csv")
    assert (len(found.x), len(found.x_unseen)) == (80, 20)
    assert (found.x.min(), found.x_unseen.max()) == (-100, 100)
    every = np.concatenate([found.y, found.y_unseen])
    np.testing.assert_allclose([every.mean(), every.std()], [0, 1], atol=1e-12)
    assert len(uploaded(table(map(str, np.arange(50.0)), ""), "b.csv").x) == 40
    assert len(uploaded(table([*map(str, np.arange(50.0)), "", " "], "\n"), "blank lines at both ends.csv").x) == 40
    assert len(uploaded(table(f"{t},{t}\n" for t in range(50)), "blank lines between pairs.csv").x) == 40


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\1\2" * 30, "byte 0"),
        (b"\xff\xfe\x80" * 30, "byte 0"),
        (table(["1,2"] * 5), "30 to 2,000 rows"),
        (table(["1,2"] * 2001), "30 to 2,000 rows"),
        (table([f"{t},nan" for t in range(40)]), "line 2"),
        (table([f"{t},1" for t in range(40)]), "a constant column"),
        (table([f"{t},{t}" for t in range(40)] + ["7"]), "line 42"),
        (table([*map(str, range(40)), "", "1"], "y\n"), "line 42: expected 1 finite number, got ''"),
        (table([f"{t},{t},{t}" for t in range(40)]), "one column (y) or two"),
        (b"1\n" * 1_000_001, "at most"),
    ],
)
def test_bad_uploads_are_told_with_their_place(data, said):
    with pytest.raises(DataError, match=r"bad\.csv") as error:
        uploaded(data, "bad.csv")
    assert said in str(error.value)


@pytest.mark.parametrize("cell", ["1_000", "\u0661", "0x10", "1e999", "=1+1", "1;2"])
def test_cells_that_only_python_or_a_spreadsheet_would_read_are_no_numbers(cell):
    with pytest.raises(DataError, match=r"a\.csv, line 12: expected 2 finite numbers"):
        uploaded(table([f"{t},{t % 7}" for t in range(10)] + [f"10,{cell}"] + ["11,5"] * 30), "a.csv")


class Upload:
    """What Streamlit hands over."""

    def __init__(self, data, name="a.txt", size=None):
        self.name, self.size, self._data = name, len(data) if size is None else size, data

    def getvalue(self):
        assert self._data is not None, "read although it is too large"
        return self._data


@pytest.mark.parametrize(
    ("pasted", "file", "said"),
    [
        ("", Upload(b"ab\xff"), "a.txt, byte 2: expected utf-8 text"),
        ("", Upload(b"ab\0"), "a.txt, byte 2: expected text, got a NUL"),
        ("", Upload(b"x", size=LARGEST + 1), "a.txt: expected at most 5,000,000 bytes, got 5,000,001"),
        ("x" * (LARGEST + 1), None, "Text: expected at most 5,000,000 characters, got 5,000,001"),
    ],
)
def test_texts_that_will_not_do_are_refused_before_they_cost_anything(pasted, file, said):
    if file is not None and file.size > LARGEST:
        file._data = None
    with pytest.raises(DataError, match=said):
        _text(pasted, file)


def test_what_a_file_says_is_no_markdown():
    hostile = (
        "![x](https://example.org/p.png) <img src=x onerror=alert(1)> $x$ `a` :smile: [l](javascript:alert(1)) ~~a~~"
    )

    def page(text):
        from tinygrad_rnn.dashboard.kit import tell
        from tinygrad_rnn.errors import DataError

        tell(DataError(text))

    shown = AppTest.from_function(page, args=(hostile,)).run().error[0].value
    assert re.sub(r"\\([^\w\s])", "", shown) == re.sub(r"[^\w\s]", "", hostile), "every sign of Markdown is escaped"
    assert re.sub(r"\\([^\w\s])", r"\1", shown) == hostile, "and shown as it is"
