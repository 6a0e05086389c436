"""Exactly what would be sent: the bytes of a preview are those that arrive."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.receiver import Receiver
from tests.web.api.conftest import Api
from tests.web.api.destinations import BASE, created, delivered

SECRET = "s3cr3t-value"
NOTHING = "Nothing is withheld. Images and files are sent as a short description."


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def on(http: Api) -> None:
    http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": True})


def sent(http: Api, **fields: Any) -> None:
    receipt = {
        "id": "gen-1",
        "created_at": datetime.now(UTC).isoformat(),
        "duration_ms": 12.5,
        "model": "m/x",
        "status": "succeeded",
        "input": [{"role": "user", "content": "the prompt"}],
        **fields,
    }
    answer = http.call("POST", "/api/v1/receipts", key=http.api_key, body=receipt)
    assert answer.json["accepted"] == 1, answer.text


def previewed(http: Api, uid: str, query: str = "receipt_id=gen-1") -> Any:
    return http.call("GET", f"{BASE}/{uid}/preview?{query}", key=http.management_key)


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_what_is_shown_is_what_arrives(http: Api, receiver: Receiver, encoding: str) -> None:
    config = {
        "endpoint": receiver.url("/ok"),
        "encoding": encoding,
        "headers": {"Authorization": f"Bearer {SECRET}", "X-Team": "search"},
    }
    uid = created(http, receiver, config=config)["id"]
    sent(http)
    receiver.clear()

    answer = previewed(http, uid)
    delivered(http)

    shown, [arrived] = answer.json["data"]["request"], receiver.requests
    body = shown["body"].encode() if encoding == "json" else bytes.fromhex(shown["body_hex"])
    assert body == arrived.body
    assert (shown["bytes"], shown["compression"]) == (len(body), "gzip")
    assert (shown["method"], shown["url"]) == ("POST", receiver.url(arrived.path))
    assert {name: arrived.headers[name] for name in shown["headers"]} == {
        **shown["headers"], "authorization": f"Bearer {SECRET}", "x-team": "search",
    }  # fmt: skip
    assert SECRET not in answer.text
    assert b"the prompt" in arrived.body


def test_privacy_holds_for_a_preview(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver, privacy_mode=True)["id"]
    created(http, receiver, name="Keeps content")
    sent(http)

    assert "the prompt" not in previewed(http, uid).text


@pytest.mark.parametrize(
    ("settings", "fate"),
    [
        ({"regions": ["us"]}, "filtered"),
        ({"api_key_hashes": ["0" * 64]}, "filtered"),
        ({"sampling_rate": 0.0001}, "sampled_out"),
    ],
)
def test_what_would_not_be_sent_says_why(
    http: Api, receiver: Receiver, settings: dict[str, Any], fate: str
) -> None:
    uid = created(http, receiver, **settings)["id"]
    sent(http, session_id="one that is not in the sample")

    found = previewed(http, uid).json["data"]

    assert (found["would_send"], found["fate"], found["request"]) == (False, fate, None)
    assert found["reason"].endswith(".")


def test_a_preview_is_of_a_receipt_that_is_kept_here(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver)["id"]

    for query in ("receipt_id=unknown", "receipt_id=", ""):
        answer = previewed(http, uid, query)
        assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, "receipt_id")
    assert previewed(http, "00000000-0000-4000-8000-000000000000").status_code == 404
    assert http.call("GET", f"{BASE}/{uid}/preview?receipt_id=x", key=http.api_key).status_code == 403


@pytest.mark.parametrize(
    ("level", "said", "shown"),
    [
        ("metadata", ["Messages, completions and tool calls are withheld."], None),
        (
            "hashed",
            ["Messages, tool calls, user, session and trace values are keyed hashes of this workspace."],
            "hash-",
        ),
        ("redacted", ["Replaced: 1 e-mail address."], "ask [email]"),
        (
            "full",
            ["Nothing is withheld. Images and files are sent as a short description."],
            "ask a@b.example",
        ),
    ],
)
def test_each_level_says_what_it_withholds_and_holds_when_it_is_sent(
    http: Api, receiver: Receiver, level: str, said: list[str], shown: str | None
) -> None:
    uid = created(http, receiver, privacy_level=level)["id"]
    created(http, receiver, name="Keeps content")
    sent(http, input="ask a@b.example")
    receiver.clear()

    found = previewed(http, uid).json["data"]
    delivered(http)

    assert found["withheld"] == said
    assert found["request"]["body"].encode() in [request.body for request in receiver.requests]
    assert ("gen_ai.input.messages" in found["request"]["body"]) is (shown is not None)
    assert shown is None or shown in found["request"]["body"]
    assert ("a@b.example" in found["request"]["body"]) is (level == "full")
