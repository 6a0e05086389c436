"""What sends: the gateway's endpoints, and the sources that post receipts."""

from typing import Any, Final

from web.api.description.words import (
    ANY,
    FLAG,
    OBJECT,
    OFFSET,
    TEXT,
    WHOLE,
    Operation,
    Query,
    data,
    maybe,
    ref,
    rows,
)

_OURS: Final[dict[str, Any]] = {
    "trace": maybe(OBJECT),
    "session_id": maybe(TEXT | {"maxLength": 256}),
    "user": maybe(TEXT | {"maxLength": 256}),
}
_JSON_OR_EVENTS: Final = ("application/json", "text/event-stream")
_ABOUT: Final = (
    "Passes to a provider and back as it came, but for the id. `trace`, `session_id` and `user` stay here; "
    "`X-Trace-Id` names the spans' trace."
)


def _routed(path: str, title: str, needed: dict[str, Any], *, streams: bool = True) -> Operation:
    """Return an endpoint of the gateway: what it needs is described, the rest passes."""
    return Operation(
        method="post",
        path=f"/api/v1/{path}",
        title=title,
        tag="gateway",
        key="chat",
        about=_ABOUT,
        body={
            "type": "object",
            "required": ["model", *needed],
            "properties": {
                "model": TEXT | {"minLength": 1, "maxLength": 256},
                **needed,
                **({"stream": maybe(FLAG)} if streams else {}),
                **_OURS,
            },
        },
        answers={200: ANY},
        answer_types=_JSON_OR_EVENTS if streams else ("application/json",),
        refusals=(404, 429, 502),
        passes_on=True,
    )


_MESSAGES: Final = rows(OBJECT) | {"minItems": 1}
_GATEWAY: Final = (
    _routed("chat/completions", "Answer a chat request", {"messages": _MESSAGES}),
    _routed("messages", "Answer a request in Anthropic's form", {"messages": _MESSAGES}),
    _routed("responses", "Answer a request in the form of OpenAI's Responses", {"input": ANY}),
    _routed("embeddings", "Make embeddings", {"input": ANY}, streams=False),
    Operation(
        method="get",
        path="/api/v1/models",
        title="List the models",
        tag="gateway",
        key="chat",
        about="All of them, or one page where `offset` or `limit` asks for it; `links.next` leads on.",
        query=(
            OFFSET,
            Query(name="limit", schema=WHOLE | {"minimum": 1, "maximum": 1000}, about="At most so many."),
        ),
        answers={200: OBJECT},
        refusals=(422,),
    ),
    Operation(
        method="get",
        path="/api/v1/model/{model}",
        title="Read one model",
        tag="gateway",
        key="chat",
        about="As the list has it; the name with its slash, as requests name it.",
        answers={200: data(OBJECT)},
        refusals=(404,),
    ),
    Operation(
        method="get",
        path="/api/v1/generation",
        title="Read one request in OpenRouter's form",
        tag="gateway",
        key="chat",
        query=(Query(name="id", schema=TEXT, about="The generation's id.", required=True),),
        answers={200: data(OBJECT)},
        refusals=(404, 422),
    ),
    Operation(
        method="get",
        path="/api/v1/generation/content",
        title="Read prompt and completion of one request, while they are kept",
        tag="gateway",
        key="chat",
        query=(Query(name="id", schema=TEXT, about="The generation's id.", required=True),),
        answers={200: data(OBJECT)},
        refusals=(404, 422),
    ),
)

_POSTED: Final = {"anyOf": [ref("ReceiptPosted"), rows(ref("ReceiptPosted"))]}
_REFUSED: Final = OBJECT | {
    "description": "A google.rpc.Status, as OTLP says; as JSON with every route's error beside it.",
    "required": ["code", "message", "error"],
    "properties": {"code": WHOLE, "message": TEXT, "error": OBJECT},
}
_SOURCES: Final = (
    Operation(
        method="post",
        path="/api/v1/receipts",
        title="Keep receipts of any router",
        tag="sources",
        key="receipts:write",
        about="One object, an array, or NDJSON; gzip allowed. A bad one never stops its neighbours.",
        body=_POSTED,
        body_types=("application/json", "application/x-ndjson"),
        answers={202: ref("Accepted"), 422: {"anyOf": [ref("Accepted"), ref("Error")]}},
        refusals=(415, 429),
    ),
    Operation(
        method="post",
        path="/api/v1/receipts/litellm",
        title="Keep what LiteLLM's `generic_api` callback posts",
        tag="sources",
        key="receipts:write",
        body={"anyOf": [OBJECT, rows(OBJECT)]},
        answers={202: ref("Accepted"), 422: {"anyOf": [ref("Accepted"), ref("Error")]}},
        refusals=(415, 429),
    ),
    Operation(
        method="post",
        path="/api/v1/otlp/v1/traces",
        title="Keep the GenAI spans of any OpenTelemetry exporter",
        tag="sources",
        key="receipts:write",
        about="gzip allowed. Spans that were not stored are a partial success, with the reasons. "
        "Every answer has the encoding of its request.",
        body=OBJECT,
        body_types=("application/json", "application/x-protobuf"),
        answers={200: OBJECT, **dict.fromkeys((400, 401, 403, 413, 415, 429, 503), _REFUSED)},
        answer_types=("application/json", "application/x-protobuf"),
    ),
)

OPERATIONS: Final = (*_GATEWAY, *_SOURCES)
