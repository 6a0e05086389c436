"""Whatever a client sends and a provider answers, there is an answer, a trace id and a receipt."""

import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast import receipt_parser
from broadcast.gateway import Api, Gateway, load_upstreams
from broadcast.gateway.apis import APIS
from broadcast.gateway.shapes import SHAPES
from broadcast.receipt import Receipt
from broadcast.trace_context import trace_id_of
from tests.broadcast.gateway.conftest import AKey, now_us

FIELDS: Final = (
    *("messages", "input", "system", "instructions", "prompt", "metadata", "trace", "session_id", "user"),
    *("stream", "stream_options", "max_tokens", "dimensions", "encoding_format", "tools", "tool_choice"),
    *("response_format", "text", "reasoning", "thinking", "plugins", "provider", "stop", "temperature"),
)
GATEWAY: Final = Gateway(load_upstreams(None, {}, with_demo=True), "openrouter", now_us)
QUIET: Final = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

words = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            words | st.sampled_from(("role", "content", "type", "text", "id")), inner, max_size=4
        )
    ),
    max_leaves=12,
)
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(("text", "input_text", "image_url", "tool_result"))}, optional={"text": values}
)
messages = st.lists(
    st.fixed_dictionaries({"role": words, "content": words | st.lists(parts | values, max_size=3) | values}),
    min_size=1,
    max_size=3,
)
requests = st.fixed_dictionaries(
    {"model": st.just("demo/echo") | words | values},
    optional={name: values | messages | words | st.booleans() for name in FIELDS},
)


def checked(api: Api, body: bytes) -> None:
    answer = GATEWAY.serve(api, body, workspace_id=1, key=AKey(), headers={}, now_us=now_us())
    if not isinstance(answer.body, bytes):
        b"".join(answer.body)
        answer.body.close()
    receipt = receipt_parser.mended(answer.receipt())
    assert answer.status != 500
    assert answer.headers["X-Trace-Id"] == trace_id_of(receipt)
    assert msgspec.json.decode(receipt_parser.document(receipt), type=Receipt).id == receipt.id
    receipt_parser.content(receipt)


@pytest.mark.parametrize("api", APIS)
def test_any_json_object(api: Api) -> None:
    @QUIET
    @given(requests)
    def check(fields: dict[str, Any]) -> None:
        checked(api, json.dumps(fields).encode())

    check()


@pytest.mark.parametrize("api", APIS)
def test_any_bytes(api: Api) -> None:
    @QUIET
    @given(st.binary(max_size=200) | words.map(str.encode))
    def check(body: bytes) -> None:
        checked(api, body)

    check()


@pytest.mark.parametrize("api", APIS)
def test_any_answer_of_a_provider_is_read_without_harm(api: Api) -> None:
    kinds = st.sampled_from(
        ("content_block_delta", "message_start", "message_delta", "error", "response.completed")
    )
    told = st.dictionaries(
        st.sampled_from(
            (
                "id",
                "type",
                "choices",
                "delta",
                "usage",
                "error",
                "message",
                "output",
                "response",
                "item",
                "index",
            )
        )
        | words,
        values | kinds,
        max_size=6,
    )

    @QUIET
    @given(st.lists(told | values, max_size=5))
    def check(documents: list[Any]) -> None:
        streamed, whole = SHAPES[api].reading(), SHAPES[api].reading()
        for document in documents:
            streamed.chunk(document)
            whole.whole(document)
        for reading in (streamed, whole):
            json.dumps([reading.output, str(reading.usage), str(reading.error)])

    check()
