"""An instance at a URL: what it answers, and what is said when it does not answer as Broadcast does."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from broadcast.errors import (
    BroadcastError,
    ConfigError,
    Conflict,
    Forbidden,
    NotApplied,
    NotFound,
    SettingsError,
    TooManyRequests,
    Unavailable,
)
from broadcast.local import Local
from broadcast.remote import Remote
from tests.receiver import Receiver

USAGE = "/api/v1/usage"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        yield opened


def asked(receiver: Receiver, base: str = "") -> Any:
    """Ask for usage, as the command does."""
    remote = Remote(receiver.url(base), "sk-mgmt-1", "team")
    try:
        return remote.usage({"from": "2026-11-01T00:00:00+01:00"})
    finally:
        remote.close()


def error(message: str = "So it is.", **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": 0, "message": message, "metadata": metadata}}


def test_both_instances_are_asked_in_the_same_words() -> None:
    def methods(kind: type) -> dict[str, inspect.Signature]:
        public = {name: value for name, value in vars(kind).items() if not name.startswith("_")}
        return {name: inspect.signature(value) for name, value in public.items()}

    assert methods(Local) == methods(Remote)


@pytest.mark.parametrize("base", ["", "/", "/api/v1", "/api/v1/"])
def test_a_question_holds_key_workspace_and_escaped_texts(receiver: Receiver, base: str) -> None:
    receiver.answer(USAGE, body={"spend_micro_usd": 1})

    assert asked(receiver, base) == {"spend_micro_usd": 1}

    (seen,) = receiver.requests
    assert seen.path == f"{USAGE}?from=2026-11-01T00%3A00%3A00%2B01%3A00&workspace_id=team"
    assert seen.headers["authorization"] == "Bearer sk-mgmt-1"


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (401, error(), Forbidden, "does not know this key. Give a key with the scope usage:read"),
        (403, error(), Forbidden, "So it is. This needs a key with the scope usage:read"),
        (404, error(), NotFound, "So it is."),
        (409, error(), Conflict, "So it is."),
        (422, error(reason="invalid", fields={"to": "Later."}), SettingsError, "to: Later."),
        (422, error(reason="invalid", field="to"), SettingsError, "to: So it is."),
        (
            422,
            error(reason="not_applied", problems=[], saved=["A"]),
            NotApplied,
            "Only a part was changed: A.",
        ),
        (422, error(reason="nothing_to_replay"), BroadcastError, "So it is."),
        (429, error(), TooManyRequests, "Try again in 7 s."),
        (503, error(), Unavailable, "Try again in 7 s."),
        (500, error(""), BroadcastError, "answered with status 500"),
    ],
)
def test_an_error_of_the_api_is_the_one_of_the_local_database(
    receiver: Receiver, status: int, body: dict[str, Any], kind: type[BroadcastError], told: str
) -> None:
    receiver.answer(USAGE, status=status, body=body, headers={"retry-after": "7"})

    with pytest.raises(kind, match=told.replace(".", r"\.")) as caught:
        asked(receiver)

    assert type(caught.value) is kind
    assert "sk-mgmt-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, "<html>", "does not answer as Broadcast does"),
        (200, "[]", "does not answer as Broadcast does"),
        (404, "<html>", "does not answer as Broadcast does"),
        (502, '{"error": "bad gateway"}', "does not answer as Broadcast does"),
        (308, "", "It leads to https://elsewhere.example/x."),
    ],
)
def test_what_is_no_broadcast_is_said(receiver: Receiver, status: int, body: str, told: str) -> None:
    receiver.answer(USAGE, status=status, body=body, headers={"location": "https://elsewhere.example/x"})

    with pytest.raises(Unavailable) as caught:
        asked(receiver)

    assert told in str(caught.value)


@pytest.mark.parametrize("path", ["/reset", "/drop", "/garbage", "/odd-status"])
def test_a_connection_that_breaks_is_said_with_the_address(receiver: Receiver, path: str) -> None:
    with pytest.raises(Unavailable) as caught:
        asked(receiver, path)

    assert receiver.url("") in str(caught.value)


@pytest.mark.parametrize(
    "url", ["broadcast.example.com", "ftp://x", "http://", "http://x:y", "http://a:b@x", "http://x?y", "x y"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="--url: Enter an address"):
        Remote(url, "sk-1")


@pytest.mark.parametrize(
    ("key", "told"), [("", "wants a key"), ("sk 1", "Copy it again"), ("ключ", "Copy it")]
)
def test_a_key_that_is_none_is_refused_before_it_is_sent(key: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Remote("http://127.0.0.1:1", key)


def test_every_page_of_destinations_is_read(receiver: Receiver) -> None:
    path = "/api/v1/observability/destinations"
    pages = [
        [{"id": str(number)} for number in range(first, min(first + 100, 250))] for first in (0, 100, 200)
    ]
    for page in pages:
        receiver.answer(path, body={"data": page, "total_count": 250}, times=1)

    found = Remote(receiver.url(""), "sk-mgmt-1").destinations()

    assert [item["id"] for item in found["data"]] == [str(number) for number in range(250)]
    assert [seen.path.partition("?")[2] for seen in receiver.requests] == [
        f"offset={first}&limit=100" for first in (0, 100, 200)
    ]
