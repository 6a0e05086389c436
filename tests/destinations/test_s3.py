import gzip
import hashlib
import json
from typing import Any

import pytest

from broadcast import draft
from broadcast.destination import Lent, Request, Verdict
from broadcast.egress import Policy
from broadcast.errors import SettingsError
from broadcast.fields import Secret
from broadcast.transport import send_once
from destinations import _sigv4
from destinations.s3 import S3
from tests.destinations import own_api
from tests.receiver import Receiver

CONFIG = {"bucketName": "my-traces", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "s3cret"}
DAY = "openrouter-traces/2026-09-21/"
NO_REGION = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"


def s3(**config: Any) -> S3:
    return S3.parse({**CONFIG, **config})


def put(*told: Any, at_us: int = own_api.AT_US, **config: Any) -> Request:
    destination = s3(**config)
    return destination.request(own_api.batch(destination, *told, at_us=at_us))


def path(*told: Any, **config: Any) -> str:
    return put(*told, **config).url.removeprefix("https://my-traces.s3.us-east-1.amazonaws.com/")


# -- the signature ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "body", "signature"),
    [
        (
            "GET",
            "?lifecycle",
            b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "?max-keys=2&prefix=J",
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_a_signature_is_that_of_amazons_own_examples(
    method: str, target: str, body: bytes, signature: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, its examples."""
    found = _sigv4.signed(
        method,
        f"https://examplebucket.s3.amazonaws.com/{target}",
        body,
        key_id="AKIAIOSFODNN7EXAMPLE",
        secret=Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        session_token=None,
        region="us-east-1",
        service="s3",
        at_us=1_369_353_600_000_000,
    )
    assert found["x-amz-date"] == "20130524T000000Z"
    assert found["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )


def test_temporary_credentials_are_signed_with_their_token() -> None:
    headers = put(sessionToken="temporary").headers
    assert headers["x-amz-security-token"] == "temporary"
    assert (
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token," in headers["authorization"]
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://store.example:443", "https://store.example"),
        ("http://store.example:80", "http://store.example"),
        ("https://Store.Example", "https://store.example"),
    ],
)
def test_a_signature_is_of_the_host_as_it_is_sent(given: str, sent: str) -> None:
    """No client writes a port that goes without saying into the header, or a capital letter."""
    assert put(endpoint=given).headers == put(endpoint=sent).headers


def test_another_port_is_signed_as_well() -> None:
    assert put(endpoint="https://store.example:80").headers != put(endpoint="https://store.example").headers


# -- the object ------------------------------------------------------------------------------------------


def test_an_object_is_put_signed_and_arrives_as_it_was_signed() -> None:
    with Receiver() as receiver:
        receiver.answer("/ok", status=200, body=b"", headers={"etag": '"e"'})
        destination = s3(endpoint=receiver.url(""), prefix="ok")
        request = destination.request(own_api.batch(destination))
        policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
        response = send_once(policy, lambda transport: transport.send(request))
        seen = receiver.requests[0]
    assert destination.judge(response).verdict is Verdict.DELIVERED
    assert (seen.method, seen.headers["content-type"]) == ("PUT", "application/x-ndjson")
    assert "content-encoding" not in seen.headers
    assert seen.path.startswith("/my-traces/ok/2026-09-21/")
    assert seen.headers["x-amz-content-sha256"] == hashlib.sha256(seen.raw).hexdigest()
    assert seen.headers["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260921/"
    )


def test_an_object_holds_a_line_a_receipt_in_openrouters_shape() -> None:
    lines = [
        json.loads(line)
        for line in put(own_api.receipt(), own_api.failed_receipt(id="gen-2")).body.splitlines()
    ]
    trace, failed = lines
    generation, root, *below = trace.pop("observations")
    assert trace == {
        "id": own_api.TRACE_ID,
        "name": "Search",
        "timestamp": "2026-09-21T14:13:20.000000Z",
        "userId": "user-7",
        "sessionId": "session-42",
        "apiKeyName": "backend",
        "metadata": generation["metadata"],
        "resource": {
            "service.name": "openrouter",
            "service.version": "1.0.0",
            "openrouter.trace.id": "gen-1790000000-AbCdEfGhIjKlMnOpQrSt",
        },
    }
    assert generation.pop("attributes")["gen_ai.request.model"] == "openai/gpt-4o-mini"
    assert generation == {
        "id": generation["id"],
        "parentObservationId": root["id"],
        "type": "GENERATION",
        "name": "chat openai/gpt-4o-mini",
        "startTime": "2026-09-21T14:13:20.000000Z",
        "endTime": "2026-09-21T14:13:21.234567Z",
        "level": "DEFAULT",
        "model": "openai/gpt-4o-mini-2024-07-18",
        "providerName": "OpenAI",
        "finishReason": "stop",
        "promptTokens": 1200,
        "completionTokens": 345,
        "totalTokens": 1545,
        "promptTokensDetails": {"cachedTokens": 1000},
        "completionTokensDetails": {"reasoningTokens": 64},
        "inputCost": 0.00018,
        "outputCost": 0.000207,
        "totalCost": 0.000387,
        "modelParameters": {"temperature": 0.7, "max_tokens": 1024},
        "input": {"messages": [{"role": "user", "content": "What is a span?"}]},
        "output": {"completion": "A piece of a trace.", "reasoning": None},
        "metadata": {
            "trace_name": "Search",
            "generation_name": "chat openai/gpt-4o-mini",
            "feature": "search",
            "tags": ["a", "b"],
        },
    }
    assert [one["name"] for one in below] == [
        "route",
        "provider attempt 1: Azure",
        "provider attempt 2: OpenAI",
    ]
    assert failed["observations"][0]["level"] == "ERROR"
    assert failed["observations"][0]["statusMessage"] == "The provider went away."


def test_the_same_receipts_are_the_same_object_whenever_they_are_sent() -> None:
    first, again, other = put(at_us=1), put(at_us=2), put(own_api.receipt(id="gen-2"))
    assert (first.url, first.body) == (again.url, again.body)
    assert first.url != other.url
    assert first.headers["x-amz-date"] != put(at_us=86_400_000_000).headers["x-amz-date"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, DAY),
        ({"prefix": "llm"}, "llm/2026-09-21/"),
        ({"pathTemplate": "traces/{year}/{month}/{day}"}, "traces/2026/09/21/"),
        ({"pathTemplate": "{apiKeyName}/{date}"}, "backend/2026-09-21/"),
        ({"pathTemplate": "/a//b/../{date}/"}, "a/b/2026-09-21/"),
        ({"pathTemplate": "dt={date}"}, "dt%3D2026-09-21/"),
        ({"prefix": "mit Leerzeichen"}, "mit%20Leerzeichen/2026-09-21/"),
    ],
)
def test_the_path_follows_the_template(config: dict[str, str], expected: str) -> None:
    assert path(**config).rpartition("/")[0] + "/" == expected


@pytest.mark.parametrize("config", [{"objects": "receipt"}, {"pathTemplate": "{apiKeyName}"}])
def test_a_receipt_of_its_own_is_named_by_its_trace_and_time(config: dict[str, str]) -> None:
    assert s3(**config).max_receipts() == 1
    name = path(**config).rpartition("/")[2]
    assert name.startswith(f"{own_api.TRACE_ID}-1790000000000-")
    assert name.endswith(".json")
    assert path(own_api.receipt(id="gen-2"), **config).rpartition("/")[2] != name


def test_a_key_without_a_name_has_a_place_too() -> None:
    told = own_api.receipt(api_key=None)
    assert path(told, pathTemplate="{apiKeyName}").startswith("no-key/")


def test_objects_can_be_compressed() -> None:
    request = put(compression="gzip")
    assert request.url.endswith(".ndjson.gz")
    assert gzip.decompress(request.body) == put().body
    assert request.body[8] == 0, "the ninth byte of gzip says when a compressor took its longest way"
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()
    assert not request.compress


@pytest.mark.parametrize(
    ("config", "bucket"),
    [
        ({}, "https://my-traces.s3.us-east-1.amazonaws.com/"),
        ({"region": "eu-central-1"}, "https://my-traces.s3.eu-central-1.amazonaws.com/"),
        ({"bucketName": "my.traces"}, "https://s3.us-east-1.amazonaws.com/my.traces/"),
        ({"endpoint": "https://minio.example.com:9000/"}, "https://minio.example.com:9000/my-traces/"),
        (
            {
                "endpoint": "https://a1.r2.cloudflarestorage.com",
                "provider": "cloudflare_r2",
                "region": "auto",
            },
            "https://a1.r2.cloudflarestorage.com/my-traces/",
        ),
        ({"provider": "gcs"}, "https://storage.googleapis.com/my-traces/"),
    ],
)
def test_the_bucket_is_found_where_the_store_has_it(config: dict[str, str], bucket: str) -> None:
    assert s3(**config).endpoint() == bucket


# -- answers and settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (200, "", Verdict.DELIVERED),
        (301, "PermanentRedirect", Verdict.REFUSED),
        (400, "ExpiredToken", Verdict.REFUSED),
        (400, "AuthorizationHeaderMalformed", Verdict.REFUSED),
        (400, "RequestTimeout", Verdict.RETRYING),
        (400, "EntityTooLarge", Verdict.REJECTED),
        (403, "SignatureDoesNotMatch", Verdict.REFUSED),
        (403, "RequestTimeTooSkewed", Verdict.REFUSED),
        (404, "NoSuchBucket", Verdict.REFUSED),
        (409, "OperationAborted", Verdict.RETRYING),
        (500, "InternalError", Verdict.RETRYING),
        (503, "SlowDown", Verdict.THROTTLED),
    ],
)
def test_an_answer_means_what_its_code_says(status: int, code: str, verdict: Verdict) -> None:
    body = f"<Error><Code>{code}</Code><Message>Words</Message></Error>" if code else ""
    assert s3().judge(own_api.answer(status, body)).verdict is verdict


@pytest.mark.parametrize(
    "told", [own_api.answer(400, NO_REGION), own_api.answer(301, x_amz_bucket_region="eu-west-1")]
)
def test_a_bucket_elsewhere_is_said_to_be_there(told: Any) -> None:
    assert s3().judge(told).reason.endswith("the bucket is in eu-west-1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("bucketName", "My_Bucket"),
        ("bucketName", "a/b"),
        ("pathTemplate", "{hour}"),
        ("pathTemplate", "{prefix"),
        ("bucketName", "s3://my-traces"),
        ("accessKeyId", "AKIA/EXAMPLE"),
        ("accessKeyId", "wJalrXUtnFEMIaK7MDENGbPxRfiCYEXAMPLEKEYY"),
        ("secretAccessKey", "AKIAIOSFODNN7EXAMPLE"),
        ("authMode", "nobody"),
        ("roleArn", "arn:aws:iam::1234:user/me"),
    ],
)
def test_what_cannot_be_a_name_is_refused(setting: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        s3(**{setting: value})
    assert caught.value.problems.keys() == {setting}


ROLE: dict[str, Any] = {"authMode": "iam_role", "roleArn": "arn:aws:iam::123456789012:role/writer"}


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({}, {"accessKeyId", "secretAccessKey"}),
        ({"accessKeyId": "AKIA"}, {"secretAccessKey"}),
        ({"authMode": "iam_role"}, {"roleArn", "externalId"}),
        ({**ROLE, "externalId": "ws-1", "provider": "gcs"}, {"provider"}),
    ],
)
def test_a_key_needs_its_secret_and_a_role_its_name(config: dict[str, str], missing: set[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        S3.parse({"bucketName": "my-traces", **config})
    assert caught.value.problems.keys() == missing


@pytest.mark.parametrize("given", [ROLE, {**ROLE, "externalId": "somebody-else"}, {"externalId": "else"}])
def test_the_external_id_is_the_workspaces_own(given: dict[str, str]) -> None:
    """Whoever could choose it would be let into the roles that trust another workspace."""
    body = {"config": {"bucketName": "my-traces", **given}}
    assert draft.config_of(body, S3, "workspace-1")["externalId"] == "workspace-1"


def test_who_uses_keys_gets_no_external_id() -> None:
    assert draft.config_of({"config": CONFIG}, S3, "workspace-1") == CONFIG


def test_a_roles_object_is_the_same_but_for_who_signs_it() -> None:
    by_role, by_key = put(**ROLE, externalId="ws-1"), put()
    assert (by_role.url, by_role.body) == (by_key.url, by_key.body)
    assert "authorization" not in by_role.headers
    assert by_role.loan is not None
    keys = Lent(key_id="AKIAIOSFODNN7EXAMPLE", secret=Secret("s3cret"), token=Secret(""))
    assert by_role.loan.used(keys) == by_key


def test_temporary_credentials_without_their_token_are_warned_about() -> None:
    assert s3(accessKeyId="ASIAIOSFODNN7EXAMPLE").warnings().keys() == {"sessionToken"}
    assert s3(accessKeyId="ASIAIOSFODNN7EXAMPLE", sessionToken="t").warnings() == {}
    assert s3().warnings() == {}
