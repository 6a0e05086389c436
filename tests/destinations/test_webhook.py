from typing import Any

import pytest

from broadcast.destination import Batch, Verdict
from broadcast.egress import Policy
from broadcast.transport import send_once
from destinations.webhook import Webhook
from tests.receiver import Receiver


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


def test_post_is_the_default() -> None:
    assert Webhook.parse({"url": "https://a.example/x"}).plain() == {
        "url": "https://a.example/x",
        "method": "POST",
    }
