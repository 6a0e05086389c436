"""What differs from request to request, worked out: `genai` and `genai_attributes` only give it names."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broadcast import genai_names as names
from broadcast import trace_metadata
from broadcast.json_text import INT64_MAX, INT64_MIN
from broadcast.receipt import ProviderAttempt, Receipt, Routing
from broadcast.span import Attributes
from broadcast.trace_context import caller_text, ids_of, says, span_id

_NANO: Final = 1_000_000_000
_NUMBERS: Final = names.NUMBER_PARAMETERS
_WHOLES: Final = names.WHOLE_PARAMETERS


class Root(msgspec.Struct, frozen=True, gc=False):
    """A span that the caller named, around what comes after it."""

    span_id: str
    name: str


class Route(msgspec.Struct, frozen=True, gc=False):
    """The router's choice."""

    span_id: str
    end_ns: int


class Try(msgspec.Struct, frozen=True, gc=False):
    """One of the router's tries; `failure` says why it ended a request that failed."""

    span_id: str
    name: str
    start_ns: int
    end_ns: int
    provider: str
    duration_ms: int
    provider_slug: str | None
    status_code: int | None
    error_type: str | None
    failure: str | None


Part = Root | Route | Try


class Measures(msgspec.Struct, frozen=True, gc=False):
    """One request's own values; None is not said.

    The last three are attributes by name, twice, and the values of the other spans, in order.
    """

    receipt_id: str
    trace_id: str
    span_id: str
    parent: str | None
    start_ns: int
    end_ns: int
    response_id: str
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    input_cost: float | None
    output_cost: float | None
    upstream_cost: float | None
    duration_ms: int
    first_token_ms: int | None
    time_to_first_chunk: float | None
    tokens_per_second: float | None
    attempts: int | None
    user: str | None
    session_id: str | None
    trace_name: str | None
    generation_name: str | None
    error_type: str | None
    failure: str | None
    metadata: Attributes
    parameters: Attributes
    parts: tuple[Part, ...]


def measures(receipt: Receipt) -> Measures:
    """Return a receipt's own values."""
    return Measures(*values_of(receipt))


def values_of(receipt: Receipt) -> list[Any]:
    """Return what `Measures` holds, in its order: as a record a mould would only take it apart again.

    Milliseconds are whole: Tempo takes quantiles of whole numbers only.
    """
    trace_id, parent, span_id = ids_of(receipt)
    start_ns, duration_us = receipt.created_at_us * 1000, receipt.duration_us
    asked = written = total = cached = kept = thought = None
    if (usage := receipt.usage) is not None:
        asked, written, total = usage.input_tokens, usage.output_tokens, usage.total_tokens
        cached, kept, thought = usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens
        if total is None and asked is not None and written is not None:
            total = asked + written
    cost = input_cost = output_cost = upstream_cost = None
    if (money := receipt.cost) is not None:
        if money.total_nano_usd is not None:
            cost = money.total_nano_usd / _NANO
        if money.input_nano_usd is not None:
            input_cost = money.input_nano_usd / _NANO
        if money.output_nano_usd is not None:
            output_cost = money.output_nano_usd / _NANO
        if money.upstream_nano_usd is not None:
            upstream_cost = money.upstream_nano_usd / _NANO
    first_ms = receipt.timing.first_token_ms if receipt.timing is not None else None
    trace, attempts = receipt.trace, receipt.attempts
    end_ns = start_ns + duration_us * 1000
    named = says(trace)
    failure = None if receipt.status == "succeeded" else error_type_of(receipt)
    return [
        receipt.id,
        trace_id,
        span_id,
        parent or None,
        start_ns,
        end_ns,
        (attempts[-1].id if attempts else None) or receipt.id,
        asked,
        written,
        total,
        cached,
        kept,
        thought,
        cost,
        input_cost,
        output_cost,
        upstream_cost,
        round(duration_us / 1000),
        None if first_ms is None else round(first_ms),
        None if first_ms is None else first_ms / 1000,
        _tokens_per_second(written, duration_us, first_ms) if written else None,
        len(attempts) or None,
        receipt.user,
        receipt.session_id,
        caller_text(trace, "trace_name") or None if named else None,
        caller_text(trace, "generation_name") or None if named else None,
        failure,
        None if failure is None else (receipt.error and receipt.error.message) or failure,
        trace_metadata.attributes(trace) if trace else {},
        parameters(receipt.parameters) if receipt.parameters else {},
        _parts(receipt, start_ns, end_ns, named=named) if named or receipt.routing or attempts else (),
    ]


def _parts(receipt: Receipt, start_ns: int, end_ns: int, *, named: bool) -> tuple[Part, ...]:
    routing = receipt.routing
    return (
        *(_roots(receipt) if named else ()),
        *((_route(receipt, routing, start_ns, end_ns),) if routing is not None else ()),
        *[_try(receipt, one, index, start_ns, end_ns) for index, one in enumerate(receipt.attempts)],
    )


def _roots(receipt: Receipt) -> Iterator[Root]:
    for key, part in (("trace_name", "trace"), ("span_name", "span")):
        name = caller_text(receipt.trace, key)
        if name:
            yield Root(span_id(receipt.id, part), name)


def _route(receipt: Receipt, routing: Routing, start_ns: int, end_ns: int) -> Route:
    took_ms = routing.duration_ms
    if took_ms is None and receipt.timing is not None:
        took_ms = receipt.timing.router_ms
    return Route(span_id(receipt.id, "route"), _inside(start_ns, end_ns, took_ms or 0))


def _try(receipt: Receipt, attempt: ProviderAttempt, index: int, start_ns: int, end_ns: int) -> Try:
    """A failed try of a request that succeeded has no status: `status = error` finds failed requests only."""
    begun_ms, took_ms, status = attempt.start_ms, attempt.duration_ms, attempt.status_code
    error_type = failure = None
    if attempt.error_type is not None or (status or 0) >= 400:
        error_type = attempt.error_type or str(status)
        failure = None if receipt.status == "succeeded" else attempt.error_message or error_type
    return Try(
        span_id(receipt.id, f"attempt-{index}"),
        f"provider attempt {index + 1}: {attempt.provider}",
        _inside(start_ns, end_ns, begun_ms),
        _inside(start_ns, end_ns, begun_ms + took_ms),
        attempt.provider,
        round(took_ms),
        attempt.provider_slug,
        status,
        error_type,
        failure,
    )


def _inside(start_ns: int, end_ns: int, offset_ms: float) -> int:
    """Return the instant, moved inside the generation: no child ends after its parent."""
    return min(start_ns + round(offset_ms * 1000) * 1000, end_ns)


def error_type_of(receipt: Receipt) -> str:
    """Return what kind of failure it was; an empty text when the request succeeded."""
    if receipt.status == "succeeded":
        return ""
    return receipt.error.type if receipt.error is not None and receipt.error.type else receipt.status


def _tokens_per_second(tokens: int, duration_us: int, first_token_ms: float | None) -> float | None:
    """Return how fast the answer was written, once it had begun."""
    writing_s = duration_us / 1_000_000
    if first_token_ms is not None and first_token_ms * 1000 < duration_us:
        writing_s -= first_token_ms / 1000
    # Three places; to ask `round` for them costs twice as much.
    return round(tokens / writing_s * 1000) / 1000 if writing_s > 0 else None


def parameters(given: dict[str, Any]) -> Attributes:
    """Return parameters of the convention's types: an attribute keeps its type for ever."""
    found: Attributes = {}
    for key, value in given.items():
        kind = type(value)
        if kind is int or kind is float:
            if key in _NUMBERS:
                found[_NUMBERS[key]] = value if kind is float else float(value)
            elif key in _WHOLES and INT64_MIN <= value <= INT64_MAX and (kind is int or value.is_integer()):
                found[_WHOLES[key]] = int(value)
        elif key == "stop":
            stops = (value,) if kind is str else tuple(value) if kind in {list, tuple} else ()
            if stops and all(type(stop) is str for stop in stops):
                found[names.STOP_SEQUENCES] = stops
    return found
