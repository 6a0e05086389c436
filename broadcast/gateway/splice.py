"""Put our generation id into an answer without touching any other byte of it."""

import re
from typing import Final

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR: Final = rb"(?:" + _STRING + rb"|[^\s,{}\[\]\"]++)"
_FIRST: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*(' + _SCALAR + rb")", re.DOTALL)
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_VALUE: Final = re.compile(rb"\s*:\s*(" + _SCALAR + rb")", re.DOTALL)
_OPEN: Final = re.compile(rb"\s*\{(\s*\})?")


def with_id(document: bytes, generation_id: str) -> bytes:
    """Return a JSON object with its top-level `id` replaced, or put first when it has none."""
    quoted = b'"%s"' % generation_id.encode()
    # Nearly every answer and chunk begins with its id; the walk is for the others.
    found = _FIRST.match(document) or _id_value(document)
    if found:
        return document[: found.start(1)] + quoted + document[found.end(1) :]
    opening = _OPEN.match(document)
    if opening is None:
        return document
    brace = document.index(b"{") + 1
    return document[:brace] + b'"id":' + quoted + (b"" if opening.group(1) else b",") + document[brace:]


def _id_value(document: bytes) -> "re.Match[bytes] | None":
    depth = 0
    for token in _TOKEN.finditer(document):
        text = token.group()
        if text in {b"{", b"["}:
            depth += 1
        elif text in {b"}", b"]"}:
            depth -= 1
        elif depth == 1 and text == b'"id"' and (value := _VALUE.match(document, token.end())):
            return value
    return None
