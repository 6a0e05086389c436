import json
from typing import Any

import pytest

from broadcast.destination import Verdict
from broadcast.egress import Policy
from broadcast.errors import SettingsError
from broadcast.transport import send_once
from destinations.posthog import PostHog
from tests.destinations import own_api
from tests.receiver import Receiver


def posthog(**config: Any) -> PostHog:
    return PostHog.parse({"apiKey": "phc_project", **config})


def events(*told: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(posthog().request(own_api.batch(posthog(), *told)).body)["batch"]
    return found


def test_events_are_posted_as_a_batch_with_the_key_in_the_body() -> None:
    with Receiver() as receiver:
        receiver.answer("/batch/", body='{"status":"Ok"}')
        destination = posthog(endpoint=receiver.url(""))
        request = destination.request(own_api.batch(destination))
        policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
        response = send_once(policy, lambda transport: transport.send(request))
        seen = receiver.requests[0]
    told = json.loads(seen.body)
    assert destination.judge(response).verdict is Verdict.DELIVERED
    assert (seen.method, seen.path) == ("POST", "/batch/")
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["content-encoding"] == "gzip"
    assert told.keys() == {"api_key", "historical_migration", "batch"}
    assert (told["api_key"], told["historical_migration"]) == ("phc_project", False)
    assert [event["event"] for event in told["batch"]] == ["$ai_span", "$ai_generation"] + ["$ai_span"] * 3


def test_a_generation_has_the_properties_of_posthogs_pages() -> None:
    root, generation, *_ = events()
    assert generation.pop("uuid")
    properties = generation.pop("properties")
    assert generation == {
        "event": "$ai_generation",
        "distinct_id": "user-7",
        "timestamp": "2026-09-21T14:13:20.000000Z",
    }
    assert properties == {
        "$ai_trace_id": own_api.TRACE_ID,
        "$ai_span_id": properties["$ai_span_id"],
        "$ai_parent_id": root["properties"]["$ai_span_id"],
        "$ai_span_name": "chat openai/gpt-4o-mini",
        "$ai_session_id": "session-42",
        "$ai_latency": 1.234567,
        "$ai_time_to_first_token": 0.4125,
        "$ai_model": "openai/gpt-4o-mini-2024-07-18",
        "$ai_provider": "openai",
        "$ai_stream": True,
        "$ai_input": [{"role": "user", "content": "What is a span?"}],
        "$ai_output_choices": [{"role": "assistant", "content": "A piece of a trace."}],
        "$ai_input_tokens": 1200,
        "$ai_output_tokens": 345,
        "$ai_cache_read_input_tokens": 1000,
        "$ai_reasoning_tokens": 64,
        "$ai_input_cost_usd": 0.00018,
        "$ai_output_cost_usd": 0.000207,
        "$ai_total_cost_usd": 0.000387,
        "$ai_stop_reason": "stop",
        "$ai_temperature": 0.7,
        "$ai_max_tokens": 1024,
        "$ai_is_error": False,
        "trace_name": "Search",
        "openrouter.trace.id": own_api.receipt().id,
        "metadata_feature": "search",
        "metadata_tags": ["a", "b"],
        "$process_person_profile": True,
        "$geoip_disable": True,
    }


def test_tools_that_were_called_are_in_the_answer() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q":1}'}}
    told = own_api.receipt(output=[{"role": "assistant", "content": None, "tool_calls": [call]}])
    (choice,) = events(told)[1]["properties"]["$ai_output_choices"]
    assert choice["tool_calls"][0]["function"] == {"name": "find", "arguments": '{"q":1}'}


def test_a_failed_request_is_an_error_with_its_words() -> None:
    properties = events(own_api.failed_receipt())[1]["properties"]
    assert (properties["$ai_is_error"], properties["$ai_error"]) == (True, "The provider went away.")
    assert "$ai_output_choices" not in properties


def test_every_event_of_a_request_is_of_its_user_and_session() -> None:
    told = events()
    assert {event["distinct_id"] for event in told} == {"user-7"}
    assert {event["properties"]["$ai_session_id"] for event in told} == {"session-42"}


def test_a_request_without_a_user_makes_no_person() -> None:
    event = events(own_api.receipt(user=None))[1]
    assert event["distinct_id"] == own_api.TRACE_ID
    assert event["properties"]["$process_person_profile"] is False


def test_an_event_has_the_same_id_whenever_it_is_sent_and_no_two_share_one() -> None:
    ids = [event["uuid"] for event in events(own_api.receipt(), own_api.receipt(id="gen-2"))]
    assert len(set(ids)) == len(ids) == 10
    assert [event["uuid"] for event in events()] == ids[:5]


def test_tokens_and_cost_are_on_one_event_of_a_request() -> None:
    assert sum("$ai_total_cost_usd" in event["properties"] for event in events()) == 1


def test_a_key_is_proven_by_the_call_that_knows_it() -> None:
    check = posthog().credential_check(1)
    assert (check.method, check.url) == ("POST", "https://us.i.posthog.com/flags/?v=2")
    assert json.loads(check.body) == {"api_key": "phc_project", "distinct_id": "broadcast-connection-test"}
    assert posthog().judge_credential(own_api.answer(200, "{}")) is None
    assert "region" in (posthog().judge_credential(own_api.answer(401)) or "")
    assert not PostHog.ingest_proves


def test_another_kind_of_key_is_warned_about() -> None:
    assert posthog(apiKey="abc").warnings().keys() == {"apiKey"}
    assert posthog().warnings() == {}


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("apiKey", "phx_personal", "phc_"),
        ("endpoint", "https://us.posthog.com/project/7", "https://us.i.posthog.com"),
        ("endpoint", "https://eu.posthog.com", "https://eu.i.posthog.com"),
    ],
)
def test_what_belongs_elsewhere_says_what_to_paste(setting: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        posthog(**{setting: value})
    assert words in caught.value.problems[setting]


def test_the_region_is_the_host() -> None:
    assert posthog(endpoint="https://eu.i.posthog.com").address() == (
        "https://eu.i.posthog.com:443/batch/",
        "https://eu.i.posthog.com:443/flags/?v=2",
    )
