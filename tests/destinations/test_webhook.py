import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from broadcast.destination import Batch, Request, Verdict
from broadcast.egress import Policy
from broadcast.transport import send_once
from destinations.webhook import Webhook
from tests.destinations import own_api
from tests.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BATCH = Batch(id="b", at_us=1_790_000_000_999_999, pieces=(b'{"scopeSpans":[]}',))


def webhook(**config: Any) -> Webhook:
    return Webhook.parse({"url": "https://hooks.example.com/traces", **config})


def signed(batch: Batch = BATCH, **config: Any) -> Request:
    return webhook(signingSecret=SECRET, **config).request(batch)


def signature(request: Request, secret: str = SECRET) -> str:
    """As the specification says: HMAC-SHA256 of id, timestamp and body, with full stops between."""
    text = b"%b.%b.%b" % (
        request.headers["webhook-id"].encode(),
        request.headers["webhook-timestamp"].encode(),
        request.body,
    )
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()


def send(receiver: Receiver, path: str = "/hook?team=a", *, test: bool = False, **config: Any) -> Verdict:
    destination = Webhook.parse({"url": receiver.url(path), **config})
    request = destination.request(Batch(id="b", at_us=1, pieces=(b'{"scopeSpans":[]}',), test=test))
    policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
    return destination.judge(send_once(policy, lambda transport: transport.send(request))).verdict


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_plain_json_goes_to_the_address_in_the_chosen_method(method: str) -> None:
    with Receiver() as receiver:
        assert send(receiver, method=method, headers={"X-Webhook-Secret": "mine"}) is Verdict.DELIVERED
        seen = receiver.requests[0]
    assert (seen.method, seen.path) == (method, "/hook?team=a")
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-webhook-secret"] == "mine"
    assert "content-encoding" not in seen.headers
    assert "x-test-connection" not in seen.headers
    assert seen.raw == b'{"resourceSpans":[{"scopeSpans":[]}]}'


def test_only_the_test_is_marked() -> None:
    with Receiver() as receiver:
        send(receiver, test=True)
        assert receiver.requests[0].headers["x-test-connection"] == "true"


def test_a_400_is_a_refusal_with_a_hint() -> None:
    with Receiver() as receiver:
        assert send(receiver, "/status/400", test=True) is Verdict.REJECTED
    assert "X-Test-Connection" in Webhook.hints[400]


def test_post_and_batches_are_the_default() -> None:
    assert webhook().plain() == {
        "url": "https://hooks.example.com/traces",
        "method": "POST",
        "deliver": "batch",
    }


# -- signatures ----------------------------------------------------------------------------------------


def test_a_signature_is_the_specifications() -> None:
    request = signed()
    assert request.headers["webhook-timestamp"] == "1790000000"
    assert request.headers["webhook-signature"] == signature(request)


def test_the_signature_is_of_what_arrives() -> None:
    with Receiver() as receiver:
        send(receiver, signingSecret=SECRET)
        seen = receiver.requests[0]
    arrived = Request(method="POST", url="", headers=dict(seen.headers), body=seen.raw)
    assert seen.headers["webhook-signature"] == signature(arrived)


def test_while_the_secret_changes_both_sign() -> None:
    request = signed(previousSigningSecret=OLD_SECRET)
    assert request.headers["webhook-signature"].split(" ") == [
        signature(request),
        signature(request, OLD_SECRET),
    ]


def test_without_a_secret_nothing_is_signed_and_the_id_is_there_all_the_same() -> None:
    headers = webhook().request(BATCH).headers
    assert "webhook-signature" not in headers
    assert headers["webhook-id"].startswith("msg_")


def test_the_id_is_the_same_on_every_try_and_the_time_is_that_of_the_try() -> None:
    later = Batch(id=BATCH.id, at_us=BATCH.at_us + 60_000_000, pieces=BATCH.pieces)
    first, again = signed(), signed(later)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]


@pytest.mark.parametrize(
    "other",
    [
        Batch(id="c", at_us=BATCH.at_us, pieces=BATCH.pieces),
        Batch(id=BATCH.id, at_us=BATCH.at_us, pieces=(b'{"scopeSpans":[1]}',)),
    ],
)
def test_other_receipts_and_the_same_ones_told_otherwise_have_another_id(other: Batch) -> None:
    """A receiver drops an id that it knows: what it has not seen must not come under one."""
    assert signed().headers["webhook-id"] != signed(other).headers["webhook-id"]


@pytest.mark.parametrize("setting", ["signingSecret", "previousSigningSecret"])
@pytest.mark.parametrize("secret", ["s3cret", "whsec_", "whsec_short", "whsec_***"])
def test_a_secret_of_another_kind_is_used_as_it_is_and_warned_about(setting: str, secret: str) -> None:
    destination = webhook(**{setting: secret})
    request = destination.request(BATCH)
    text = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    made = base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{made}"
    assert destination.warnings().keys() == {setting}


@pytest.mark.parametrize("length", [24, 25, 26, 32, 64])
def test_a_secret_of_24_to_64_bytes_is_as_it_should_be(length: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    request = webhook(signingSecret=secret).request(BATCH)
    assert request.headers["webhook-signature"] == signature(request, secret)
    assert webhook(signingSecret=secret).warnings() == {}


# -- batches and answers -------------------------------------------------------------------------------


@pytest.mark.parametrize(("deliver", "most"), [("batch", 512), ("single", 1)])
def test_a_request_holds_many_receipts_or_one(deliver: str, most: int) -> None:
    assert webhook(deliver=deliver).max_receipts() == most


def test_a_receipt_arrives_as_otlp_json() -> None:
    request = webhook().request(own_api.batch(webhook()))
    (told,) = json.loads(request.body)["resourceSpans"]
    assert told["scopeSpans"][0]["spans"][0]["traceId"] == own_api.TRACE_ID


@pytest.mark.parametrize(
    ("content_type", "body", "verdict"),
    [
        ("text/html; charset=utf-8", "ok", Verdict.DELIVERED),
        ("text/plain", "", Verdict.DELIVERED),
        ("application/json", "{}", Verdict.DELIVERED),
        ("application/json", '{"partialSuccess":{"rejectedSpans":1}}', Verdict.PARTLY_DELIVERED),
        ("text/html", "<!DOCTYPE html><title>Home</title>", Verdict.REFUSED),
        ("text/html", "\n<html>", Verdict.REFUSED),
    ],
)
def test_a_short_text_is_a_success_whatever_it_is_called_and_a_page_is_none(
    content_type: str, body: str, verdict: Verdict
) -> None:
    assert webhook().judge(own_api.answer(200, body, content_type=content_type)).verdict is verdict
