"""Make a receipt's spans fit: content is cut first so that JSON stays JSON, then the longest metadata.

What was cut says so: `<key>.truncated` = true, and one event `{ns}.trace_truncated` with the keys.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import structs

from broadcast import genai_names as names
from broadcast import trace_metadata
from broadcast.errors import ReceiptError
from broadcast.span import Attributes, Event, ResourceSpans, Span

_MARK: Final = "[truncated]"
_CONTENT: Final = frozenset(names.CONTENT)
_SMALLEST: Final = 64
_encode: Final = msgspec.json.Encoder().encode


def within(
    made: ResourceSpans,
    *,
    encode: Callable[[ResourceSpans], bytes],
    max_attribute_bytes: int,
    max_bytes: int,
) -> bytes:
    """Return the encoding with every text within its limit and the whole within `max_bytes`."""
    encoded = encode(made)
    if len(encoded) <= sure_bytes(max_attribute_bytes=max_attribute_bytes, max_bytes=max_bytes):
        return encoded
    cut = cut_attributes(made, limit=max_attribute_bytes)
    if cut is not made:
        made, encoded = cut, encode(cut)
    return encoded if len(encoded) <= max_bytes else fit(made, encode=encode, max_bytes=max_bytes)


def sure_bytes(*, max_attribute_bytes: int, max_bytes: int) -> int:
    """Return how long an encoding may be, as most are, to be within both limits without a look at its texts.

    No text is longer than the whole, nor as JSON longer than six times that.
    """
    return min(max_attribute_bytes // 6, max_bytes)


def cut_attributes(made: ResourceSpans, *, limit: int) -> ResourceSpans:
    """Return the spans with every text within `limit` bytes; the same object when nothing was too long."""
    quarter = limit // 4
    for span in made.spans:
        if _has_long(span, quarter):
            cut = tuple(_cut_span(item, made.scope, lambda _key, _value: limit) for item in made.spans)
            return structs.replace(made, spans=cut)
    return made


def fit(
    made: ResourceSpans, *, encode: Callable[[ResourceSpans], bytes], max_bytes: int, allowance: int = 64
) -> bytes:
    """Return the encoding within `max_bytes`; raise `ReceiptError` when ids, cost and tokens do not fit."""
    encoded = encode(made)
    target = max_bytes - allowance
    for affected in (names.is_content, _is_metadata, _is_any):
        limit = max_bytes
        while len(encoded) > target and limit > _SMALLEST:
            limit //= 2
            made = _cut_all(made, affected, limit)
            encoded = encode(made)
    if len(encoded) > target:
        made = _without_metadata(made)
        encoded = encode(made)
    if len(encoded) > target:
        raise ReceiptError(f"The receipt does not fit into {max_bytes} bytes, even without content.")
    return encoded


def _is_metadata(key: str) -> bool:
    return key.startswith(trace_metadata.PREFIX) or key == names.TRACE_METADATA


def _is_any(_key: str) -> bool:
    return True


def _cut_all(made: ResourceSpans, affected: Callable[[str], bool], limit: int) -> ResourceSpans:
    def allowed(key: str, value: str) -> int:
        return limit if affected(key) else len(value) * 4

    return structs.replace(made, spans=tuple(_cut_span(span, made.scope, allowed) for span in made.spans))


def _without_metadata(made: ResourceSpans) -> ResourceSpans:
    """Very many or very long keys: metadata goes as a whole, and the event says so."""
    spans: list[Span] = []
    for span in made.spans:
        kept = {key: value for key, value in span.attributes.items() if not _is_metadata(key)}
        if len(kept) == len(span.attributes):
            spans.append(span)
            continue
        events = _marked(span, made.scope, [names.TRACE_METADATA])
        spans.append(structs.replace(span, attributes=kept, events=events, repeated=None))
    return structs.replace(made, spans=tuple(spans))


def _has_long(span: Span, quarter: int) -> bool:
    """Compare characters with a quarter of the limit, since a character has at most four bytes."""
    if len(span.name) > quarter or len(span.status_message) > quarter:
        return True
    for value in span.attributes.values():
        kind = type(value)
        if kind is str:
            if len(value) > quarter:
                return True
        # An array may become one JSON text: no character of its `repr` needs more than four bytes there.
        elif kind is tuple and len(repr(value)) > quarter:
            return True
    return False


def _cut_span(span: Span, namespace: str, allowed: Callable[[str, str], int]) -> Span:
    attributes, keys = _cut_values(span.attributes, allowed)
    for key in keys:
        attributes[f"{key}.truncated"] = True
    events = tuple(
        structs.replace(event, attributes=_cut_values(event.attributes, allowed)[0]) for event in span.events
    )
    changed = structs.replace(
        span,
        name=cut_text(span.name, allowed("", span.name)),
        status_message=cut_text(span.status_message, allowed("", span.status_message)),
        attributes=attributes,
        events=events,
        repeated=None,
    )
    return structs.replace(changed, events=_marked(changed, namespace, keys)) if keys else changed


def _cut_values(attributes: Attributes, allowed: Callable[[str, str], int]) -> tuple[Attributes, list[str]]:
    kept: Attributes = {}
    keys: list[str] = []
    for key, value in attributes.items():
        kept[key] = value
        if isinstance(value, tuple):
            value = _encode(value).decode() if any(isinstance(item, str) for item in value) else ""  # noqa: PLW2901 - judged as the text it may become
        if isinstance(value, str):
            limit = allowed(key, value)
            if len(value) * 4 > limit and len(value.encode()) > limit:
                kept[key] = cut_json(value, limit) if key in _CONTENT else cut_text(value, limit)
                keys.append(key)
    return kept, keys


def _marked(span: Span, namespace: str, keys: list[str]) -> tuple[Event, ...]:
    """Return the events with one about truncation that names every key cut so far."""
    name = names.own(namespace).truncated
    known = [key for event in span.events if event.name == name for key in event.attributes["keys"]]
    facts: Attributes = {"keys": tuple(dict.fromkeys([*known, *keys])), "reason": "too_large"}
    others = tuple(event for event in span.events if event.name != name)
    return (*others, Event(name=name, time_ns=span.end_ns, attributes=facts))


# -- cutting one value -------------------------------------------------------------------------------


def cut_text(value: str, limit: int) -> str:
    """Return the text within `limit` bytes of UTF-8, ending in a mark when it was cut."""
    raw = value.encode()
    if len(raw) <= limit:
        return value
    room = limit - len(_MARK)
    return (
        raw[: max(room, 0)].decode("utf-8", "ignore") + _MARK
        if room > 0
        else raw[:limit].decode("utf-8", "ignore")
    )


def cut_json(document: str, limit: int) -> str:
    """Return JSON within `limit` bytes of the same shape: texts shortened, then the oldest items left out."""
    value = msgspec.json.decode(document)
    longest = limit
    while longest >= _SMALLEST:
        shorter = _encode(_shortened(value, longest))
        if len(shorter) <= limit:
            return shorter.decode()
        longest //= 2
    return _fewer(_shortened(value, _SMALLEST), limit)


def _shortened(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else value[: longest - len(_MARK)] + _MARK
    if isinstance(value, list):
        return [_shortened(item, longest) for item in value]
    if isinstance(value, dict):
        return {key: _shortened(item, longest) for key, item in value.items()}
    return value


def _fewer(value: Any, limit: int) -> str:
    """Keep the last messages, which the answer depends on most."""
    items = value if isinstance(value, list) else []
    for start in range(1, len(items) + 1):
        left = _encode([_omitted(start), *items[start:]])
        if len(left) <= limit:
            return left.decode()
    return "[]" if isinstance(value, list) else "{}"


def _omitted(count: int) -> dict[str, Any]:
    return {"role": "system", "parts": [{"type": "text", "content": f"[{count} messages omitted]"}]}
