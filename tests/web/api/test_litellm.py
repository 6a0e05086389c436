"""POST /api/v1/receipts/litellm, with payloads of a real LiteLLM."""

import gzip
import json
import time
from typing import Any

import pytest

from tests.broadcast.sources import payloads
from tests.web.api.conftest import Api

PATH = "/api/v1/receipts/litellm"


def payload(name: str, **changes: Any) -> dict[str, Any]:
    """Return a payload of a call that was made a moment ago."""
    found = payloads.payload(name)
    later_s = time.time() - 1 - found["startTime"]
    times = {when: found[when] + later_s for when in ("startTime", "endTime", "completionStartTime")}
    return {**found, **times, **changes}


def stored(http: Api, receipt_id: str) -> Any:
    return http.call("GET", f"/api/v1/requests/{receipt_id}", key=http.api_key).json


BATCH = ["answer", "stream", "rate_limit"]


@pytest.mark.parametrize("form", ["json_array", "ndjson", "ndjson, said so", "gzip"])
def test_every_form_of_a_batch_is_taken(http: Api, form: str) -> None:
    batch = [payload(name) for name in BATCH]
    lines = "\n".join(json.dumps(one) for one in batch).encode()
    array = json.dumps(batch).encode()
    body, content_type, encoding = {
        "json_array": (array, "application/json", "identity"),
        "ndjson": (lines, "application/json", "identity"),
        "ndjson, said so": (lines, "application/x-ndjson", "identity"),
        "gzip": (gzip.compress(array), "application/json", "gzip"),
    }[form]
    headers = {"Content-Encoding": encoding}
    answer = http.call("POST", PATH, key=http.api_key, data=body, content_type=content_type, headers=headers)
    assert (answer.status_code, answer.json) == (202, {"accepted": 3, "duplicates": 0, "rejected": []})


def test_a_single_payload_is_taken_and_found_by_the_id_its_client_has(http: Api) -> None:
    found = payload("answer")
    answer = http.call("POST", PATH, key=http.api_key, body=found)
    assert answer.json["accepted"] == 1
    row = stored(http, found["litellm_call_id"])
    assert (row["model_id"], row["user"], row["session_id"]) == ("openai/gpt-4o", "user-42", "hdr-sess")
    assert (row["prompt_tokens"], row["completion_tokens"], row["final_charge_micro_usd"]) == (10, 20, 225)
    assert row["api_key_name"] == "litellm_proxy_master_key"


def test_what_litellm_sends_again_is_a_duplicate(http: Api) -> None:
    second = payload("second_try", startTime=time.time() - 0.5, endTime=time.time() - 0.4)
    batch = [payload("first_try"), second, payload("rate_limit")]
    assert http.call("POST", PATH, key=http.api_key, body=batch).json["accepted"] == 2
    again = http.call("POST", PATH, key=http.api_key, body=batch)
    assert (again.status_code, again.json) == (202, {"accepted": 0, "duplicates": 2, "rejected": []})


def test_a_call_id_that_two_calls_share_loses_neither(http: Api) -> None:
    first = payload("answer", litellm_call_id="fixed")
    second = payload("openrouter", litellm_call_id="fixed")
    for call in (first, second):
        assert http.call("POST", PATH, key=http.api_key, body=[call]).json["accepted"] == 1
    again = http.call("POST", PATH, key=http.api_key, body=[second])
    assert again.json == {"accepted": 0, "duplicates": 1, "rejected": []}
    listed = http.call("GET", "/api/v1/requests", key=http.api_key).json["data"]
    assert sorted(row["id"].partition(":")[0] for row in listed) == ["fixed", "fixed"]
    assert {row["model_id"] for row in listed} == {"openai/gpt-4o", "openrouter/openai/gpt-4o"}


def test_a_bad_payload_is_named_and_stops_none_of_its_neighbours(http: Api) -> None:
    batch = [payload("answer"), payload("stream", startTime="yesterday"), None]
    answer = http.call("POST", PATH, key=http.api_key, body=batch)
    assert (answer.status_code, answer.json["accepted"]) == (202, 1)
    assert [(one["index"], one["field"]) for one in answer.json["rejected"]] == [(1, "startTime"), (2, "")]


def test_a_body_of_nothing_but_bad_payloads_is_422(http: Api) -> None:
    answer = http.call("POST", PATH, key=http.api_key, body=[None])
    assert (answer.status_code, answer.json["accepted"]) == (422, 0)


@pytest.mark.parametrize("body", [b"", b"hello", b"[", b"\xff"])
def test_what_is_not_json_is_400(http: Api, body: bytes) -> None:
    answer = http.call("POST", PATH, key=http.api_key, data=body, content_type="application/json")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, 400)


def test_a_key_without_the_scope_is_403_and_no_key_is_401(http: Api) -> None:
    asked = {"name": "Chat", "scopes": ["chat"]}
    made = http.call("POST", "/api/v1/keys", key=http.management_key, body=asked).json["key"]
    assert http.call("POST", PATH, key=made, body=[payload("answer")]).status_code == 403
    assert http.call("POST", PATH, body=[payload("answer")]).status_code == 401
