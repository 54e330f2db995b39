"""Golden files: `pytest tests/viz --overwrite-golden` writes them anew; look at every one that changes."""

from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def pytest_addoption(parser):
    parser.addoption("--overwrite-golden", action="store_true", help="write tests/golden anew instead of comparing")


@pytest.fixture
def golden(request):
    """Compare text with a golden file, byte by byte, or write it."""

    def compare(name, text):
        path = GOLDEN / name
        if request.config.getoption("--overwrite-golden", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode())
        assert path.exists(), f"{path.name} is missing; run pytest tests/viz --overwrite-golden and look at it"
        assert text.encode() == path.read_bytes(), f"{path.name} changed; look at it before you overwrite it"

    return compare
