from typing import Any

import pytest

from broadcast import otlp, privacy
from broadcast.destination import Destination
from broadcast.errors import VaultError
from broadcast.genai import SpanOptions, spans
from broadcast.receipt import Receipt
from broadcast.receipt_parser import content, document, from_document
from broadcast.variation import Variation
from destinations import TYPES
from tests import factories, oracle

NS = "openrouter"
COLLECTOR = TYPES["otel-collector"].parse({"endpoint": "https://collector.example/v1/traces"})


def variation(
    level: str = "full", destination: Destination = COLLECTOR, *, stored_id: int = 1, **changes: Any
) -> Variation:
    stored = factories.stored(id=stored_id, privacy_level=level, **changes)
    return Variation(stored, destination, NS, factories.digest)


def key_of(slug: str, stored_id: int = 1, **config: Any) -> tuple[object, ...]:
    return variation(destination=TYPES[slug].parse(config), stored_id=stored_id).key


@pytest.mark.parametrize(
    ("slug", "config"),
    [
        ("otel-collector", {"endpoint": "https://a.example/v1/traces"}),
        ("webhook", {"url": "https://a.example"}),
    ],
)
def test_destinations_of_a_type_that_sends_otlp_share_their_bytes(slug: str, config: dict[str, str]) -> None:
    assert key_of(slug, 1, **config) == key_of(slug, 2, **config)


@pytest.mark.parametrize(
    ("slug", "config"),
    [
        ("posthog", {"apiKey": "phc_a"}),
        ("clickhouse", {"host": "https://a.example", "database": "d", "username": "u", "password": "p"}),
        ("langfuse", {"secretKey": "sk-lf-a", "publicKey": "pk-lf-a"}),
    ],
)
def test_destinations_whose_bytes_depend_on_their_settings_share_nothing(
    slug: str, config: dict[str, str]
) -> None:
    assert key_of(slug, 1, **config) == key_of(slug, 1, **config) != key_of(slug, 2, **config)


def test_what_goes_one_by_one_is_not_taken_for_what_goes_together() -> None:
    single = key_of("webhook", url="https://a.example", deliver="single")
    assert single != key_of("webhook", url="https://a.example", deliver="batch")


def generation(body: bytes) -> dict[str, Any]:
    request = oracle.read_json(b'{"resourceSpans":[' + body + b"]}")
    return oracle.attributes_of(oracle.spans_of(request)[0])


def with_words() -> Receipt:
    return factories.receipt(input="What is a span?", output="A piece of a trace.")


def test_content_stored_apart_is_sent() -> None:
    words = content(with_words())
    bare = from_document(document(with_words()))
    body, _ = variation().encoded(bare, words, had_content=True)
    assert body == otlp.encode(spans(bare, namespace=NS, content=words))
    assert "gen_ai.input.messages" in generation(body)
    assert f"{NS}.without_content" not in generation(body)


def test_a_receipt_whose_content_was_dropped_says_so() -> None:
    bare = from_document(document(with_words()))
    body, _ = variation().encoded(bare, None, had_content=True)
    assert generation(body)[f"{NS}.without_content"] is True


@pytest.mark.parametrize(("level", "had_content"), [("full", False), ("metadata", True)])
def test_nothing_is_missed_where_there_was_none_or_none_is_wanted(level: str, had_content: bool) -> None:
    body, _ = variation(level).encoded(factories.receipt(), None, had_content=had_content)
    assert f"{NS}.without_content" not in generation(body)


def test_a_long_text_is_cut_where_it_is_encoded_as_where_spans_are_made() -> None:
    long = factories.receipt(trace={"notes": "word " * 40_000})
    body, count = variation().encoded(long, None, had_content=False)
    cut = spans(long, namespace=NS, options=SpanOptions(max_attribute_bytes=COLLECTOR.max_attribute_bytes))
    assert body == otlp.encode(cut)
    assert count == len(cut.spans)


def test_destinations_that_let_out_other_things_share_no_bytes() -> None:
    keys = [
        variation(level, redaction_patterns=patterns, resource_attributes=added).key
        for level in privacy.LEVELS
        for patterns in (None, ("EMP-[0-9]+",))
        for added in (None, {"team": "search"})
    ]
    assert len(set(keys)) == len(keys)


def test_what_somebody_adds_to_the_resource_never_replaces_what_is_ours() -> None:
    added = {"deployment.environment.name": "staging", "service.name": "other", f"{NS}.trace.id": "other"}
    body, _ = variation(resource_attributes=added).encoded(factories.receipt(), None, had_content=False)
    request = oracle.read_json(b'{"resourceSpans":[' + body + b"]}")
    told = {one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes}
    assert told == {
        "deployment.environment.name": "staging",
        "service.name": NS,
        "service.version": "1.0.0",
        f"{NS}.trace.id": factories.receipt().id,
    }


@pytest.mark.parametrize("level", ["hashed", "redacted"])
def test_stored_content_is_changed_before_it_is_encoded(level: str) -> None:
    words = content(factories.receipt(input="Ask alice@example.com", output="Not bob@example.com"))
    body, _ = variation(level).encoded(factories.receipt(), words, had_content=True)
    told = generation(body)
    assert {"gen_ai.input.messages", "gen_ai.output.messages"} <= told.keys()
    assert b"@example.com" not in body


def test_hashes_are_not_made_without_a_key() -> None:
    with pytest.raises(VaultError):
        privacy.Privacy("hashed")


def test_a_plain_receipt_becomes_what_its_spans_become() -> None:
    plain = factories.receipt(attempts=())
    body, count = variation().encoded(plain, None, had_content=False)
    assert (body, count) == (otlp.encode(spans(plain, namespace=NS)), 1)


def test_equal_numbers_of_different_types_stay_apart_on_the_resource() -> None:
    plain = factories.receipt(attempts=())
    variations = [variation(resource_attributes={"team": value}) for value in (1, True, 1.0, "1")]
    assert len({one.key for one in variations}) == 4
    bodies = [one.encoded(plain, None, had_content=False)[0] for one in variations]
    for body, kind in zip(bodies, (b"intValue", b"boolValue", b"doubleValue", b"stringValue"), strict=True):
        assert b'{"key":"team","value":{"%b"' % kind in body
