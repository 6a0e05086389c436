"""The keys of a role: fetched once, used until shortly before their end, and never without the operator."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from broadcast.destination import Identity, Request, Response
from broadcast.egress import Policy
from broadcast.errors import SendFailed
from broadcast.fields import Secret
from broadcast.lending import EARLY_US, Lender
from broadcast.transport import Transport
from destinations.s3 import S3
from tests.destinations import own_api
from tests.receiver import Receiver

ENDS_US = 1_790_003_600_000_000
"""When the role's keys end."""

KEYS = """<AssumeRoleResponse><AssumeRoleResult><Credentials>
  <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role/secret</SecretAccessKey>
  <SessionToken>role-token</SessionToken><Expiration>2026-09-21T15:13:20Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        made.answer("/sts", status=200, body=KEYS)
        yield made


def put(receiver: Receiver, *, at_us: int = ENDS_US - 3_600_000_000, **config: Any) -> Request:
    """Return a request to put an object, by a role."""
    role = {"authMode": "iam_role", "roleArn": "arn:aws:iam::123456789012:role/writer", "externalId": "ws-1"}
    place = {"bucketName": "traces", "endpoint": receiver.url("/ok"), "region": "eu-central-1"}
    destination = S3.parse({**role, **place, **config})
    return destination.request(own_api.batch(destination, at_us=at_us))


def sent(
    receiver: Receiver, *requests: Request, known: bool = True, at_once: bool = False, sts: str = "/sts"
) -> list[Response]:
    """Send requests through one lender over the real transport."""
    identity = Identity(key_id="AKIAOPERATOR", secret=Secret("operator/secret"), sts_url=receiver.url(sts))

    async def talk() -> list[Response]:
        async with Transport(Policy.parse([f"127.0.0.1:{receiver.port}"])) as transport:
            lender = Lender(transport, identity if known else None)
            if at_once:
                return list(await asyncio.gather(*map(lender.send, requests)))
            return [await lender.send(request) for request in requests]

    return asyncio.run(talk())


def paths(receiver: Receiver) -> list[str]:
    return [seen.path.split("/")[1] for seen in receiver.requests]


def test_a_role_is_taken_on_by_the_operator_and_signs_what_it_sends(receiver: Receiver) -> None:
    [answer] = sent(receiver, put(receiver))
    question, seen = receiver.requests
    assert answer.status == 200
    assert question.method == "POST"
    assert {name: values[0] for name, values in parse_qs(question.raw.decode()).items()} == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::123456789012:role/writer",
        "RoleSessionName": "broadcast",
        "ExternalId": "ws-1",
        "DurationSeconds": "3600",
    }
    assert "Credential=AKIAOPERATOR/20260921/eu-central-1/sts/" in question.headers["authorization"]
    assert "Credential=ASIAROLE/20260921/eu-central-1/s3/" in seen.headers["authorization"]
    assert seen.headers["x-amz-security-token"] == "role-token"


@pytest.mark.parametrize("at_once", [True, False])
def test_one_question_is_enough_for_many(receiver: Receiver, at_once: bool) -> None:
    sent(receiver, *[put(receiver) for _ in range(5)], at_once=at_once)
    assert paths(receiver) == ["sts", *["ok"] * 5]


def test_another_role_or_workspace_is_another_question(receiver: Receiver) -> None:
    other = "arn:aws:iam::123456789012:role/other"
    sent(receiver, put(receiver), put(receiver, roleArn=other), put(receiver, externalId="ws-2"))
    assert paths(receiver) == ["sts", "ok"] * 3


def test_keys_are_no_longer_used_shortly_before_their_end(receiver: Receiver) -> None:
    last, late = put(receiver, at_us=ENDS_US - EARLY_US - 1), put(receiver, at_us=ENDS_US - EARLY_US)
    sent(receiver, last, last, late)
    assert paths(receiver) == ["sts", "ok", "ok", "sts", "ok"]


def test_what_refuses_the_role_is_the_answer(receiver: Receiver) -> None:
    [answer] = sent(receiver, put(receiver), sts="/status/403")
    assert (answer.status, answer.reason) == (403, "Forbidden, when asked for the role's keys")
    assert paths(receiver) == ["status"]


def test_keys_that_open_nothing_are_asked_for_again(receiver: Receiver) -> None:
    closed = put(receiver, endpoint=receiver.url("/status/403"))
    sent(receiver, closed, closed)
    assert paths(receiver) == ["sts", "status", "sts", "status"]


@pytest.mark.parametrize("body", ["", "<html>", KEYS.replace("2026-", "soon"), KEYS.replace("Token>", "T>")])
def test_an_answer_without_keys_sends_nothing(receiver: Receiver, body: str) -> None:
    receiver.answer("/odd", status=200, body=body)
    with pytest.raises(SendFailed) as caught:
        sent(receiver, put(receiver), sts="/odd")
    assert caught.value.reason == "bad_answer"
    assert "role" in str(caught.value)
    assert paths(receiver) == ["odd"]


def test_without_an_identity_nobody_is_asked(receiver: Receiver) -> None:
    with pytest.raises(SendFailed) as caught:
        sent(receiver, put(receiver), known=False)
    assert (caught.value.stage, caught.value.reason) == ("credential", "no_identity")
    assert receiver.requests == []


def test_what_needs_no_loan_goes_as_it_is(receiver: Receiver) -> None:
    keys: dict[str, Any] = {"authMode": "access_keys", "accessKeyId": "AKIAOWN", "secretAccessKey": "own"}
    sent(receiver, put(receiver, **keys), known=False)
    assert paths(receiver) == ["ok"]


def test_no_secret_prints() -> None:
    identity = Identity(key_id="AKIAOPERATOR", secret=Secret("operator/secret"))
    assert "operator/secret" not in repr(identity)
