import gzip
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from broadcast import span_ingest
from broadcast.sources.otlp_answer import PROTOBUF
from tests.broadcast.sources import spans
from tests.receiver import decode
from tests.web.api.conftest import Api

PATH = "/api/v1/otlp/v1/traces"
JSON = {"Content-Type": "application/json"}


def recent(body: bytes) -> bytes:
    """Return an export as if it had been made a moment ago."""
    document = json.loads(body)
    made = [
        span
        for entry in document["resourceSpans"]
        for scope in entry["scopeSpans"]
        for span in scope["spans"]
    ]
    shift = time.time_ns() - 5_000_000_000 - min(int(span["startTimeUnixNano"]) for span in made)
    for span in made:
        for name in ("startTimeUnixNano", "endTimeUnixNano"):
            span[name] = str(int(span[name]) + shift)
    return json.dumps(document).encode()


def post(http: Api, body: bytes, *, key: str | None = None, **headers: str) -> Any:
    sent = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return http.call("POST", PATH, key=http.api_key if key is None else key, data=body, headers=sent)


def protobuf(body: bytes) -> bytes:
    return decode(body, "application/json").SerializeToString()


def stored(http: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.call("GET", "/api/v1/requests", key=http.api_key).json["data"]
    return found


def test_json_becomes_a_receipt(http: Api) -> None:
    answer = post(http, recent(spans.export(spans.span())))
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "application/json", b"{}")
    [row] = stored(http)
    assert row["id"] == f"otlp-{spans.TRACE}-{spans.SPAN}"
    assert (row["model_id"], row["prompt_tokens"], row["completion_tokens"]) == ("gpt-4o", 100, 20)


def test_protobuf_becomes_the_same_receipt(http: Api) -> None:
    body = recent(spans.export(spans.span()))
    answer = post(http, protobuf(body), Content_Type=PROTOBUF)
    assert (answer.status_code, answer.mimetype, answer.data) == (200, PROTOBUF, b"")
    post(http, body)
    assert len(stored(http)) == 1


def test_gzip_is_opened(http: Api) -> None:
    body = gzip.compress(recent(spans.export(spans.span())))
    assert post(http, body, Content_Encoding="gzip").status_code == 200
    assert len(stored(http)) == 1


def test_a_content_type_may_have_parameters(http: Api) -> None:
    body = recent(spans.export(spans.span()))
    assert post(http, body, Content_Type="application/json; charset=utf-8").status_code == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"]
)
def test_another_content_type_is_415_with_a_status(http: Api, kind: str) -> None:
    answer = post(http, b"{}", Content_Type=kind)
    assert (answer.status_code, answer.json["code"]) == (415, 3)
    assert "application/x-protobuf" in answer.json["message"]


def test_a_second_try_of_an_exporter_is_a_duplicate(http: Api) -> None:
    body = recent(spans.openrouter("delivery"))
    assert [post(http, body).data for _ in range(2)] == [b"{}", b"{}"]
    assert [row["request_id"] for row in stored(http)] == ["gen-1790605504-cpHCKdt8gpR7ocyZa2Hv"]


def test_the_same_span_with_other_content_is_rejected_and_changes_nothing(http: Api) -> None:
    body = recent(spans.export(spans.span()))
    post(http, body)
    answer = post(http, body.replace(b"gpt-4o", b"gpt-5x"))
    assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
    assert [row["model_id"] for row in stored(http)] == ["gpt-4o"]


def test_an_export_of_foreign_spans_is_200_with_all_rejected(http: Api) -> None:
    body = spans.export(
        spans.span({"db.system": "postgresql"}),
        spans.span({"gen_ai.operation.name": "execute_tool"}, spanId="0" * 15 + "2"),
    )
    answer = post(http, recent(body))
    assert answer.status_code == 200
    assert answer.json["partialSuccess"]["rejectedSpans"] == "2"
    assert "1 x no GenAI attributes" in answer.json["partialSuccess"]["errorMessage"]
    assert "1 x tool calls are not requests to a model" in answer.json["partialSuccess"]["errorMessage"]


def test_a_partial_success_has_the_encoding_of_its_request(http: Api) -> None:
    body = protobuf(recent(spans.export(spans.span({}), spans.span(spanId="0" * 15 + "2"))))
    answer = post(http, body, Content_Type=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.data).partial_success
    assert (partial.rejected_spans, partial.error_message) == (
        1,
        "Spans not stored: 1 x no GenAI attributes.",
    )
    assert len(stored(http)) == 1


@pytest.mark.parametrize("after_s", [-40 * 86_400, 3600])
def test_a_span_of_another_time_is_rejected_with_the_reason(http: Api, after_s: int) -> None:
    at = time.time_ns() + after_s * 1_000_000_000
    body = spans.export(spans.span(startTimeUnixNano=str(at), endTimeUnixNano=str(at)))
    answer = post(http, body)
    assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
    assert "created_at" in answer.json["partialSuccess"]["errorMessage"]


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[", b'{"resourceSpans": 5}', b"\xff", b"[]", b'{"resourceLogs":[]}']
)
def test_what_is_no_json_export_is_400_with_a_status(http: Api, body: bytes) -> None:
    answer = post(http, body)
    assert (answer.status_code, answer.json["code"]) == (400, 3)
    assert answer.json["error"]["metadata"]["reason"] == "not_otlp"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[]", "it has"),
        (b'{"resourceSpans": 5}', "resourceSpans has"),
        (b'{"resourceSpans": [5]}', "resourceSpans[0] has"),
    ],
)
def test_the_place_at_fault_of_a_json_export_is_named(http: Api, body: bytes, words: str) -> None:
    message = post(http, body).json["message"]
    assert message == f"The body is not an OTLP trace request: {words} a value of the wrong kind."


def test_what_is_no_protobuf_is_400_with_a_status_in_protobuf(http: Api) -> None:
    answer = post(http, b"hello", Content_Type=PROTOBUF)
    assert (answer.status_code, answer.mimetype) == (400, PROTOBUF)
    status = ExportTracePartialSuccess.FromString(answer.data)  # the same fields as google.rpc.Status
    assert (status.rejected_spans, status.error_message[:26]) == (3, "The body is not protobuf: ")


@pytest.mark.parametrize(("body", "kind"), [(b"{}", "application/json"), (b"", PROTOBUF)])
def test_an_empty_export_is_accepted(http: Api, body: bytes, kind: str) -> None:
    assert post(http, body, Content_Type=kind).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b" " * (16 * 2**20 + 1), {}),
        (gzip.compress(b" " * 200_000_000), {"Content_Encoding": "gzip"}),
    ],
    ids=["long", "bomb"],
)
def test_a_body_over_the_limit_is_413(http: Api, body: bytes, headers: dict[str, str]) -> None:
    assert post(http, body, **headers).status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_what_is_not_the_encoding_it_says_is_400(http: Api, encoding: str) -> None:
    assert post(http, b"{}", Content_Encoding=encoding).status_code == 400


def test_no_key_is_401_and_a_key_without_the_scope_403(http: Api) -> None:
    made = http.call(
        "POST", "/api/v1/keys", key=http.management_key, body={"name": "Chat", "scopes": ["chat"]}
    )
    assert (
        post(http, b"{}", key="nonsense").status_code,
        post(http, b"{}", key="nonsense").json["code"],
    ) == (401, 16)
    assert (post(http, b"{}", key=made.json["key"]).status_code) == 403


def test_a_stopped_writer_asks_the_exporter_to_come_again(http: Api) -> None:
    http.services.ingest.stop()
    answer = post(http, recent(spans.export(spans.span())))
    assert (answer.status_code, answer.json["code"]) == (503, 14)
    assert int(answer.headers["Retry-After"]) >= 1


def test_too_many_large_exports_at_once_are_asked_to_come_again(
    http: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_ingest, "_PATIENCE_S", 0)
    body = b" " * 2**20 + recent(spans.export(spans.span()))
    assert post(http, body).status_code == 200
    with span_ingest._room(len(body)), span_ingest._room(len(body)):
        answer = post(http, body)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


@pytest.mark.parametrize("body", [b"", b'{"resourceSpans":[]}', spans.openrouter("connection-test")])
def test_a_connection_test_of_openrouters_webhook_is_200_and_not_counted(http: Api, body: bytes) -> None:
    answer = post(http, body, X_Test_Connection="true")
    assert (answer.status_code, answer.data, stored(http)) == (200, b"{}", [])


def test_a_connection_test_needs_a_key_too(http: Api) -> None:
    assert post(http, b"", key="nonsense", X_Test_Connection="true").status_code == 401


def test_a_connection_test_without_the_header_is_known_by_its_span(http: Api) -> None:
    answer = post(http, spans.openrouter("connection-test"))
    assert (answer.status_code, answer.data, stored(http)) == (200, b"{}", [])


def test_messages_too_large_for_a_receipt_are_cut_and_said_to_be(http: Api) -> None:
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "x" * 2_000_000}]}])
    answer = post(http, recent(spans.export(spans.span({**spans.CHAT, "gen_ai.input.messages": asked}))))
    partial = answer.json["partialSuccess"]
    assert (partial["rejectedSpans"], "cut in 1 of the stored requests" in partial["errorMessage"]) == (
        "0",
        True,
    )
    [row] = stored(http)
    one = http.call("GET", f"/api/v1/requests/{row['id']}", key=http.api_key).json
    assert one["receipt"]["metadata"]["content_cut"] is True


def test_what_a_span_holds_is_never_repeated_in_an_answer(http: Api) -> None:
    secret = {**spans.CHAT, "user.id": "hunter2" * 100, "gen_ai.input.messages": "hunter2"}
    answer = post(http, recent(spans.export(spans.span(secret))))
    assert answer.json["partialSuccess"]["rejectedSpans"] == "1"
    assert "user must be at most 256 characters" in answer.json["partialSuccess"]["errorMessage"]
    assert b"hunter2" not in answer.data


# -- anything at all ---------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *spans.CHAT,
        "openinference.span.kind",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.prompt.0.content",
        "llm.input_messages.0.message.role",
        "llm.invocation_parameters",
        "trace.metadata.a.b",
        "trace.metadata",
        "gen_ai.response.finish_reasons",
        "user.id",
        "openrouter.capabilities",
        "gen_ai.usage.cost",
    ]
)
ANY_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "stringValue": st.text() | st.none() | st.just('{"a": [') | JSON_VALUES.map(json.dumps),
        "intValue": JSON_VALUES,
        "doubleValue": JSON_VALUES,
        "boolValue": JSON_VALUES,
        "arrayValue": JSON_VALUES,
        "kvlistValue": JSON_VALUES,
    },
)
IDS = st.sampled_from([spans.TRACE, spans.SPAN, "0" * 16, "zz", "", None, "a" * 16, "b" * 16, 5])
SPANS = st.fixed_dictionaries(
    {},
    optional={
        "traceId": st.just(spans.TRACE) | IDS,
        "spanId": st.just(spans.SPAN) | IDS,
        "parentSpanId": IDS,
        "name": JSON_VALUES,
        "kind": JSON_VALUES,
        "startTimeUnixNano": st.just(str(time.time_ns())) | JSON_VALUES,
        "endTimeUnixNano": st.just(str(time.time_ns())) | JSON_VALUES,
        "attributes": st.lists(st.fixed_dictionaries({"key": KEYS, "value": ANY_VALUES}), max_size=6)
        | JSON_VALUES,
        "events": st.lists(st.fixed_dictionaries({"name": st.text()}), max_size=2) | JSON_VALUES,
        "status": JSON_VALUES | st.just({"code": 2}),
    },
)
EXPORTS = st.builds(
    lambda made, resource: {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": made}]}]},
    st.lists(SPANS | JSON_VALUES, max_size=4),
    JSON_VALUES | st.just({"attributes": spans.pairs({"service.name": "x", "x.trace.id": "gen-1"})}),
)
ANYTHING = st.one_of(
    EXPORTS.map(lambda made: json.dumps(made).encode("utf-8", "surrogatepass")),
    JSON_VALUES.map(lambda made: json.dumps(made).encode()),
    st.binary(max_size=200),
)
GARBAGE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@GARBAGE
@given(body=ANYTHING, is_json=st.booleans())
def test_anything_at_all_is_answered_and_never_with_a_fault(http: Api, body: bytes, is_json: bool) -> None:
    answer = post(http, body, Content_Type="application/json" if is_json else PROTOBUF)
    assert answer.status_code in {200, 400}


@GARBAGE
@given(data=st.data())
def test_a_broken_protobuf_export_is_answered_and_never_with_a_fault(http: Api, data: Any) -> None:
    whole = bytearray(protobuf(recent(spans.export(spans.span()))))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    assert post(http, bytes(whole), Content_Type=PROTOBUF).status_code in {200, 400}
