"""Requests that are not served: the client learns why, and a receipt is kept of what could be read."""

import json
from typing import Any

import msgspec
import pytest

from broadcast import receipt_parser
from broadcast.gateway import Api, Gateway, Refusal
from broadcast.gateway.apis import APIS
from broadcast.receipt import Error
from broadcast.trace_context import trace_id_of
from tests.broadcast.gateway.conftest import AKey, Ask, now_us, read, receipt_of

OURS: dict[str, Any] = {"trace": {"trace_id": "run 7", "team": "ops"}, "session_id": "s-1", "user": "u-1"}
ASKED: dict[Api, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"input": "Hi"},
    "embeddings": {"input": "Hi"},
}
DEEP = json.loads('{"a":' * 65 + "1" + "}" * 65)


@pytest.mark.parametrize("api", APIS)
def test_an_unknown_model_is_kept_with_everything_that_was_asked(ask: Ask, api: Api) -> None:
    answer = ask(api, {"model": "acme/none", **ASKED[api], **OURS})
    error = json.loads(read(answer))["error"]
    receipt = receipt_of(answer)
    assert (answer.status, error["code"], error["metadata"]["reason"]) == (404, 404, "model_not_found")
    assert (receipt.api_type, receipt.model, receipt.status) == (api, "acme/none", "error")
    assert receipt.error == Error(type="model_not_found", message=error["message"], code=404)
    assert (receipt.user, receipt.session_id, receipt.trace) == ("u-1", "s-1", OURS["trace"])
    assert receipt.input is not None
    assert answer.headers["X-Trace-Id"] == trace_id_of(receipt)
    assert error["metadata"]["generation_id"] == receipt.id


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"null", 400, None),
        (b"\xff\x00", 400, None),
        (b'{"a":' * 100_000, 400, None),
        (b"{}", 422, "model"),
        (b'{"model": 7}', 422, "model"),
        (b'{"model": ""}', 422, "model"),
    ],
)
def test_a_body_that_names_no_model_is_kept_as_unknown(
    ask: Ask, api: Api, body: bytes, status: int, field: str | None
) -> None:
    answer = ask(api, body, {"X-Session-Id": "s-1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    error = json.loads(read(answer))["error"]
    receipt = receipt_of(answer)
    assert (answer.status, error["code"], error["metadata"].get("field")) == (status, status, field)
    assert (receipt.model, receipt.status, receipt.api_type) == ("unknown", "error", api)
    assert receipt.error == Error(type="invalid_request", message=error["message"], code=status)
    assert receipt.session_id == "s-1"
    assert answer.headers["X-Trace-Id"] == "a" * 32 == trace_id_of(receipt)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"trace": "x"}, "trace"),
        ({"trace": []}, "trace"),
        ({"trace": 7}, "trace"),
        ({"trace": DEEP}, "trace"),
        ({"trace": {"a": "x" * 70_000}}, "trace"),
        ({"session_id": 7}, "session_id"),
        ({"session_id": "x" * 257}, "session_id"),
        ({"user": {"id": "u"}}, "user"),
        ({"user": "x" * 257}, "user"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_wrong_field_is_named_and_the_others_are_kept(ask: Ask, wrong: dict[str, Any], field: str) -> None:
    answer = ask("chat", {"model": "acme/one", **ASKED["chat"], **OURS, **wrong})
    error = json.loads(read(answer))["error"]
    receipt = receipt_of(answer)
    assert (answer.status, error["metadata"]["field"]) == (422, field)
    assert receipt.status == "error"
    kept = {name: value for name, value in OURS.items() if name != field}
    assert {name: getattr(receipt, name) for name in kept} == kept
    assert answer.headers["X-Trace-Id"] == trace_id_of(receipt)


@pytest.mark.parametrize("extra", [{"big": "x" * 70_000}, {"deep": DEEP}])
def test_a_trace_that_is_too_much_still_says_where_it_belongs(ask: Ask, extra: dict[str, Any]) -> None:
    trace = {**extra, "trace_id": "ab" * 16, "trace_name": "Nightly", "parent_span_id": 7}
    answer = ask("chat", {"model": "acme/one", **ASKED["chat"], "trace": trace})
    assert answer.headers["X-Trace-Id"] == "ab" * 16
    assert receipt_of(answer).trace == {
        "trace_id": "ab" * 16,
        "trace_name": "Nightly",
        "parent_span_id": 7,
    }


def test_a_trace_nested_beyond_reading_is_refused(ask: Ask) -> None:
    body = (
        b'{"model":"acme/one","messages":[{"role":"user","content":"Hi"}],"trace":'
        + b'{"a":' * 100_000
        + b"1"
        + b"}" * 100_001
    )
    answer = ask("chat", body)
    assert (answer.status, b"nested too deeply" in read(answer)) == (400, True)
    assert receipt_of(answer).status == "error"


@pytest.mark.parametrize(
    "trace",
    [
        {"trace_id": 12345678901234567890123},
        {"trace_id": -1.5},
        {"trace_id": ["a"]},
        {"trace_id": {"a": 1}},
        {"trace_id": True},
        {"trace_id": None},
        {"trace_id": ""},
        {"trace_id": "0" * 32},
        {"trace_id": "AB" * 16},
        {"trace_id": "naïve 🌍\u0000\ud800"},
        {"trace_id": "x" * 10_000},
        {"trace_id": "a", "parent_span_id": "F" * 16},
        {"gen_ai.usage.cost": 0, "openrouter.trace.id": "mine", "trace.metadata.a": 1, "user.id": "x"},
        {"": "empty", "a.b": {"c": [1, "2", None]}, "n": 1e300},
    ],
)
def test_ids_and_keys_of_every_odd_kind_are_faithfully_kept(ask: Ask, trace: dict[str, Any]) -> None:
    answer = ask("chat", {"model": "demo/echo", **ASKED["chat"], "trace": trace})
    receipt = receipt_of(answer)
    assert (answer.status, receipt.status) == (200, "succeeded")
    assert receipt.trace is not None
    assert receipt.trace.keys() == trace.keys()
    assert answer.headers["X-Trace-Id"] == trace_id_of(receipt)
    assert len(answer.headers["X-Trace-Id"]) == 32


def test_a_denied_request_keeps_who_and_where_but_not_what(gateway: Gateway) -> None:
    refusal = Refusal(status=403, reason="missing_scope", message="Not this key.", ends="denied")
    body = json.dumps({"model": "acme/one", **ASKED["chat"], **OURS}).encode()
    answer = gateway.refuse("chat", body, refusal, key=AKey(), headers={}, now_us=now_us())
    receipt = receipt_of(answer)
    assert (answer.status, receipt.status, receipt.model) == (403, "denied", "acme/one")
    assert receipt.error == Error(type="missing_scope", message="Not this key.", code=403)
    assert (receipt.user, receipt.session_id, receipt.trace) == ("u-1", "s-1", OURS["trace"])
    assert (receipt.input, receipt.parameters) == (None, None)
    assert answer.headers["X-Trace-Id"] == trace_id_of(receipt)


def test_a_fault_of_ours_is_told_and_kept(
    gateway: Gateway, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody expects this")

    monkeypatch.setattr(gateway, "_serve", broken)
    answer = ask("chat", {"model": "demo/echo", **ASKED["chat"], **OURS})
    receipt = receipt_of(answer)
    assert (answer.status, receipt.status, receipt.trace) == (500, "error", OURS["trace"])
    assert b"nobody" not in read(answer)
    assert receipt.error is not None
    assert receipt.error.type == "internal"


def test_content_nested_too_deeply_to_keep_is_served_and_said(ask: Ask) -> None:
    content = [{"type": "text", "text": "Hi"}, DEEP]
    answer = ask("chat", {"model": "demo/echo", "messages": [{"role": "user", "content": content}]})
    assert answer.status == 200
    assert receipt_of(answer).input == "[content nested deeper than 64 levels left out]"


def test_whatever_is_asked_and_answered_the_receipt_is_no_larger_than_a_posted_one(ask: Ask) -> None:
    asked = {"messages": [{"role": "user", "content": "word " * 15_000}] * 30, "stop": ["x" * 2_000_000]}
    answer = ask("chat", {"model": "demo/echo", **asked, "metadata": {"a": "b"}})
    receipt = receipt_of(answer)
    assert answer.status == 200
    assert len(msgspec.json.encode(receipt)) <= receipt_parser.MAX_ITEM_BYTES
    assert receipt.metadata == {"content_cut": True}
    assert receipt.input[0]["content"].startswith("word word")


def test_a_prompt_with_binary_in_it_is_served_and_kept(ask: Ask) -> None:
    content = "".join(map(chr, range(0x20))) + "\x7f\x80\ufffe\U0010ffff"
    answer = ask("chat", {"model": "demo/echo", "messages": [{"role": "user", "content": content}]})
    assert answer.status == 200
    assert receipt_of(answer).input == [{"role": "user", "content": content.replace("\x00", "\ufffd")}]
