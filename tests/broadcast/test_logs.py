import json
import logging
from collections.abc import Iterator

import pytest

from broadcast.logs import configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before


@pytest.mark.parametrize("form", ["text", "json"])
def test_one_event_is_one_line_whatever_it_holds(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", form)

    logging.getLogger("x").info("action=attempt reason=%s", "first\nsecond\r\x1b[31m")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]


def test_json_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    logging.getLogger("x").warning("hello")

    assert json.loads(capsys.readouterr().err)["message"] == "hello"


def test_libraries_speak_only_from_warning_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", "text")

    logging.getLogger("apscheduler.scheduler").info("noise")

    assert capsys.readouterr().err == ""
