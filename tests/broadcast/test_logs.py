"""One event is one line; a machine gets it field by field; no words that may repeat what somebody sent."""

import ast
import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.errors import Unavailable
from broadcast.logs import RESERVED, configure

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (only,) = capsys.readouterr().err.splitlines()
    found: dict[str, Any] = json.loads(only)
    return found


@pytest.mark.parametrize("form", ["text", "json"])
def test_one_event_is_one_line_whatever_it_holds(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", form)

    logging.getLogger("x").info("action=attempt reason=%s", "first\nsecond\r\x1b[31m")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]


def test_a_machine_gets_each_value_by_its_name_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    logging.getLogger("broadcast.x").info(
        "action=attempt from=%s ms=%.0f kept=%s status=%s reason=%s", 7, 12.6, True, None, "no: a=b c"
    )

    found = line(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "info",
        "action": "attempt",
        "from": 7,
        "ms": 13.0,
        "kept": True,
        "status": None,
        "reason": "no: a=b c",
        "logger": "broadcast.x",
    }


def test_an_action_may_be_put_together(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    logging.getLogger("x").warning("action=%s_waits reason=%s", "renew", Unavailable("The database is busy."))

    found = line(capsys)
    assert (found["action"], found["reason"]) == ("renew_waits", "The database is busy.")


def test_what_a_library_says_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    logging.getLogger("x").warning("hello %s, a=%s", "you", 1)

    found = line(capsys)
    assert (found["action"], found["message"]) == ("library", "hello you, a=1")


def test_libraries_speak_only_from_warning_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", "text")

    logging.getLogger("apscheduler.scheduler").info("noise")

    assert capsys.readouterr().err == ""


def test_a_person_reads_when_how_grave_who_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")

    logging.getLogger("broadcast.x").info("action=attempt ms=%.0f reason=%s", 12.6, "200 OK")

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO    broadcast\.x action=attempt ms=13 reason=200 OK\n",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_names_its_request(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", form, lambda: "0123456789abcdef")

    logging.getLogger("x").info("action=something")

    assert "0123456789abcdef" in capsys.readouterr().err


def choked(error: Exception) -> None:
    try:
        int("CANARY inside")
    except ValueError:
        raise error from KeyError("CANARY cause")


def failed(error: Exception) -> None:
    try:
        choked(error)
    except Exception:
        logging.getLogger("x").exception("action=page_failed")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("error", [ValueError("CANARY"), RuntimeError("CANARY"), sqlite3.DataError("CANARY")])
def test_the_words_of_foreign_exceptions_are_left_out(
    form: str, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info", form)

    failed(error)

    told = capsys.readouterr().err
    assert "CANARY" not in told
    assert type(error).__name__ in told
    assert "in choked" in told


def test_our_own_words_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    failed(Unavailable("The database is busy."))

    found = line(capsys)
    assert found["trace"].endswith("Unavailable: The database is busy.")


def test_what_the_system_calls_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")

    failed(FileNotFoundError(2, "No such file or directory", "/CANARY"))

    assert line(capsys)["trace"].endswith("FileNotFoundError: No such file or directory")


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a logger in the program."""
    for folder in ("broadcast", "destinations", "web"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = node.func if isinstance(node, ast.Call) else None
                if not isinstance(called, ast.Attribute) or called.attr not in LEVELS:
                    continue
                if isinstance(called.value, ast.Name) and called.value.id == "_log":
                    assert isinstance(node, ast.Call)
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_every_line_of_ours_is_made_of_fields() -> None:
    found = list(calls())
    assert len(found) > 20
    for place, call in found:
        template = call.args[0]
        assert isinstance(template, ast.Constant), f"{place}: the template is a constant"
        tokens = str(template.value).split(" ")
        names = [token.partition("=")[0] for token in tokens]
        assert names[0] == "action", place
        assert all(re.fullmatch(r"[a-z_]+=\S+", token) for token in tokens), place
        assert len(set(names)) == len(names), f"{place}: a name twice"
        assert not set(names) & set(RESERVED), place
