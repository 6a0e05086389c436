import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from broadcast.receipt_parser import MAX_ITEMS
from tests.web.api.conftest import Api

PATH = "/api/v1/receipts"
JSON = {"Content-Type": "application/json"}


def item(id_: str, **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"id": id_, "created_at": at, "duration_ms": 12.5, "model": "m/x", "status": "succeeded", **more}


def test_an_object_an_array_and_lines_are_accepted(http: Api) -> None:
    lines = "\n".join(json.dumps(item(f"n{number}")) for number in range(3))
    assert http.call("POST", PATH, key=http.api_key, body=item("a")).json == {
        "accepted": 1,
        "duplicates": 0,
        "rejected": [],
    }
    assert http.call("POST", PATH, key=http.api_key, body=[item("b"), item("c")]).json["accepted"] == 2
    posted = http.call("POST", PATH, key=http.api_key, data=lines, content_type="application/x-ndjson")
    assert (posted.status_code, posted.json["accepted"]) == (202, 3)


def test_gzip_is_opened(http: Api) -> None:
    data = gzip.compress(json.dumps(item("a")).encode())
    answer = http.call("POST", PATH, key=http.api_key, data=data, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 202


def test_a_bomb_is_refused_before_it_opens(http: Api) -> None:
    data = gzip.compress(b"[" + b" " * 200_000_000)
    answer = http.call("POST", PATH, key=http.api_key, data=data, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["error"]["metadata"]["reason"]) == (413, "too_large")


def test_a_body_over_the_limit_is_refused(http: Api) -> None:
    answer = http.call("POST", PATH, key=http.api_key, data=b" " * (16 * 2**20 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("path", [PATH, f"{PATH}/litellm"])
def test_more_items_than_a_body_may_hold_are_refused_together(http: Api, path: str) -> None:
    answer = http.call("POST", path, key=http.api_key, data=b"[" + b"1," * MAX_ITEMS + b"1]")
    assert (answer.status_code, answer.json["error"]["metadata"]["reason"]) == (413, "too_large")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_what_is_not_the_encoding_it_says_is_400(http: Api, encoding: str) -> None:
    answer = http.call("POST", PATH, key=http.api_key, data=b"{}", headers={"Content-Encoding": encoding})
    assert answer.status_code == 400


@pytest.mark.parametrize("data", [b"", b"hello", b"[", b'{"id":', b"\xff"])
def test_what_is_not_json_is_400(http: Api, data: bytes) -> None:
    answer = http.call("POST", PATH, key=http.api_key, data=data, headers=JSON)
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == 400


def test_only_wrong_receipts_are_422_each_named(http: Api) -> None:
    answer = http.call("POST", PATH, key=http.api_key, body=[item("a", colour="red"), {"id": "b"}])
    assert answer.status_code == 422
    assert [(each["index"], each["id"]) for each in answer.json["rejected"]] == [(0, "a"), (1, "b")]


def test_a_receipt_of_more_than_a_mebibyte_is_rejected_alone(http: Api) -> None:
    answer = http.call("POST", PATH, key=http.api_key, body=[item("a", input="x" * 2**20), item("b")])
    assert (answer.status_code, answer.json["accepted"], len(answer.json["rejected"])) == (202, 1, 1)


@pytest.mark.parametrize("key", [None, "nonsense", "sk-" + "x" * 43])
def test_no_key_and_an_unknown_key_are_401(http: Api, key: str | None) -> None:
    answer = http.call("POST", PATH, key=key, body=item("a"))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_without_the_scope_is_403(http: Api) -> None:
    made = http.call(
        "POST", "/api/v1/keys", key=http.management_key, body={"name": "Chat", "scopes": ["chat"]}
    )
    answer = http.call("POST", PATH, key=made.json["key"], body=item("a"))
    assert (answer.status_code, answer.json["error"]["metadata"]["reason"]) == (403, "missing_scope")


def test_a_stopped_writer_is_503_with_a_time_to_come_back(http: Api) -> None:
    http.services.ingest.stop()
    answer = http.call("POST", PATH, key=http.api_key, body=item("a"))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_generation_is_shown_as_the_sdk_reads_it(http: Api) -> None:
    http.call(
        "POST",
        PATH,
        key=http.api_key,
        body=item("gen-1", usage={"input_tokens": 10, "output_tokens": 5}, cost={"total_usd": "0.25"}),
    )
    found = http.call("GET", "/api/v1/generation?id=gen-1", key=http.api_key).json["data"]
    assert (found["id"], found["tokens_prompt"], found["tokens_completion"]) == ("gen-1", 10, 5)
    assert (found["total_cost"], found["cost_known"], found["workspace_id"]) == (
        0.25,
        True,
        http.workspace_uid,
    )


def test_an_unknown_cost_is_zero_and_said_to_be_unknown(http: Api) -> None:
    http.call("POST", PATH, key=http.api_key, body=item("gen-1"))
    found = http.call("GET", "/api/v1/generation?id=gen-1", key=http.api_key).json["data"]
    assert (found["total_cost"], found["cost_known"]) == (0, False)
    assert http.call("GET", "/api/v1/generation?id=none", key=http.api_key).status_code == 404


def test_requests_page_through_everything_once(http: Api) -> None:
    http.call("POST", PATH, key=http.api_key, body=[item(f"r{number}") for number in range(5)])
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = http.call("GET", f"/api/v1/requests?limit=2{cursor}", key=http.api_key).json
        seen += [row["id"] for row in page["data"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert sorted(seen) == [f"r{number}" for number in range(5)]
    one = http.call("GET", "/api/v1/requests/r1", key=http.api_key).json
    assert (one["id"], one["receipt"]["model"], one["delivery"]) == ("r1", "m/x", [])
