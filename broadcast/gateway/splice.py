"""Put our generation id into an answer without touching any other byte of it."""

import re
from typing import Final

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR: Final = rb"(?:" + _STRING + rb"|[^\s,{}\[\]\"]++)"
_FIRST: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*(' + _SCALAR + rb")", re.DOTALL)
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_VALUE: Final = re.compile(rb"\s*:\s*(" + _SCALAR + rb")", re.DOTALL)
_OBJECT: Final = re.compile(rb"\s*:\s*(?=\{)")
_OPEN: Final = re.compile(rb"\s*\{(\s*\})?")


def with_id(document: bytes, generation_id: str, inside: str | None = None) -> bytes:
    """Return a JSON object with its `id` replaced, or put first when it has none.

    With `inside`, it is the id of that member, and nothing is changed where the member is no object.
    """
    start = 0
    if inside is not None:
        found = _member(document, 0, b'"%s"' % inside.encode(), _OBJECT)
        if found is None:
            return document
        start = found.end()
    quoted = b'"%s"' % generation_id.encode()
    # Nearly every answer and chunk begins with its id; the walk is for the others.
    value = _FIRST.match(document, start) or _member(document, start, b'"id"', _VALUE)
    if value:
        return document[: value.start(1)] + quoted + document[value.end(1) :]
    opening = _OPEN.match(document, start)
    if opening is None:
        return document
    brace = document.index(b"{", start) + 1
    return document[:brace] + b'"id":' + quoted + (b"" if opening.group(1) else b",") + document[brace:]


def _member(document: bytes, start: int, name: bytes, value: "re.Pattern[bytes]") -> "re.Match[bytes] | None":
    """Return what follows a name of the object that begins at `start`, where it is of that form."""
    depth = 0
    for token in _TOKEN.finditer(document, start):
        mark = token.group()
        if mark in {b"{", b"["}:
            depth += 1
        elif mark in {b"}", b"]"}:
            depth -= 1
            if depth == 0:
                return None
        elif depth == 1 and mark == name and (found := value.match(document, token.end())):
            return found
    return None
