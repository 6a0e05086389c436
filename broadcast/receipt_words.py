"""Why a receipt is refused, as sentences that name the field and the fix."""

import re
from typing import Final

from broadcast.errors import ReceiptError

_AT: Final = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_GOT: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`")
_LENGTH: Final = re.compile(r"Expected `\w+` of length (?P<sign>[<>]=) (?P<size>\d+)")
_BOUND: Final = re.compile(r"Expected `(?P<kind>\w+)` (?P<sign>[<>]=) (?P<limit>[\d.eE+]+)")
_TYPES: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "datetime": "a time such as 2026-11-21T14:00:00Z",
    "decimal": 'an amount in USD such as "0.0042"',
    "null": "null",
}
_OWN_WORDS: Final = {
    "id": "must be 1 to 128 characters out of letters, digits and . _ : -",
    "status": "must be one of succeeded, error, denied, cancelled",
    "created_at": "must be an RFC 3339 time with a zone, such as 2026-11-21T14:00:00Z",
}

_ANY_JSON: Final = ("metadata", "trace", "parameters", "input", "output")
"""The fields that hold any JSON, and so a text in place of a number."""


def refusal(message: str) -> ReceiptError:
    """Return the refusal for a decoder's message; the decoder's own words never reach a person."""
    at = _AT.search(message)
    path = at["path"] if at else ""
    problem = message[: at.start()] if at else message
    if missing := _MISSING.match(problem):
        field = _join(path, missing["name"])
        return ReceiptError(f"{field} is required.", field=field)
    if unknown := _UNKNOWN.match(problem):
        field = _join(path, unknown["name"][:200])
        return ReceiptError(
            f"{field} is not a field of a receipt: leave it out, or put it into metadata.", field=field
        )
    if not path:
        return ReceiptError("A receipt must be a JSON object.")
    if "out of range" in problem:
        may_be_text = path.startswith(_ANY_JSON)
        return ReceiptError(
            f"{path} is a number out of range: send {'it as text' if may_be_text else 'a smaller one'}.",
            field=path,
        )
    return ReceiptError(f"{path} {_OWN_WORDS.get(path) or _rule(problem)}.", field=path)


def refusal_of(field: str) -> ReceiptError:
    """Return the refusal of a value that breaks its field's own rule."""
    return ReceiptError(f"{field} {_OWN_WORDS[field]}.", field=field)


def _rule(problem: str) -> str:
    if got := _GOT.match(problem):
        wanted = [
            _TYPES.get(kind, "another kind of value") for kind in got["wanted"].split(" | ") if kind != "null"
        ]
        return f"must be {' or '.join(wanted)}, not {_TYPES.get(got['got'], 'another kind of value')}"
    if length := _LENGTH.match(problem):
        return (
            "must not be empty" if length["sign"] == ">=" else f"must be at most {length['size']} characters"
        )
    if bound := _BOUND.match(problem):
        kind = _TYPES[bound["kind"]]
        end = "of at least" if bound["sign"] == ">=" else "of at most"
        return f"must be {kind} {end} {bound['limit'].removesuffix('.0')}"
    if problem.startswith("Invalid decimal"):
        return f"must be {_TYPES['decimal']}"
    return "has a value that is not allowed"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
