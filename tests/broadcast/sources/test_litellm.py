"""LiteLLM's payloads as receipts: the real ones one by one, and what is odd or missing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from broadcast.receipt import Cost, Error, KeyRef, Receipt, Usage
from broadcast.sources import litellm
from broadcast.trace_context import trace_id_of
from tests.broadcast.sources.payloads import NAMES, NOW_US, payload, without
from tests.factories import RETENTION_US


def read(*payloads: Any, content_type: str | None = None) -> tuple[list[litellm.Read], list[litellm.Refused]]:
    return litellm.read(json.dumps(payloads).encode(), content_type, now_us=NOW_US, retention_us=RETENTION_US)


def receipt(found: dict[str, Any]) -> Receipt:
    made, refused = read(found)
    assert refused == []
    (one,) = made
    return one.receipt


def refusal(found: Any) -> tuple[str, str]:
    made, refused = read(found)
    assert made == []
    (one,) = refused
    return one.error.field, one.error.message


# -- the real ones -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_real_payload_becomes_a_receipt_of_its_call(name: str) -> None:
    found = payload(name)
    made = receipt(found)
    assert made.id == made.request_id == found["litellm_call_id"]
    assert made.created_at_us == round(found["startTime"] * 1_000_000)
    assert made.duration_us == round(found["endTime"] * 1_000_000) - made.created_at_us
    assert (made.status == "succeeded") is (found["status"] == "success" and name != "client_gone")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_payload_makes_the_same_receipt(name: str) -> None:
    assert receipt(payload(name)) == receipt(payload(name))


def test_an_answer() -> None:
    made = receipt(payload("answer"))
    assert (made.model, made.provider, made.provider_slug, made.system) == (
        "openai/gpt-4o", "openai", "openai", "openai",
    )  # fmt: skip
    assert made.usage == Usage(input_tokens=10, output_tokens=20, total_tokens=30)
    assert made.cost == Cost(total_nano_usd=225_000, input_nano_usd=25_000, output_nano_usd=200_000)
    assert (made.api_type, made.streamed, made.finish_reason) == ("chat", False, "stop")
    assert (made.user, made.session_id, made.timing) == ("user-42", "hdr-sess", None)
    assert made.trace == {"team": "blue", "tags": ["a", "b"], "litellm": {"model_group": "mock-gpt"}}
    assert made.parameters == {"temperature": 0.3}
    assert made.input == [{"role": "user", "content": "hi"}]
    assert made.output["choices"][0]["message"]["content"] == "Hello from the mock upstream"


def test_the_answers_own_id_belongs_to_the_attempt() -> None:
    (attempt,) = receipt(payload("answer")).attempts
    assert (attempt.provider, attempt.model) == ("openai", "openai/gpt-4o")
    assert attempt.id == "chatcmpl-f39da5af-28db-460e-bed0-f8be1fb8a108"


def test_a_stream_has_the_time_of_its_first_token() -> None:
    made = receipt(payload("stream"))
    assert made.timing is not None
    assert (made.streamed, made.timing.first_token_ms) == (True, 121.955)


def test_a_failure_of_a_provider() -> None:
    made = receipt(payload("rate_limit"))
    assert made.status == "error"
    assert made.error == Error(
        type="RateLimitError", message="litellm.RateLimitError: this is a mock rate limit error", code=429
    )
    assert [attempt.status_code for attempt in made.attempts] == [429]
    assert (made.usage, made.cost, made.output) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "model"), [("unknown_model", "nope"), ("bad_body", "unknown"), ("refused_key", "openai/gpt-4o")]
)
def test_what_the_proxy_itself_refuses_reached_no_provider(name: str, model: str) -> None:
    made = receipt(payload(name))
    assert (made.status, made.model, made.attempts) == ("error", model, ())


@pytest.mark.parametrize(
    ("code", "provider", "status"),
    [("401", "", "denied"), ("403", "", "denied"), ("499", "", "cancelled"), ("400", "", "error"),
     ("401", "openai", "error"), ("499", "openai", "error")],
)  # fmt: skip
def test_who_refused_says_whether_it_is_denied(code: str, provider: str, status: str) -> None:
    told = {"error_code": code, "error_class": "Refused", "llm_provider": provider}
    assert receipt(payload("refused_key", error_information=told)).status == status


def test_a_client_that_left_its_stream_cancelled_what_litellm_calls_a_success() -> None:
    made = receipt(payload("client_gone"))
    assert (made.status, made.finish_reason, made.streamed) == ("cancelled", None, True)
    assert made.error == Error(type="ClientDisconnected", message="Client disconnected the request", code=499)


@pytest.mark.parametrize(
    ("name", "api_type"), [("messages_stream", "messages"), ("responses_stream", "responses")]
)
def test_streams_of_the_other_apis(name: str, api_type: str) -> None:
    made = receipt(payload(name))
    assert (made.api_type, made.streamed, made.status) == (api_type, True, "succeeded")
    assert made.timing is not None
    assert made.timing.first_token_ms
    assert made.usage is not None
    assert made.usage.output_tokens


def test_a_budget_that_is_used_up_is_denied() -> None:
    told = {"error_code": "429", "error_class": "BudgetExceededError", "error_budget_entity_type": "team"}
    assert receipt(payload("refused_key", error_information=told)).status == "denied"


def test_openrouter_behind_litellm_names_who_answered_and_what_it_cost() -> None:
    made = receipt(payload("openrouter"))
    assert (made.provider, made.provider_slug, made.system) == ("Azure", "openrouter", "openai")
    assert made.cost == Cost(total_nano_usd=4_200_000)
    assert made.timing is not None
    assert made.timing.router_ms == 9.0339


def test_the_callers_traceparent_is_the_parent() -> None:
    made = receipt(payload("openrouter"))
    assert made.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert trace_id_of(made) == "0af7651916cd43dd8448eb211c80319c"


def test_the_names_of_litellms_langfuse_users_count() -> None:
    made = receipt(payload("langfuse_names"))
    assert (made.user, made.session_id) == ("u1", "S-1")
    assert made.trace == {
        "trace_id": "T-1",
        "trace_name": "TN",
        "generation_name": "gen name",
        "parent_span_id": "pp",
        "generation_id": "gid",
        "trace_user_id": "TU",
        "foo": "bar",
        "a": 1,
        "tags": ["x", "y"],
        "litellm": {"model_group": "gpt"},
    }


def test_a_user_in_the_metadata_who_is_not_the_end_user_stays_there() -> None:
    found = payload("answer")
    found["metadata"]["requester_metadata"] |= {"user_id": "user-42", "trace_user_id": "someone"}
    made = receipt(found)
    assert made.trace is not None
    assert (made.user, made.trace["trace_user_id"], "user_id" in made.trace) == ("user-42", "someone", False)


def test_our_own_trace_object_inside_metadata_counts() -> None:
    found = payload("answer")
    found["metadata"]["requester_metadata"]["trace"] = {"trace_name": "Ask", "trace_id": "abc", "step": 2}
    trace = receipt(found).trace
    assert trace is not None
    assert (trace["trace_name"], trace["trace_id"], trace["step"]) == ("Ask", "abc", 2)


def test_headers_of_the_caller_are_read_by_name_only() -> None:
    found = payload("traceparent")
    found["metadata"]["requester_metadata"]["headers"]["x-api-key"] = "do-not-keep"
    made = receipt(found)
    assert made.app is not None
    assert (made.app.referer, made.app.title) == ("https://app.example", "App")
    assert "do-not-keep" not in repr(made)


def test_a_session_given_in_the_body_is_a_session_and_no_trace() -> None:
    made = receipt(payload("body_session"))
    assert (made.session_id, made.user) == ("LS", "EU")
    assert made.trace == {"litellm": {"model_group": "gpt"}}


def test_session_and_trace_told_apart_by_the_setting_are_both_kept() -> None:
    made = receipt(payload("body_session", session_id="LS", trace_id="LT"))
    assert made.session_id == "LS"
    assert made.trace is not None
    assert made.trace["trace_id"] == "LT"


def test_the_trace_header_makes_a_trace_though_litellm_calls_it_a_session_too() -> None:
    found = payload("answer")
    found["metadata"]["requester_metadata"]["headers"]["x-litellm-trace-id"] = "hdr-sess"
    made = receipt(found)
    assert made.trace is not None
    assert (made.session_id, made.trace["trace_id"]) == ("hdr-sess", "hdr-sess")


def test_without_a_trace_of_the_caller_litellms_own_is_the_trace() -> None:
    assert trace_id_of(receipt(payload("unknown_model"))) == "772e7a601ec6420ca80a75b9752d37fa"


def test_the_parameters_and_the_tools_of_a_request() -> None:
    made = receipt(payload("stream_with_tools"))
    assert made.parameters == {
        "temperature": 0.2,
        "max_tokens": 5,
        "stop": ["a"],
        "seed": 4,
        "response_format": {"type": "json_object"},
        "tools_offered": 1,
    }
    assert made.capabilities == ("tools",)


@pytest.mark.parametrize(
    ("call_type", "api_type"),
    [("acompletion", "chat"), ("completion", "chat"), ("atext_completion", "completions"),
     ("aembedding", "embeddings"), ("embedding", "embeddings"), ("aresponses", "responses"),
     ("anthropic_messages", "messages"), ("aanthropic_messages", "messages"), ("_arealtime", "realtime"),
     ("arerank", "rerank"), ("aimage_generation", "image_generation"), ("add_message", "add_message"),
     ("", "chat"), (None, "chat")],
)  # fmt: skip
def test_the_type_of_a_call(call_type: str | None, api_type: str) -> None:
    assert receipt(payload("answer", call_type=call_type)).api_type == api_type


def test_an_embedding_keeps_its_input_and_no_vectors() -> None:
    made = receipt(payload("embedding"))
    assert made.usage == Usage(input_tokens=10, output_tokens=0)
    assert (made.cost, made.output) == (
        Cost(total_nano_usd=200, input_nano_usd=200, output_nano_usd=0),
        None,
    )
    assert made.input is not None


def test_a_response_with_a_long_id() -> None:
    made = receipt(payload("responses"))
    assert (made.api_type, made.finish_reason, made.session_id) == ("responses", "completed", "RS")
    assert (made.provider, made.cost) == (
        "openai",
        Cost(total_nano_usd=768_000, input_nano_usd=72_000, output_nano_usd=696_000),
    )
    assert (made.attempts[0].id or "").startswith("resp_")


def test_a_price_that_litellm_does_not_know_is_unknown_and_not_zero() -> None:
    for name in ("messages", "image", "unpriced"):
        assert receipt(payload(name)).cost is None


def test_a_provider_that_says_it_asks_for_nothing_is_free() -> None:
    found = payload("openrouter", response_cost=0.0)
    found["metadata"]["usage_object"]["cost"] = 0
    assert receipt(found).cost == Cost(total_nano_usd=0)


def test_counts_that_are_only_in_the_details_count() -> None:
    bare = without("answer", "prompt_tokens", "completion_tokens", "total_tokens")
    assert receipt(bare).usage == Usage(input_tokens=10, output_tokens=20, total_tokens=30)


@pytest.mark.parametrize("amount", [-0.1, 2e9, "much", [], True, None])
def test_an_amount_that_can_be_none_is_unknown(amount: Any) -> None:
    assert receipt(payload("answer", response_cost=amount)).cost is None


def test_an_image_is_without_counts_that_nobody_took_and_without_itself() -> None:
    made = receipt(payload("image"))
    assert (made.usage, made.output) == (None, None)


def test_a_hit_in_the_cache_cost_nothing_and_reached_nobody() -> None:
    made = receipt(payload("cache_hit"))
    assert made.cost is not None
    assert (made.cost.total_nano_usd, made.attempts) == (0, ())
    assert made.trace is not None
    assert made.trace["litellm"]["cache_hit"] is True
    assert made.metadata is not None
    assert made.metadata["saved_cache_usd"] == 0.00022500000000000002


@pytest.mark.parametrize("name", ["redacted", "redacted_failure"])
def test_what_litellm_redacts_is_no_content(name: str) -> None:
    made = receipt(payload(name))
    assert (made.input, made.output) == (None, None)
    assert made.metadata is not None
    assert made.metadata["content_redacted"] is True


def test_a_text_that_speaks_of_redaction_is_content() -> None:
    said = [{"role": "user", "content": "What does redacted-by-litellm mean?"}]
    assert receipt(payload("answer", messages=said)).input == said


def test_a_health_check_is_told_by_its_key() -> None:
    made = receipt(payload("health_check"))
    assert made.api_key == KeyRef(hash="litellm-internal-health-check", name="litellm-internal-health-check")
    assert made.trace is not None
    assert made.trace["litellm"]["health_check"] is True


def test_a_virtual_key_and_its_team_are_named() -> None:
    found = payload("answer")
    found["metadata"] |= {"user_api_key_hash": "b" * 64, "user_api_key_alias": "search-backend"}
    found["metadata"] |= {"user_api_key_team_alias": "Search", "user_api_key_team_id": "t-1"}
    made = receipt(found)
    assert made.api_key == KeyRef(hash="b" * 64, name="search-backend")
    assert made.trace is not None
    assert made.trace["litellm"]["team"] == "Search"


def test_tokens_of_every_kind() -> None:
    found = payload("answer", prompt_tokens=2000, completion_tokens=300, total_tokens=2300)
    found["metadata"]["usage_object"] = {
        "prompt_tokens_details": {"cached_tokens": 1500, "cache_creation_tokens": 100, "audio_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 3, "image_tokens": 2},
    }
    assert receipt(found).usage == Usage(
        input_tokens=2000,
        output_tokens=300,
        total_tokens=2300,
        cache_read_tokens=1500,
        cache_write_tokens=100,
        reasoning_tokens=64,
        audio_tokens=10,
        image_tokens=2,
    )


def test_a_margin_leaves_what_the_provider_asked_for() -> None:
    parts = {"input_cost": 0.1, "output_cost": 0.1, "original_cost": 0.2, "margin_total_amount": 0.05}
    made = receipt(payload("answer", response_cost=0.25, cost_breakdown=parts))
    assert made.cost is not None
    assert (made.cost.total_nano_usd, made.cost.upstream_nano_usd) == (250_000_000, 200_000_000)


# -- the tries of one call ---------------------------------------------------------------------------


def test_the_tries_of_one_call_are_one_receipt() -> None:
    first, second = payload("first_try"), payload("second_try")
    (one,), refused = read(first, second)
    made = one.receipt
    assert (one.places, refused, made.status, made.id) == ((0, 1), [], "succeeded", first["litellm_call_id"])
    assert [(attempt.provider, attempt.status_code) for attempt in made.attempts] == [
        ("anthropic", 429),
        ("openai", None),
    ]
    assert (made.attempts[0].start_ms, made.attempts[1].start_ms) == (0, 2400.45)
    assert made.created_at_us == round(first["startTime"] * 1_000_000)
    assert made.created_at_us + made.duration_us == round(second["endTime"] * 1_000_000)


def test_the_order_of_the_tries_in_the_body_does_not_matter() -> None:
    (one,), _ = read(payload("second_try"), payload("first_try"))
    assert [attempt.provider for attempt in one.receipt.attempts] == ["anthropic", "openai"]


def test_a_call_that_failed_on_every_try_is_one_failure() -> None:
    first = payload("first_try")
    second = payload("first_try", startTime=first["startTime"] + 1, endTime=first["endTime"] + 1)
    (one,), _ = read(first, second)
    assert (one.receipt.status, len(one.receipt.attempts)) == ("error", 2)


def test_the_first_token_of_a_later_try_counts_from_the_start_of_the_call() -> None:
    first = payload("first_try")
    later = payload(
        "stream", litellm_call_id=first["litellm_call_id"], trace_id=first["trace_id"],
        startTime=first["startTime"] + 1, completionStartTime=first["startTime"] + 1.5,
        endTime=first["startTime"] + 2,
    )  # fmt: skip
    (one,), _ = read(first, later)
    assert one.receipt.timing is not None
    assert one.receipt.timing.first_token_ms == 1500


@pytest.mark.parametrize(
    "other",
    [{"litellm_call_id": "another"}, {"trace_id": "another"}, {"litellm_call_id": None}, {"startTime": 1}],
    ids=str,
)
def test_calls_that_are_not_tries_of_one_are_apart(other: dict[str, Any]) -> None:
    first = payload("first_try", startTime=1_795_288_683.0, endTime=1_795_288_690.0)
    changed = {"startTime": 1_795_288_684.0} if "startTime" in other else other
    made, _ = read(first, payload("second_try", **changed))
    assert len(made) == 2


def test_two_answers_under_one_call_id_are_two_receipts() -> None:
    made, _ = read(payload("answer"), payload("answer", startTime=1_795_217_399, endTime=1_795_217_400))
    assert len(made) == 2


# -- what is odd or missing --------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"{}\n{}", b"[{},{}]"])
def test_each_item_of_a_body_is_judged_alone(body: bytes) -> None:
    _, refused = litellm.read(body, None, now_us=NOW_US, retention_us=RETENTION_US)
    assert [(one.place, one.error.field) for one in refused] == [(0, "startTime"), (1, "startTime")]


@pytest.mark.parametrize("item", [None, 5, "text", [], True])
def test_what_is_no_payload_is_refused_and_its_neighbour_is_not(item: Any) -> None:
    made, refused = read(item, payload("answer"))
    assert [one.places for one in made] == [(1,)]
    assert [(one.place, one.error.field) for one in refused] == [(0, "")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"startTime": "2026-11-20 23:29:16.521787"}, "startTime"), ({"startTime": [1]}, "startTime"),
     ({"startTime": 1_795_217_350_205}, "startTime"), ({"startTime": -1}, "startTime"),
     ({"endTime": "soon"}, "endTime"), ({"status": "maybe"}, "status"), ({"status": []}, "status"),
     ({"startTime": 1_780_000_000}, "startTime"),
     ({"startTime": 1_795_999_999, "endTime": 1_795_999_999}, "startTime"),
     ({"startTime": None, "endTime": None}, "startTime")],
    ids=str,
)  # fmt: skip
def test_a_time_or_status_that_says_nothing_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    found, message = refusal(payload("answer", **changes))
    assert found == field
    assert message.startswith(field)


def test_a_refusal_names_the_call() -> None:
    _, (one,) = read(payload("answer", startTime="soon"))
    assert one.error.id == payload("answer")["litellm_call_id"]


def test_the_older_form_of_litellm_is_told_what_to_change() -> None:
    _, message = refusal({"id": "x", "startTime": "2026-11-20 23:29:16", "modelParameters": "{}"})
    assert "generic_api_use_v1" in message


def test_a_time_that_is_missing_is_made_of_the_others() -> None:
    whole = payload("answer")
    start_us, end_us = round(whole["startTime"] * 1e6), round(whole["endTime"] * 1e6)
    assert receipt(without("answer", "startTime")).created_at_us == pytest.approx(start_us, abs=1)
    made = receipt(without("answer", "endTime"))
    assert made.created_at_us + made.duration_us == pytest.approx(end_us, abs=1)
    assert receipt(without("answer", "startTime", "response_time")).created_at_us == end_us


def test_an_end_before_the_start_makes_no_negative_length() -> None:
    assert receipt(payload("answer", endTime=1_795_217_349.0)).duration_us == 0


def test_without_a_status_the_error_tells() -> None:
    assert receipt(without("answer", "status")).status == "succeeded"
    assert receipt(without("rate_limit", "status")).status == "error"


def test_ids_that_are_missing_are_made_of_the_content() -> None:
    bare = without("answer", "litellm_call_id", "id")
    made = receipt(bare)
    assert made.id.startswith("litellm-")
    assert made.id == receipt(bare).id != receipt({**bare, "endTime": bare["endTime"] + 1}).id


@pytest.mark.parametrize("odd", ["a b", "é", "x" * 129, "a/b", "\x00"])
def test_an_id_of_an_odd_kind_is_replaced_by_one_made_of_it(odd: str) -> None:
    made = receipt(payload("answer", litellm_call_id=odd))
    assert made.id.startswith("litellm-")
    assert len(made.id) == len("litellm-") + 32


@pytest.mark.parametrize("missing", [None, "", "None"])
def test_the_answers_id_stands_in_for_that_of_the_call(missing: str | None) -> None:
    made = receipt(payload("answer", litellm_call_id=missing))
    assert made.id == "chatcmpl-f39da5af-28db-460e-bed0-f8be1fb8a108"


def test_content_too_large_is_cut_and_the_receipt_says_so() -> None:
    made = receipt(payload("answer", messages=[{"role": "user", "content": "x" * 2**20}]))
    assert made.input[0]["content"] == "x" * 256 + f"[{2**20} characters, cut]"
    assert made.output == receipt(payload("answer")).output
    assert made.metadata is not None
    assert made.metadata["content_cut"] is True
    assert made.usage == Usage(input_tokens=10, output_tokens=20, total_tokens=30)


def test_content_nested_too_deeply_is_left_out() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    made = receipt(payload("answer", messages=deep))
    assert made.input == "[content nested deeper than 64 levels left out]"
    assert made.output == receipt(payload("answer")).output


def test_metadata_nested_too_deeply_is_refused_by_name() -> None:
    found = payload("answer")
    deep: Any = "x"
    for _ in range(100):
        deep = {"a": deep}
    found["metadata"]["requester_metadata"]["deep"] = deep
    assert refusal(found) == ("metadata", "metadata is nested too deeply: send at most 64 levels.")


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
def test_no_depth_of_an_item_stops_its_neighbours(depth: int) -> None:
    body = b'[{"a":' + b"[" * depth + b"]" * depth + b"}," + json.dumps(payload("answer")).encode() + b"]"
    made, refused = litellm.read(body, None, now_us=NOW_US, retention_us=RETENTION_US)
    assert ([one.places for one in made], [one.place for one in refused]) == ([(1,)], [0])


def test_a_whole_number_beyond_64_bits_becomes_text() -> None:
    found = payload("answer", messages=[{"role": "user", "content": 2**80}])
    found["metadata"]["requester_metadata"]["big"] = 2**80
    made = receipt(found)
    assert made.input == [{"role": "user", "content": str(2**80)}]
    assert made.trace is not None
    assert made.trace["big"] == str(2**80)


def test_what_python_writes_for_no_number_is_null() -> None:
    body = json.dumps([payload("answer")]).replace("0.00022500000000000002", "NaN").encode()
    (one,), refused = litellm.read(body, None, now_us=NOW_US, retention_us=RETENTION_US)
    assert (one.receipt.cost, refused) == (None, [])


def test_lone_surrogates_and_nul_are_mended() -> None:
    made = receipt(payload("answer", messages="a\ud800b\x00c"))
    assert made.input == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_a_long_user_and_a_long_session_are_cut() -> None:
    made = receipt(payload("answer", end_user="u" * 300, session_id="s" * 300))
    assert (made.user, made.session_id) == ("u" * 256, "s" * 256)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
VITAL = {"startTime", "endTime", "status"}


@given(name=st.sampled_from(NAMES), data=st.data())
def test_any_part_missing_or_of_any_kind_makes_a_receipt(name: str, data: st.DataObject) -> None:
    found = payload(name)
    parts = data.draw(st.lists(st.sampled_from(sorted(found.keys() - VITAL)), unique=True, max_size=6))
    for part in parts:
        if data.draw(st.booleans()):
            del found[part]
        else:
            found[part] = data.draw(ANY_JSON)
    made = receipt(found)
    assert made.created_at_us == round(found["startTime"] * 1_000_000)


@given(name=st.sampled_from(NAMES), data=st.data())
def test_anything_inside_metadata_or_the_answer_makes_a_receipt(name: str, data: st.DataObject) -> None:
    found = payload(name)
    outer = data.draw(st.sampled_from(["metadata", "hidden_params", "response", "error_information"]))
    inner = found.get(outer)
    if isinstance(inner, dict) and inner:
        inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(ANY_JSON)
    assert receipt(found)


@given(item=st.dictionaries(st.sampled_from(sorted(payload("answer"))), ANY_JSON))
def test_any_object_is_a_receipt_or_a_refusal_that_names_a_field(item: dict[str, Any]) -> None:
    made, refused = read(item)
    assert len(made) + len(refused) == 1
    assert all(one.error.message for one in refused)
    assert all(structs.asdict(one.receipt)["id"] for one in made)
