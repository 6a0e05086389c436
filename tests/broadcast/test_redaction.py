"""What is known by its form goes, wherever it stands; what only looks like it stays."""

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from broadcast import redaction
from broadcast.redaction import Redactor

PARSER = importlib.import_module("re._parser")

KEY = "sk-proj-abcdefghijklmnop123"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def_ghi"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\n-----END RSA PRIVATE KEY-----"
FOUND = {
    "email": (
        "alice@example.com",
        "a.b+c@mail.example.co.uk",
        "jürgen@exämple.de",
        "alice%40example.com",
        "x" * 80 + "@y.org",
    ),
    "phone": (
        "+49 171 1234567",
        "+1 (415) 555-0132",
        "(415) 555-0132",
        "415-555-0132",
        "0171-1234567",
        "020 7946 0958",
        "0049 171 1234567",
        "+491711234567",
    ),
    "card": (
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0055-5555-5559",
        "378282246310005",
        "6011111111111117",
        "30569309025904",
        "4222222222222",
        "2223003122003222",
    ),
    "iban": ("DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "nl91abna0417164300"),
    "key": (
        KEY,
        "sk-ant-api03-abcdefghijklmnop",
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1" * 15,
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "a1" * 18,
        "xoxb-123456789012-abc",
        "glc_eyJvIjoiMTIzIn0abc=",
        "sk_live_abcdefghij12",
        "hf_" + "a1" * 12,
        JWT,
        "Bearer abcdefghijklmnop",
        "Authorization: Basic dXNlcjpwYXNz",
        "api_key=abcdefgh",
        PEM,
    ),
}
KEPT = (
    "lodash@4.17.21",
    "@alice",
    "2026-11-21 09:40:08",
    "1764000000000",
    "4111111111111112",
    "192.168.100.200",
    "550e8400-e29b-41d4-a716-446655440000",
    "gen-1790000000-AbCdEfGhIjKlMnOpQrSt",
    "DE89370400440532013001",
    "task-1234567890abcdefghijk",
    "a basic understanding of tokens",
    "0.123 USD",
    "12,345,678.90",
    "version 10.0.0.1",
    "https://example.com/a:b",
    "sk-short",
)


@pytest.mark.parametrize(
    ("label", "text"), [(label, text) for label, texts in FOUND.items() for text in texts]
)
def test_each_form_is_replaced_by_what_it_is(label: str, text: str) -> None:
    redactor = Redactor()
    assert redactor.text(f"before {text} after") == f"before [{label}] after"
    assert redactor.counts == {label: 1}


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert Redactor().text(f"before {text} after") == f"before {text} after"


def test_a_card_is_found_among_other_groups_of_digits() -> None:
    assert Redactor().text("order 1234 4111 1111 1111 1111 99") == "order 1234 [card] 99"


def test_the_password_of_an_address_goes() -> None:
    assert Redactor().text("redis://:s3cr3t@cache/0") == "redis://[key]@cache/0"


def test_what_overlaps_is_replaced_once() -> None:
    assert Redactor(["[a-z]+@example.com and"]).text("to alice@example.com and on") == "to [email] on"


def test_patterns_of_ones_own_replace_all_that_a_match_touches() -> None:
    redactor = Redactor(["EMP-[0-9]{4}", "(?i)project \\w+"])
    assert redactor.text("EMP-1234 of Project Zeus") == "[redacted] of [redacted]"
    assert redactor.counts == {"redacted": 2}


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ({"to": ["a@b.example", {"cc": "c@d.example"}]}, {"to": ["[email]", {"cc": "[email]"}]}),
        ({"a@b.example": 1}, {"[email]": 1}),
        ({"card": 4111111111111111, "count": 4111}, {"card": "[card]", "count": 4111}),
        ([True, None, 1.5], [True, None, 1.5]),
    ],
)
def test_values_are_looked_through(value: object, redacted: object) -> None:
    assert Redactor().value(value) == redacted


def test_json_within_a_text_is_read_so_that_no_escape_hides_anything() -> None:
    arguments = '{"to": "alice\\u0040example.com", "card": 4111111111111111, "n": [1]}'
    assert json.loads(Redactor().text(arguments)) == {"to": "[email]", "card": "[card]", "n": [1]}


@pytest.mark.parametrize(
    ("label", "text"), [(label, text) for label, texts in FOUND.items() for text in texts if text != PEM]
)
@pytest.mark.parametrize("escaped", ["\\n", "\\r", "\\t"])
def test_json_that_was_cut_off_hides_nothing_behind_its_escaped_breaks(
    label: str, text: str, escaped: str
) -> None:
    made = Redactor().text(f'{{"to": "one{escaped}{text}{escaped}two')
    assert f"[{label}]" in made
    assert text not in made


def test_json_is_read_also_behind_spaces() -> None:
    assert json.loads(Redactor().text(' \n{"to": "alice\\u0040example.com"}')) == {"to": "[email]"}


@pytest.mark.parametrize("text", ['{"a": "b"}', '{ "a" : 1e3 }', "{not json", "[1, 2"])
def test_json_without_anything_in_it_stays_as_it_was_written(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_key_that_is_given_twice_hides_nothing() -> None:
    assert "example.com" not in Redactor().text('{"a": "x@example.com", "a": "b"}')


@pytest.mark.parametrize("cut", range(1, len("alice@example.com")))
def test_a_stream_cut_anywhere_hides_nothing(cut: int) -> None:
    text = "alice@example.com"
    parts = [{"type": "text", "text": part} for part in (f"to {text[:cut]}", f"{text[cut:]} today")]
    made = "".join(part["text"] for part in Redactor().value(parts))
    assert made == "to [email] today"


def test_messages_are_not_read_as_one() -> None:
    spoken = [{"role": "user", "content": "415-555"}, {"role": "assistant", "content": "-0132"}]
    assert Redactor().value(spoken) == spoken


@pytest.mark.parametrize("name", ["_KEYS", "_EMAIL", "_IBAN", "_DIGITS", "_PHONES"])
def test_a_repeat_without_a_bound_gives_nothing_back(name: str) -> None:
    """A possessive repeat is never tried shorter, so that no text makes a search try for long."""
    tree = PARSER.parse(getattr(redaction, name).pattern)
    assert not [most for operator, most in repeats(tree) if operator != "POSSESSIVE_REPEAT" and most > 256]


def repeats(tree: Any) -> Iterator[tuple[str, int]]:
    """Yield every repeat of a parsed pattern: its kind, and how often it may repeat."""
    for operator, argument in tree:
        name = str(operator)
        if name.endswith("_REPEAT"):
            yield name, int(argument[1])
        for inner in argument if isinstance(argument, tuple) else ():
            for branch in inner if isinstance(inner, list) else (inner,):
                if isinstance(branch, PARSER.SubPattern):
                    yield from repeats(branch)
