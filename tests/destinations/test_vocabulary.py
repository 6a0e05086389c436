"""Words of their own, under every privacy level and within every limit."""

from typing import Any

import msgspec
import pytest

from broadcast import genai, genai_names, privacy
from broadcast.destination import Destination, envelope
from broadcast.messages import input_messages, output_messages
from broadcast.receipt import Error, ProviderAttempt, Receipt
from broadcast.store.destinations import StoredDestination
from broadcast.variation import Variation
from destinations import TYPES
from tests import factories
from tests.destinations.wire import RECEIPT
from tests.receiver import SeenSpan, decode, spans_of

CANARY = "the-canary-prompt"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": f'{{"a":"{CANARY}"}}'}}
WHOLE = msgspec.structs.replace(
    RECEIPT,
    input=[
        {"role": "user", "content": [{"type": "text", "text": CANARY}, IMAGE]},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": CANARY},
    ],
    output=[{"role": "assistant", "content": CANARY, "tool_calls": [CALL]}],
    parameters={"temperature": 0.5, "tools": [CANARY]},
    metadata={"note": CANARY},
)
FAILED = msgspec.structs.replace(
    WHOLE,
    status="error",
    error=Error(type="overloaded", message=CANARY),
    attempts=(
        ProviderAttempt(
            provider="A", status_code=529, error_type="busy", error_message=CANARY, start_ms=0, duration_ms=1
        ),
        ProviderAttempt(provider="B", status_code=200, start_ms=1, duration_ms=1),
    ),
)
OTLP = [slug for slug, kind in TYPES.items() if not kind.has_own_api()]

every_type = pytest.mark.parametrize("slug", TYPES)
every_otlp_type = pytest.mark.parametrize("slug", OTLP)


def made(slug: str) -> Destination:
    return TYPES[slug].parse({spec.outside: spec.example for spec in TYPES[slug].specs()})


def encoded(slug: str, receipt: Receipt, level: str) -> bytes:
    groups = [
        name for name in StoredDestination.__dataclass_fields__ if name.startswith("broadcast_generation_")
    ]
    stored = factories.stored(privacy_level=level, **dict.fromkeys(groups, True))
    variation = Variation(stored, made(slug), "openrouter", factories.digest)
    return variation.encoded(receipt, None, had_content=False)[0]


def spans(slug: str, receipt: Receipt, level: str = "full") -> list[SeenSpan]:
    destination = made(slug)
    body = envelope(destination.encoding, (encoded(slug, receipt, level),))
    media_type = {"json": "application/json", "protobuf": "application/x-protobuf"}[destination.encoding]
    return spans_of(decode(body, media_type))


@every_type
@pytest.mark.parametrize("receipt", [WHOLE, FAILED], ids=["succeeded", "failed"])
def test_no_word_of_content_leaves_where_metadata_alone_may(slug: str, receipt: Receipt) -> None:
    assert CANARY.encode() not in encoded(slug, receipt, "metadata")


@every_otlp_type
@pytest.mark.parametrize("level", privacy.LEVELS)
@pytest.mark.parametrize("receipt", [WHOLE, FAILED], ids=["succeeded", "failed"])
def test_content_of_its_own_is_there_exactly_where_the_conventions_content_is(
    slug: str, level: str, receipt: Receipt
) -> None:
    for span in spans(slug, receipt, level):
        usual = {genai_names.INPUT_MESSAGES, genai_names.OUTPUT_MESSAGES}
        own = {name for name in span.attributes if genai_names.is_content(name)} - usual
        assert not own or usual <= span.attributes.keys()


@every_otlp_type
def test_only_what_is_known_as_content_holds_any(slug: str) -> None:
    asked = input_messages([{"role": "user", "content": CANARY}])
    answered = output_messages([{"role": "assistant", "content": CANARY}], "stop")
    own = made(slug).content_attributes(asked, answered)
    assert all(genai_names.is_content(name) for name, value in own.items() if CANARY in str(value))
    assert CANARY not in str(made(slug).extra_attributes(WHOLE))
    assert CANARY not in str(made(slug).resource_attributes())


@every_otlp_type
def test_one_span_of_a_request_is_counted(slug: str) -> None:
    counted = [span for span in spans(slug, FAILED) if "gen_ai.operation.name" in span.attributes]
    assert len(counted) == 1
    others = [span for span in spans(slug, FAILED) if span.name != counted[0].name]
    assert len(others) == 3
    own = set(made(slug).extra_attributes(FAILED))
    assert all(own.isdisjoint(span.attributes) for span in others)


@every_otlp_type
def test_the_resource_goes_with_every_receipt(slug: str) -> None:
    wanted = made(slug).resource_attributes()
    for span in spans(slug, WHOLE):
        assert {name: span.resource[name] for name in wanted} == wanted
        assert span.resource["openrouter.trace.id"] == "gen-1"


@every_otlp_type
def test_every_attribute_has_a_type_that_otlp_vendors_take(slug: str) -> None:
    destination = made(slug)
    asked, answered = input_messages(WHOLE.input), output_messages(WHOLE.output, "stop")
    found = {
        **destination.extra_attributes(WHOLE),
        **destination.resource_attributes(),
        **destination.content_attributes(asked, answered),
    }
    for name, value in found.items():
        items = value if isinstance(value, tuple) else (value,)
        assert {type(item) for item in items} <= {str, bool, int, float}, name
        assert len({type(item) for item in items}) == 1, name


@pytest.mark.parametrize("slug", ["arize", "phoenix", "langsmith", "newrelic"])
def test_a_very_long_conversation_fits(slug: str) -> None:
    words = "word " * 400
    long = [{"role": ("user", "assistant")[turn % 2], "content": words} for turn in range(1500)]
    body = encoded(slug, msgspec.structs.replace(WHOLE, input=long), "full")
    assert len(body) <= made(slug).max_bytes


@every_otlp_type
@pytest.mark.parametrize("changes", [{"usage": None}, {"cost": None}, {"trace": None}, {"session_id": None}])
def test_what_is_unknown_is_left_out(slug: str, changes: dict[str, Any]) -> None:
    found = made(slug).extra_attributes(msgspec.structs.replace(RECEIPT, **changes))
    assert not {None, "", "{}", "null"} & {value for value in found.values() if value.__hash__}


def test_the_test_span_goes_where_the_spans_go() -> None:
    project = made("google-cloud").resource_attributes()
    sent = made("google-cloud").encode(genai.test_span(1, "test", "openrouter"))
    (span,) = spans_of(decode(sent, "application/x-protobuf"))
    assert project.items() <= span.resource.items()
