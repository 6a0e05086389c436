"""What belongs together becomes one receipt; what is no request to a model is told so."""

import json
from typing import Any

import pytest

from broadcast import genai, otlp
from broadcast.destination import envelope
from broadcast.receipt import ProviderAttempt, Receipt
from broadcast.sources import genai_facts, genai_spans
from broadcast.sources.openrouter_wire import Router
from broadcast.sources.otlp_reader import SourceSpan
from broadcast.sources.span_trees import ORPHAN, WRAPPER
from broadcast.span import ResourceSpans
from tests import factories
from tests.broadcast.sources.spans import CHAT, SPAN, START_NS, TRACE, harvest, harvest_of, span

ONE, TWO, THREE = ("0" * 15 + digit for digit in "123")
NO_USAGE = {key: value for key, value in CHAT.items() if "usage" not in key}


def only(*spans: dict[str, Any], **more: Any) -> Receipt:
    found = harvest(*spans, **more)
    assert found.refused == {}
    [tree] = found.trees
    assert tree.spans == len(spans)
    return tree.receipt


def during(start_ms: int, end_ms: int) -> dict[str, str]:
    return {
        "startTimeUnixNano": str(START_NS + start_ms * 1_000_000),
        "endTimeUnixNano": str(START_NS + end_ms * 1_000_000),
    }


# -- where a receipt belongs -------------------------------------------------------------------------


def test_the_trace_of_the_caller_goes_on() -> None:
    receipt = only(span(parent="00f067aa0ba902ff"))
    assert receipt.trace == {"trace_id": TRACE, "parent_span_id": "00f067aa0ba902ff"}
    [generation] = genai.whole_spans(receipt, namespace="router").spans
    assert (generation.trace_id, generation.parent_span_id) == (TRACE, "00f067aa0ba902ff")


def test_an_id_comes_of_trace_and_span_and_so_is_the_same_again() -> None:
    assert only(span()).id == f"otlp-{TRACE}-{SPAN}" == only(span()).id


def test_a_span_with_a_name_of_its_own_keeps_it() -> None:
    receipt = only(span(name="Summarise"))
    assert genai.whole_spans(receipt, namespace="router").spans[0].name == "Summarise"


def test_the_same_span_twice_is_one_receipt() -> None:
    assert len(harvest(span(), span()).trees) == 1


def test_a_span_that_ends_before_it_begins_took_no_time() -> None:
    assert only(span(**during(1000, 0))).duration_us == 0


# -- tries -------------------------------------------------------------------------------------------


def test_requests_inside_a_request_are_its_tries() -> None:
    failed = {
        **NO_USAGE,
        "gen_ai.provider.name": "azure",
        "error.type": "503",
        "http.response.status_code": 503,
    }
    answered = {**NO_USAGE, "gen_ai.response.id": "chatcmpl-2"}
    receipt = only(
        span(),
        span(answered, spanId=TWO, parent=SPAN, **during(300, 900)),
        span(failed, spanId=ONE, parent=SPAN, status={"code": 2}, **during(10, 250)),
    )
    assert receipt.attempts == (
        ProviderAttempt(provider="azure", model="gpt-4o", status_code=503, start_ms=10, duration_ms=240),
        ProviderAttempt(provider="openai", model="gpt-4o", id="chatcmpl-2", start_ms=300, duration_ms=600),
    )
    assert (receipt.provider, receipt.status) == ("openai", "succeeded")


def test_a_request_that_says_no_tokens_takes_them_from_the_one_inside() -> None:
    inner = {
        **CHAT,
        "gen_ai.response.model": "gpt-4o-2024",
        "gen_ai.completion": "Hi",
        "gen_ai.usage.cost": 0.5,
    }
    receipt = only(span(NO_USAGE, name="ChatOpenAI"), span(inner, spanId=ONE, parent=SPAN))
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.response_model, receipt.output) == (100, "gpt-4o-2024", "Hi")
    assert receipt.cost is not None
    assert receipt.cost.total_nano_usd == 500_000_000


def test_each_of_several_requests_inside_one_without_tokens_is_stored() -> None:
    found = harvest(span(NO_USAGE), span(CHAT, spanId=ONE, parent=SPAN), span(CHAT, spanId=TWO, parent=SPAN))
    assert [tree.receipt.id for tree in found.trees] == [f"otlp-{TRACE}-{ONE}", f"otlp-{TRACE}-{TWO}"]
    assert found.refused == {WRAPPER: 1}


def test_a_request_three_deep_is_one_receipt_with_one_try() -> None:
    receipt = only(
        span(NO_USAGE), span(NO_USAGE, spanId=ONE, parent=SPAN), span(CHAT, spanId=TWO, parent=ONE)
    )
    assert (receipt.id, len(receipt.attempts)) == (f"otlp-{TRACE}-{SPAN}", 1)


def test_spans_that_stand_in_a_ring_are_stored_one_by_one() -> None:
    found = harvest(span(spanId=ONE, parent=TWO), span(spanId=TWO, parent=ONE))
    assert len(found.trees) == 2


def test_http_calls_to_the_server_of_a_request_are_its_tries() -> None:
    call = {"http.request.method": "POST", "server.address": "api.openai.com"}
    receipt = only(
        span({**CHAT, "server.address": "api.openai.com", "gen_ai.response.id": "chatcmpl-1"}),
        span({**call, "http.response.status_code": 429}, spanId=ONE, parent=SPAN, **during(0, 100)),
        span({**call, "http.response.status_code": 200}, spanId=TWO, parent=SPAN, **during(200, 1000)),
    )
    assert [(one.provider, one.status_code, one.id) for one in receipt.attempts] == [
        ("openai", 429, None),
        ("openai", 200, "chatcmpl-1"),
    ]


@pytest.mark.parametrize(
    "call",
    [
        {"http.request.method": "GET", "server.address": "api.openai.com"},
        {"http.request.method": "POST", "server.address": "elsewhere.example"},
    ],
)
def test_an_http_call_that_may_be_another_is_refused(call: dict[str, str]) -> None:
    found = harvest(span({**CHAT, "server.address": "api.openai.com"}), span(call, spanId=ONE, parent=SPAN))
    assert (len(found.trees), found.refused) == (1, {genai_spans.HTTP: 1})


def test_the_id_of_an_answer_goes_out_as_it_came_in() -> None:
    receipt = only(span({**CHAT, "gen_ai.response.id": "chatcmpl-1"}))
    generation = genai.whole_spans(receipt, namespace="router").spans[0]
    assert generation.attributes["gen_ai.response.id"] == "chatcmpl-1"


# -- a router's trees --------------------------------------------------------------------------------


def joined(*receipts: Receipt) -> bytes:
    return envelope(
        "json", tuple(otlp.encode(genai.whole_spans(one, namespace="router")) for one in receipts)
    )


def test_a_request_of_a_router_below_a_clients_span_replaces_it() -> None:
    routed = factories.receipt(trace={"trace_id": TRACE, "parent_span_id": SPAN})
    merged = _merged(joined(routed), span())
    found = harvest_of(merged)
    assert [tree.receipt.id for tree in found.trees] == [routed.id]
    assert found.refused == {WRAPPER: 1}


def test_requests_of_a_router_that_a_caller_hung_below_another_stay_apart() -> None:
    first = factories.receipt(id="gen-1", trace={"trace_id": TRACE, "trace_name": "Answer"})
    above = genai.whole_spans(first, namespace="router")
    second = factories.receipt(
        id="gen-2", trace={"trace_id": TRACE, "parent_span_id": above.spans[1].span_id}
    )
    third = factories.receipt(id="gen-3", trace={"trace_id": TRACE, "parent_span_id": above.spans[0].span_id})
    found = harvest_of(joined(first, second, third))
    assert [tree.receipt.id for tree in found.trees] == ["gen-1", "gen-2", "gen-3"]
    assert [(tree.receipt.trace or {}).get("trace_name") for tree in found.trees] == ["Answer", None, None]
    assert found.refused == {}


def test_a_request_of_a_client_below_a_routers_is_a_try_of_the_router() -> None:
    routed = factories.receipt(attempts=(), trace={"trace_id": TRACE, "parent_span_id": SPAN})
    [generation] = genai.whole_spans(routed, namespace="router").spans
    found = harvest_of(_merged(joined(routed), span(), span(spanId=TWO, parent=generation.span_id)))
    [tree] = found.trees
    assert (tree.receipt.id, len(tree.receipt.attempts), found.refused) == (routed.id, 1, {WRAPPER: 1})


def test_parts_without_their_request_are_refused() -> None:
    made = genai.whole_spans(factories.full_receipt(), namespace="router")
    kept = tuple(one for one in made.spans if "gen_ai.operation.name" not in one.attributes)
    alone = ResourceSpans(resource=made.resource, scope=made.scope, spans=kept)
    found = harvest_of(envelope("json", (otlp.encode(alone),)))
    assert (found.trees, found.refused) == ([], {ORPHAN: len(kept)})


@pytest.mark.parametrize(
    "names", [{"trace_name": "Answer"}, {"trace_name": "Answer", "span_name": "Look up"}]
)
def test_a_request_without_its_roots_gets_a_root_of_that_name_anew(names: dict[str, str]) -> None:
    receipt = factories.receipt(attempts=(), routing=None, trace={"parent_span_id": SPAN, **names})
    made = genai.whole_spans(receipt, namespace="router")
    alone = ResourceSpans(resource=made.resource, scope=made.scope, spans=made.spans[-1:])
    [tree] = harvest_of(envelope("json", (otlp.encode(alone),))).trees
    assert (tree.receipt.trace or {}) == {"trace_name": "Answer"}
    again = genai.whole_spans(tree.receipt, namespace="router").spans
    assert [span.name for span in again] == ["Answer", "chat openai/gpt-4o-mini"]
    assert [span.parent_span_id for span in again] == ["", again[0].span_id]


def _merged(body: bytes, *more: dict[str, Any]) -> bytes:
    document = json.loads(body)
    document["resourceSpans"].append({"scopeSpans": [{"spans": list(more)}]})
    return json.dumps(document).encode()


# -- what is no request to a model -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, genai_spans.AGENT),
        ({"gen_ai.operation.name": "create_agent"}, genai_spans.AGENT),
        ({"openinference.span.kind": "CHAIN", "llm.model_name": "m"}, genai_spans.AGENT),
        ({"openinference.span.kind": "AGENT"}, genai_spans.AGENT),
        ({"traceloop.span.kind": "workflow"}, genai_spans.AGENT),
        ({"gen_ai.operation.name": "execute_tool"}, genai_spans.TOOL),
        ({"openinference.span.kind": "TOOL"}, genai_spans.TOOL),
        ({"openinference.span.kind": "RETRIEVER"}, genai_spans.RETRIEVAL),
        ({"openinference.span.kind": "RERANKER", "llm.model_name": "m"}, genai_spans.RETRIEVAL),
        ({"http.request.method": "POST"}, genai_spans.HTTP),
        ({"http.method": "POST"}, genai_spans.HTTP),
        ({"db.system": "postgresql"}, genai_spans.FOREIGN),
        ({}, genai_spans.FOREIGN),
        ({"gen_ai.operation.name": "chat"}, genai_spans.NO_MODEL),
        ({"openinference.span.kind": "LLM"}, genai_spans.NO_MODEL),
    ],
)
def test_another_span_is_refused_and_told_why(attributes: dict[str, Any], reason: str) -> None:
    found = harvest(span(attributes), span(spanId=ONE))
    assert (len(found.trees), found.refused) == (1, {reason: 1})


def test_an_attribute_that_only_looks_like_a_test_does_not_hide_a_request() -> None:
    assert only(span({**CHAT, "my.test": True})).model == "gpt-4o"


def test_a_field_that_a_receipt_cannot_have_is_named() -> None:
    found = harvest(span({**CHAT, "user.id": "x" * 257}), span(spanId=ONE))
    assert (len(found.trees), found.refused) == (1, {"user must be at most 256 characters": 1})


def test_each_request_inside_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def facts_of(source: SourceSpan, router: Router | None) -> genai_facts.Facts:
        read.append(source.span.span_id)
        return facts(source, router)

    facts = genai_facts.facts_of
    monkeypatch.setattr(genai_facts, "facts_of", facts_of)
    only(span(), span(NO_USAGE, spanId=ONE, parent=SPAN))
    assert sorted(read) == sorted([SPAN, ONE])
