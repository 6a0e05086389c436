"""Exports to test with, written as an SDK or OpenRouter would send them."""

import json
from pathlib import Path
from typing import Any, Final

from broadcast.sources import otlp_reader, span_trees
from broadcast.sources.span_trees import Harvest
from tests.factories import AT_US

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = "00f067aa0ba902b7"
START_NS: Final = AT_US * 1000
CHAT: Final = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}


def value(given: Any) -> dict[str, Any]:
    """Return a value as OTLP/JSON writes it."""
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    if isinstance(given, str):
        return {"stringValue": given}
    if isinstance(given, dict):
        return {"kvlistValue": {"values": pairs(given)}}
    return {"arrayValue": {"values": [value(item) for item in given]}}


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(given)} for key, given in attributes.items()]


def event(name: str, after: float = 0, /, **attributes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "timeUnixNano": str(START_NS + round(after * 1_000_000)),
        "attributes": pairs(attributes),
    }


def span(attributes: dict[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    """Return one span of a second; `parent` is a span id."""
    parent = more.pop("parent", None)
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        **({"parentSpanId": parent} if parent else {}),
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(START_NS + 1_000_000_000),
        "attributes": pairs(CHAT if attributes is None else attributes),
        **more,
    }


def export(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": pairs(resource or {})},
                    "scopeSpans": [{"scope": {"name": "tests"}, "spans": list(spans)}],
                }
            ]
        }
    ).encode()


def harvest(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> Harvest:
    return span_trees.harvest(otlp_reader.read(export(*spans, resource=resource), is_json=True))


def harvest_of(body: bytes, *, is_json: bool = True) -> Harvest:
    return span_trees.harvest(otlp_reader.read(body, is_json=is_json), key_hash="a" * 64)


def openrouter(name: str) -> bytes:
    """Return one of the published captures of OpenRouter's wire, kept beside the tests."""
    return (Path(__file__).parent / "openrouter_wire" / f"{name}.json").read_bytes()
