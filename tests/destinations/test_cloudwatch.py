import re
from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.cloudwatch import CloudWatch
from tests.destinations import wire

CONFIG = {"region": "eu-central-1", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "secret"}


def cloudwatch(**config: Any) -> CloudWatch:
    return CloudWatch.parse({**CONFIG, **config})


def test_the_region_gets_plain_protobuf_signed_for_x_ray() -> None:
    found = wire.send(cloudwatch())
    assert found.url == "https://xray.eu-central-1.amazonaws.com/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert "content-encoding" not in found.seen.headers
    assert found.seen.headers["x-amz-date"] == "20260921T141320Z"
    assert re.fullmatch(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260921/eu-central-1/xray/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=[0-9a-f]{64}",
        found.seen.headers["authorization"],
    )
    assert found.outcome.delivered


def test_the_signature_is_of_the_body_that_arrives() -> None:
    found = wire.send(cloudwatch())
    assert found.seen.raw == found.seen.body
    assert found.seen.headers["x-amz-content-sha256"] == wire.sha256(found.seen.raw)


def test_temporary_credentials_sign_their_token_too() -> None:
    found = wire.send(cloudwatch(accessKeyId="ASIAIOSFODNN7EXAMPLE", sessionToken="token"))
    assert found.seen.headers["x-amz-security-token"] == "token"
    assert "x-amz-security-token" in found.seen.headers["authorization"]


@pytest.mark.parametrize(("key", "token"), [("ASIAIOSFODNN7EXAMPLE", ""), ("AKIAIOSFODNN7EXAMPLE", "token")])
def test_key_and_token_that_do_not_fit_are_warned_about(key: str, token: str) -> None:
    assert cloudwatch(accessKeyId=key, sessionToken=token).warnings().keys() == {"sessionToken"}
    assert cloudwatch().warnings() == {}


def test_china_has_a_domain_of_its_own() -> None:
    assert cloudwatch(region="cn-north-1").endpoint() == "https://xray.cn-north-1.amazonaws.com.cn/v1/traces"


def test_spans_older_than_two_weeks_are_not_sent() -> None:
    assert CloudWatch.max_age_s == 1_209_600


def test_a_missing_right_is_a_refusal() -> None:
    found = wire.send(cloudwatch(), status=403, body={"message": "not authorized"})
    assert found.outcome.verdict is Verdict.REFUSED


def test_a_trace_has_a_page_by_x_rays_id() -> None:
    link = cloudwatch().trace_url(wire.TRACE, 0)
    assert link.endswith("#xray:traces/1-4bf92f35-77b34da6a3ce929d0e0e4736")
