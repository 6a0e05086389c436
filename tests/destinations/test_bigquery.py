import base64
import functools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from broadcast.destination import Request, Verdict
from broadcast.errors import SettingsError
from destinations.bigquery import BigQuery
from tests.destinations import own_api

TABLE = (
    "https://bigquery.googleapis.com/bigquery/v2/projects/my-project/datasets/openrouter"
    "/tables/openrouter_traces"
)


@functools.cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(**changes: Any) -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    account = {
        "type": "service_account",
        "client_email": "writer@my-project.iam.gserviceaccount.com",
        "private_key_id": "k-1",
        "private_key": private_key().private_bytes(*form).decode(),
    }
    return json.dumps({**account, **changes}, indent=2)


def bigquery(**config: Any) -> BigQuery:
    return BigQuery.parse({"projectId": "my-project", "serviceAccountKey": key_file(), **config})


def request(*told: Any, at_us: int = own_api.AT_US) -> Request:
    destination = bigquery()
    return destination.request(own_api.batch(destination, *told, at_us=at_us))


def rows(*told: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request(*told).body)["rows"]
    return found


def refusal(status: int, *reasons: str, message: str = "Words") -> Any:
    errors = [{"reason": reason, "message": message} for reason in reasons]
    return own_api.answer(status, json.dumps({"error": {"code": status, "errors": errors}}))


def refused_rows(*reasons: str, message: str = "Words") -> Any:
    told = [
        {"index": at, "errors": [{"reason": reason, "message": message}]} for at, reason in enumerate(reasons)
    ]
    return own_api.answer(
        200, json.dumps({"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": told})
    )


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


# -- the token -------------------------------------------------------------------------------------------


def test_the_request_carries_a_token_that_the_service_account_signed() -> None:
    made = request()
    assert (made.method, made.url) == ("POST", f"{TABLE}/insertAll")
    assert made.headers.keys() == {"authorization", "content-type"}
    assert made.headers["content-type"] == "application/json"
    token = made.headers["authorization"].removeprefix("Bearer ")
    head, claims, signature = token.split(".")
    assert decoded(head) == {"alg": "RS256", "typ": "JWT", "kid": "k-1"}
    who = "writer@my-project.iam.gserviceaccount.com"
    assert decoded(claims) == {
        "iss": who,
        "sub": who,
        "aud": "https://bigquery.googleapis.com/",
        "iat": 1_789_999_200,
        "exp": 1_790_002_800,
    }
    private_key().public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        f"{head}.{claims}".encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )


@pytest.mark.parametrize("after_s", [0, 799, 800, 1799, 86_400])
def test_a_token_is_valid_for_half_an_hour_at_least_and_for_an_hour_at_most(after_s: int) -> None:
    now_s = own_api.AT_US // 1_000_000 + after_s
    claims = decoded(request(at_us=now_s * 1_000_000).headers["authorization"].split(".")[1])
    assert claims["iat"] <= now_s
    assert 1800 <= claims["exp"] - now_s <= claims["exp"] - claims["iat"] <= 3600


@pytest.mark.parametrize("given", [key_file(), json.loads(key_file()), key_file().replace("\n", "\r\n")])
def test_the_key_file_is_taken_as_it_is(given: object) -> None:
    made = bigquery(serviceAccountKey=given)
    assert made.warnings() == {}
    assert "authorization" in made.credential_check(1).headers


@pytest.mark.parametrize(
    "given", ["ya29.token", "{}", '{"client_email": "a"}', "[]", '{"client_email":"a","private_key":"b"}']
)
def test_what_is_no_service_account_signs_nothing(given: str) -> None:
    assert "authorization" not in bigquery(serviceAccountKey=given).credential_check(1).headers


def test_another_kind_of_key_is_warned_about() -> None:
    assert bigquery(serviceAccountKey="ya29.token").warnings().keys() == {"serviceAccountKey"}


def test_an_api_key_says_what_to_paste() -> None:
    with pytest.raises(SettingsError) as caught:
        bigquery(serviceAccountKey="AIzaSyExample")
    assert "service account" in caught.value.problems["serviceAccountKey"]


def test_the_table_is_asked_about_before_any_row() -> None:
    check = bigquery().credential_check(own_api.AT_US)
    assert (check.method, check.url, check.body) == ("GET", f"{TABLE}?fields=id", b"")
    assert check.headers == {"authorization": request().headers["authorization"]}
    assert bigquery().judge_credential(own_api.answer(200)) is None
    assert bigquery().judge_credential(own_api.answer(404)) is None
    assert "paste the whole JSON key file" in (bigquery().judge_credential(own_api.answer(401)) or "")
    assert "BigQuery Data Editor" in (bigquery().judge_credential(own_api.answer(403)) or "")


# -- the rows --------------------------------------------------------------------------------------------


def test_a_receipt_is_one_row_under_an_id_that_is_the_same_every_time() -> None:
    one, two = rows(own_api.receipt(), own_api.receipt(id="gen-2"))
    assert one["insertId"] == own_api.TRACE_ID + one["json"]["span_id"]
    assert rows()[0]["insertId"] == one["insertId"] != two["insertId"]


def test_a_row_has_the_columns_of_openrouters_table_in_lower_case() -> None:
    row = rows()[0]["json"]
    declared = [line.split()[0] for line in BigQuery.sql.splitlines() if line.startswith("  ")]
    assert row.keys() <= set(declared)
    assert (row["trace_id"], row["model"]) == (own_api.TRACE_ID, "openai/gpt-4o-mini-2024-07-18")
    assert (row["timestamp"], row["duration_ms"]) == ("2026-09-21T14:13:20.000000Z", 1234.567)
    assert (row["prompt_tokens"], row["total_cost"], row["status"]) == (1200, 0.000387, "ok")
    assert row["tags"] == ["a", "b"]
    assert None not in row.values()


def test_json_columns_are_json_text() -> None:
    row = rows()[0]["json"]
    assert json.loads(row["input"])["messages"][0]["content"] == "What is a span?"
    assert json.loads(row["metadata"])["feature"] == "search"
    assert json.loads(row["model_parameters"]) == {"temperature": 0.7, "max_tokens": 1024}


def test_the_tries_are_beside_the_attributes() -> None:
    told = json.loads(rows()[0]["json"]["attributes"])["spans"]
    assert [span["name"] for span in told] == [
        "Search",
        "route",
        "provider attempt 1: Azure",
        "provider attempt 2: OpenAI",
    ]
    assert told[2]["http.response.status_code"] == 429


# -- the answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (own_api.answer(200, "{}"), Verdict.DELIVERED),
        (own_api.answer(200, '{"kind":"bigquery#tableDataInsertAllResponse"}'), Verdict.DELIVERED),
        (refused_rows("stopped", "invalid", "stopped"), Verdict.REJECTED),
        (refused_rows("invalid", message="no such field: total_cost."), Verdict.REFUSED),
        (refused_rows("backendError"), Verdict.RETRYING),
        (refused_rows("timeout"), Verdict.RETRYING),
        (refusal(400, "invalid"), Verdict.REJECTED),
        (refusal(401, "authError"), Verdict.REFUSED),
        (refusal(403, "accessDenied"), Verdict.REFUSED),
        (refusal(403, "rateLimitExceeded"), Verdict.THROTTLED),
        (refusal(403, "quotaExceeded"), Verdict.THROTTLED),
        (refusal(404, "notFound"), Verdict.REFUSED),
        (refusal(500, "internalError"), Verdict.RETRYING),
        (refusal(503, "backendError"), Verdict.RETRYING),
        (own_api.answer(413, "<html>"), Verdict.REJECTED),
    ],
)
def test_an_answer_means_what_its_reasons_say(told: Any, verdict: Verdict) -> None:
    assert bigquery().judge(told).verdict is verdict


def test_the_words_of_the_row_at_fault_are_kept_and_not_those_of_its_neighbours() -> None:
    told = json.dumps(
        {
            "insertErrors": [
                {"index": 0, "errors": [{"reason": "stopped", "message": ""}]},
                {"index": 1, "errors": [{"reason": "invalid", "message": "Could not parse 'x'"}]},
            ]
        }
    )
    assert bigquery().judge(own_api.answer(200, told)).reason == "200 Words: Could not parse 'x'"


@pytest.mark.parametrize("body", ['{"error":"x"}', "[]", "7", '{"error":{"errors":[{}]}}', "<html>"])
def test_nonsense_is_judged_by_its_status(body: str) -> None:
    assert bigquery().judge(own_api.answer(200, body)).verdict is Verdict.DELIVERED
    assert bigquery().judge(own_api.answer(403, body)).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    "body", ['{"insertErrors":7}', '{"insertErrors":[7]}', '{"insertErrors": [{"index": 0, "err']
)
def test_errors_that_cannot_be_read_are_no_delivery(body: str) -> None:
    assert bigquery().judge(own_api.answer(200, body)).verdict is Verdict.REJECTED
