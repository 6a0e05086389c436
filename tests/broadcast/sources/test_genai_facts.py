"""Each convention's names, today's and older ones, say the same request."""

import json
from typing import Any

import pytest

from broadcast.receipt import App, Cost, Receipt, Usage
from tests.broadcast.sources.spans import CHAT, event, harvest, span

BARE = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def read(attributes: dict[str, Any], **more: Any) -> Receipt:
    """Return the receipt of one span; `resource` is said around it."""
    resource = more.pop("resource", None)
    found = harvest(span(attributes, **more), resource=resource)
    assert found.refused == {}
    [tree] = found.trees
    return tree.receipt


WHOLE = Usage(
    input_tokens=100, output_tokens=20, cache_read_tokens=60, cache_write_tokens=10, reasoning_tokens=5
)
TODAY = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_creation.input_tokens": 10,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "gen_ai.response.finish_reasons": ["stop"],
    "user.id": "u1",
    "session.id": "s1",
}
HEAD = {
    **{key: value for key, value in TODAY.items() if "cache_creation" not in key and key != "session.id"},
    "gen_ai.usage.cache_write.input_tokens": 10,
    "gen_ai.conversation.id": "s1",
}
OPEN_LLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.prompt_tokens": 100,
    "gen_ai.usage.completion_tokens": 20,
    "llm.usage.total_tokens": 120,
    "gen_ai.usage.cache_read_input_tokens": 60,
    "gen_ai.usage.cache_creation_input_tokens": 10,
    "gen_ai.usage.reasoning_tokens": 5,
    "gen_ai.response.finish_reasons": ["stop"],
    "traceloop.association.properties.user_id": "u1",
    "traceloop.association.properties.session_id": "s1",
}
OLDEST = {
    "llm.request.type": "chat",
    "llm.system": "openai",
    "llm.request.model": "gpt-4o",
    "llm.response.model": "gpt-4o-2024-08-06",
    "llm.usage.prompt_tokens": 100,
    "llm.usage.completion_tokens": 20,
    "llm.usage.cache_read_input_tokens": 60,
    "llm.usage.cache_creation_input_tokens": 10,
    "llm.usage.reasoning_tokens": "5",
    "llm.response.finish_reason": "stop",
    "llm.user": "u1",
    "session.id": "s1",
}
OPEN_INFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 20,
    "llm.token_count.total": 120,
    "llm.token_count.prompt_details.cache_read": 60,
    "llm.token_count.prompt_details.cache_write": 10,
    "llm.token_count.completion_details.reasoning": 5,
    "llm.finish_reason": "stop",
    "user.id": "u1",
    "session.id": "s1",
}

LANGFUSE = {
    "langfuse.observation.type": "generation",
    "llm.provider": "openai",
    "langfuse.observation.model.name": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "langfuse.observation.usage_details": json.dumps(
        {
            "input": 100,
            "output": 20,
            "total": 120,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 10,
            "output_reasoning_tokens": 5,
        }
    ),
    "gen_ai.response.finish_reason": "stop",
    "langfuse.user.id": "u1",
    "langfuse.session.id": "s1",
}
VERCEL = {
    **TODAY,
    "ai.operationId": "ai.generateText.doGenerate",
    "user.id": "",
    "session.id": "",
    "ai.telemetry.metadata.userId": "u1",
    "ai.telemetry.metadata.sessionId": "s1",
}


@pytest.mark.parametrize(
    "attributes",
    [TODAY, HEAD, OPEN_LLMETRY, OLDEST, OPEN_INFERENCE, LANGFUSE, VERCEL],
    ids=["today", "head", "openllmetry", "oldest", "openinference", "langfuse", "vercel"],
)
def test_every_convention_says_the_same_request(attributes: dict[str, Any]) -> None:
    receipt = read(attributes)
    assert (receipt.model, receipt.response_model) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (receipt.provider, receipt.api_type, receipt.finish_reason) == ("openai", "chat", "stop")
    assert receipt.usage == WHOLE
    assert (receipt.user, receipt.session_id, receipt.status) == ("u1", "s1", "succeeded")


@pytest.mark.parametrize(
    ("attributes", "api_type"),
    [
        ({"gen_ai.operation.name": "text_completion"}, "completions"),
        ({"gen_ai.operation.name": "embeddings"}, "embeddings"),
        ({"gen_ai.operation.name": "generate_content"}, "generate_content"),
        ({"llm.request.type": "completion"}, "completions"),
        ({"llm.request.type": "embedding"}, "embeddings"),
        ({"llm.request.type": "acompletion"}, "chat"),
        ({"openinference.span.kind": "EMBEDDING"}, "embeddings"),
        ({"langfuse.observation.type": "embedding"}, "embeddings"),
        ({}, "chat"),
    ],
)
def test_the_api_is_known(attributes: dict[str, Any], api_type: str) -> None:
    assert read({"gen_ai.request.model": "m", **attributes}).api_type == api_type


@pytest.mark.parametrize("name", ["llm.invocation_parameters", "input.value"])
def test_a_failed_request_of_open_inference_names_its_model_among_what_was_asked(name: str) -> None:
    asked = json.dumps({"model": "gpt-4o", "messages": []})
    assert read({"openinference.span.kind": "LLM", name: asked}).model == "gpt-4o"


# -- tokens and money --------------------------------------------------------------------------------


def test_tokens_may_come_as_text() -> None:
    usage = read({**BARE, "gen_ai.usage.input_tokens": "100", "gen_ai.usage.output_tokens": "20.5"}).usage
    assert usage == Usage(input_tokens=100)


def test_tokens_that_nobody_told_are_unknown() -> None:
    assert read(BARE).usage is None


@pytest.mark.parametrize("nonsense", [-1, 2**60, True, "many"])
def test_tokens_that_cannot_be_are_unknown(nonsense: Any) -> None:
    assert read({**BARE, "gen_ai.usage.input_tokens": nonsense}).usage is None


def test_a_total_that_is_no_sum_is_kept() -> None:
    usage = read({**CHAT, "gen_ai.usage.total_tokens": 130}).usage
    assert usage is not None
    assert usage.total_tokens == 130


def test_cached_tokens_that_were_counted_apart_join_the_input() -> None:
    told = {
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.cache_read.input_tokens": 900,
        "gen_ai.usage.cache_creation.input_tokens": 96,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.total_tokens": 24,
    }
    assert read({**BARE, **told}).usage == Usage(
        input_tokens=1000, output_tokens=20, cache_read_tokens=900, cache_write_tokens=96
    )


@pytest.mark.parametrize(
    "name", ["gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total", "gen_ai.cost.total_tokens"]
)
@pytest.mark.parametrize(
    ("usd", "nano_usd"),
    [(0.000387, 387_000), (0.0, 0), (1e-9, 1), (5e-10, 1), (0.1 + 0.2, 300_000_000), ("0.25", 250_000_000)],
)
def test_a_cost_is_exact(name: str, usd: Any, nano_usd: int) -> None:
    assert read({**BARE, name: usd}).cost == Cost(total_nano_usd=nano_usd)


@pytest.mark.parametrize("nonsense", [-0.1, 1e10, "free"])
def test_a_cost_that_cannot_be_is_unknown(nonsense: Any) -> None:
    assert read({**BARE, "gen_ai.usage.cost": nonsense}).cost is None


def test_a_cost_of_langfuse_is_one_json_text() -> None:
    said = json.dumps({"total": 0.75, "input": 0.25, "output": 0.5})
    assert read({**BARE, "langfuse.observation.cost_details": said}).cost == Cost(
        total_nano_usd=750_000_000, input_nano_usd=250_000_000, output_nano_usd=500_000_000
    )


def test_a_cost_in_two_parts_has_a_sum_and_one_part_has_none() -> None:
    both = read({**BARE, "llm.cost.prompt": 0.25, "llm.cost.completion": 0.5}).cost
    assert both == Cost(total_nano_usd=750_000_000, input_nano_usd=250_000_000, output_nano_usd=500_000_000)
    assert read({**BARE, "llm.cost.prompt": 0.25}).cost == Cost(input_nano_usd=250_000_000)


# -- times, parameters, people -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "events", "first_token_ms"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.4125}, [], 412.5),
        ({"gen_ai.server.time_to_first_token": 0.2}, [], 200),
        ({"ai.response.msToFirstChunk": 150}, [], 150),
        ({}, [event("First Token Stream Event", 120)], 120),
        ({}, [event("llm.content.completion.chunk", 90), event("llm.content.completion.chunk", 80)], 80),
    ],
)
def test_the_first_token_is_known_and_says_that_it_was_streamed(
    attributes: dict[str, Any], events: list[Any], first_token_ms: float
) -> None:
    receipt = read({**BARE, **attributes}, events=events)
    assert receipt.timing is not None
    assert (receipt.timing.first_token_ms, receipt.streamed) == (first_token_ms, True)


@pytest.mark.parametrize("name", ["gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"])
@pytest.mark.parametrize(
    ("said", "streamed"), [(True, True), ("true", True), (False, False), ("False", False)]
)
def test_whether_it_was_streamed_is_known(name: str, said: Any, streamed: bool) -> None:
    assert read({**BARE, name: said}).streamed is streamed


def test_parameters_have_the_names_of_a_receipt() -> None:
    told = {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": "0.9",
        "gen_ai.request.max_tokens": 256,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.tool.definitions": json.dumps([{"name": "a"}, {"name": "b"}]),
    }
    assert read({**BARE, **told}).parameters == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 256,
        "seed": 7,
        "n": 2,
        "stop": ["END"],
        "tools_offered": 2,
    }


def test_open_inferences_parameters_are_one_json_text() -> None:
    said = {
        "temperature": 0.5,
        "max_tokens": 5,
        "model": "x",
        "tools": [{}],
        "response_format": {"type": "json"},
    }
    receipt = read({**BARE, "llm.invocation_parameters": json.dumps(said)})
    assert receipt.parameters == {"temperature": 0.5, "max_tokens": 5, "tools_offered": 1}


@pytest.mark.parametrize(
    ("attributes", "trace"),
    [
        ({"trace.metadata.feature": "search", "trace.metadata.step": 3}, {"feature": "search", "step": 3}),
        ({"langfuse.trace.metadata.feature": "search"}, {"feature": "search"}),
        ({"langsmith.metadata.feature": "search"}, {"feature": "search"}),
        ({"traceloop.association.properties.feature": "search"}, {"feature": "search"}),
        ({"ai.telemetry.metadata.feature": "search"}, {"feature": "search"}),
        ({"metadata": '{"feature": "search", "deep": {"a": 1}}'}, {"feature": "search", "deep": {"a": 1}}),
        ({"tag.tags": ["a", "b"]}, {"tags": ["a", "b"]}),
        ({"trace.metadata": '{"many": 1}'}, {"many": 1}),
        ({"trace.metadata.trace_id": "mine", "trace.metadata.trace_name": "mine"}, {}),
    ],
)
def test_what_the_caller_said_becomes_the_trace_of_the_receipt(
    attributes: dict[str, Any], trace: dict[str, Any]
) -> None:
    found = dict(read({**BARE, **attributes}).trace or {})
    assert len(found.pop("trace_id")) == 32
    assert found == trace


def test_the_sender_is_named() -> None:
    receipt = read(BARE, resource={"service.name": "checkout"})
    assert receipt.metadata == {"service.name": "checkout", "otel.scope.name": "tests"}


# -- how it ended ------------------------------------------------------------------------------------

RAISED = event("exception", **{"exception.type": "openai.RateLimitError", "exception.message": "Slow down."})


@pytest.mark.parametrize(
    ("attributes", "more", "status", "error"),
    [
        ({}, {}, "succeeded", None),
        ({}, {"status": {"code": 1}}, "succeeded", None),
        ({}, {"events": [RAISED]}, "succeeded", None),
        ({"error.type": "429"}, {"status": {"code": 1}}, "succeeded", None),
        ({"error.type": "429"}, {}, "error", ("429", "429")),
        ({}, {"status": {"code": 2}}, "error", ("error", "error")),
        ({}, {"status": {"code": 2, "message": "No."}}, "error", ("error", "No.")),
        ({}, {"status": {"code": 2}, "events": [RAISED]}, "error", ("openai.RateLimitError", "Slow down.")),
        ({"http.response.status_code": 503}, {"status": {"code": 2}}, "error", ("503", "503")),
        ({"error.type": "asyncio.CancelledError"}, {}, "cancelled", ("asyncio.CancelledError",) * 2),
        ({"error.type": "cancelled"}, {}, "cancelled", None),
        (
            {"error.type": "denied"},
            {"status": {"code": 2, "message": "Flagged."}},
            "denied",
            ("denied", "Flagged."),
        ),
        ({"span.level": "ERROR", "span.status_message": "No."}, {}, "error", ("error", "No.")),
    ],
)
def test_how_it_ended_is_known(
    attributes: dict[str, Any], more: dict[str, Any], status: str, error: tuple[str, str] | None
) -> None:
    receipt = read({**BARE, **attributes}, **more)
    assert receipt.status == status
    assert (receipt.error and (receipt.error.type, receipt.error.message)) == error


def test_no_app_is_made_up() -> None:
    assert read(BARE).app != App()
