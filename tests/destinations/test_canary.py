"""Nothing leaves that must not: every type, at every privacy level, for every kind of request.

Wherever a request can hold content or a vendor's words stands a canary of its own. The requests are built by
delivery's own code; in what would be sent to each destination - address, headers and body, unpacked - no
canary may be found that the level does not let out; where content is let out it is found, so that the search
is known to see. What is no content - ids, model, tokens, cost - is there at every level, and so are session
and user, as a hash where the level hashes.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from msgspec import structs

from broadcast import genai_names, privacy
from broadcast.destination import Batch, Destination, Request
from broadcast.pseudonyms import Pseudonyms
from broadcast.receipt import Cost, Error, ProviderAttempt, Receipt, Timing, Usage
from broadcast.receipt_parser import content, document, from_document
from broadcast.store.destinations import StoredDestination
from broadcast.variation import Variation
from destinations import TYPES
from tests import factories
from tests.destinations.test_contract import KEY_IN_BODY, SECRET, config_of
from tests.receiver import SeenSpan, decode, spans_of

TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
IMAGE: Final = "canaryimage0bytes"

# -- the canaries: the place in a receipt is the name of its canary --------------------------------

ASKED: Final = {
    "words": "canary-asked",
    "system": "canary-system",
    "e-mail": "canary@nest.example.com",
    "card": "4111 1111 1111 1111",
    "key": "sk-canary0123456789abcdefghijklmnop",
}
"""What a person says; the last three are known by their form, wherever they stand."""

KNOWN_BY_FORM: Final = {ASKED["e-mail"], ASKED["card"], ASKED["key"]}
WHO: Final = {"canary-user", "canary-session", "canary-trace-name", "canary-trace-value"}
"""What the caller says of who asked: no content, and yet hashed where content is."""

ANSWERED: Final = "canary-answered"
ARGUMENTS, RESULT = "canary-arguments", "canary-result"
ERROR, ATTEMPT_ERROR = "canary-error", "canary-attempt-error"
NEVER: Final = {"canary-tool-offered", "canary-metadata", IMAGE}
"""What no level lets out: it is no attribute, or bytes of a file."""

MESSAGES: Final = [
    {"role": "system", "content": ASKED["system"]},
    {"role": "user", "content": f"{ASKED['words']} {ASKED['e-mail']} {ASKED['card']} {ASKED['key']}"},
]
WHOLE: Final = factories.receipt(
    id="gen-canary-1",
    usage=Usage(input_tokens=1_234_567, output_tokens=7_654_321, cache_read_tokens=1_000_003),
    cost=Cost(total_nano_usd=123_456_789, input_nano_usd=23_456_789, output_nano_usd=100_000_000),
    user="canary-user",
    session_id="canary-session",
    trace={"trace_id": TRACE_ID, "trace_name": "canary-trace-name", "feature": "canary-trace-value"},
    parameters={"temperature": 0.7, "tools_offered": ["canary-tool-offered"]},
    metadata={"note": "canary-metadata"},
    streamed=False,
    timing=None,
    input=MESSAGES,
    output=[{"role": "assistant", "content": ANSWERED}],
)
CALL: Final = {
    "id": "c1",
    "type": "function",
    "function": {"name": "look_up", "arguments": f'{{"a":"{ARGUMENTS}"}}'},
}
FAILED_TRY: Final = ProviderAttempt(
    provider="Azure",
    status_code=503,
    error_type="overloaded",
    error_message=f"{ATTEMPT_ERROR} {ASKED['key']}",
    start_ms=0,
    duration_ms=20,
)
LAST_TRY: Final = ProviderAttempt(
    provider="OpenAI", id="chatcmpl-2", status_code=200, start_ms=20, duration_ms=1000
)


def but(**changes: Any) -> Receipt:
    return structs.replace(WHOLE, **changes)


KINDS: Final[Mapping[str, tuple[Receipt, set[str]]]] = {
    "succeeded": (WHOLE, {ANSWERED}),
    "tools": (
        but(
            input=[
                *MESSAGES,
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": RESULT},
            ],
            output=[{"role": "assistant", "content": ANSWERED, "tool_calls": [CALL]}],
        ),
        {ANSWERED, ARGUMENTS, RESULT},
    ),
    "image": (
        but(
            input=[
                *MESSAGES,
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}
                    ],
                },
            ]
        ),
        {ANSWERED},
    ),
    "failover": (but(attempts=(FAILED_TRY, LAST_TRY)), {ANSWERED}),
    "error": (
        but(
            status="error",
            error=Error(type="overloaded", message=f"{ERROR} {ASKED['key']}", code="503"),
            attempts=(FAILED_TRY,),
            output=None,
            usage=None,
            cost=None,
            finish_reason=None,
        ),
        {ERROR, ATTEMPT_ERROR},
    ),
    "cancelled": (but(status="cancelled", streamed=True, finish_reason=None), {ANSWERED}),
    "streamed": (but(streamed=True, timing=Timing(first_token_ms=412.5)), {ANSWERED}),
}
"""Each kind of request, with what it holds beside the words of the one who asks."""

CANARIES: Final = {*ASKED.values(), *WHO, ANSWERED, ARGUMENTS, RESULT, ERROR, ATTEMPT_ERROR, *NEVER}


def may_leave(level: str, kind: str) -> set[str]:
    """Return the canaries that a level lets out of a request."""
    said = {*ASKED.values(), *KINDS[kind][1]} - NEVER
    allowed = {"metadata": WHO, "hashed": set(), "redacted": WHO | said - KNOWN_BY_FORM, "full": WHO | said}
    return allowed[level]


# -- what is sent ----------------------------------------------------------------------------------

GROUP: Final = "broadcast_generation_"


def request_of(destination: Destination, receipt: Receipt, level: str) -> Request:
    """Return the request that delivery makes of a receipt, every opt-in group asked for.

    Its content is stored apart, as it always is.
    """
    words = content(receipt) if privacy.wants_content(level) else None
    kept = from_document(document(receipt))
    groups = {name: True for name in StoredDestination.__dataclass_fields__ if name.startswith(GROUP)}
    stored = factories.stored(privacy_level=level, **groups)
    variation = Variation(stored, destination, "openrouter", factories.digest)
    piece, _ = variation.encoded(kept, words, had_content=True)
    return destination.request(Batch(id="b-1", at_us=factories.AT_US, pieces=(piece,)))


def made(slug: str) -> Destination:
    return TYPES[slug].parse(config_of(slug))


def texts_of(request: Request) -> Iterator[str]:
    """Yield everything that goes over the wire as text, with each layer of JSON and of gzip taken off."""
    body = gzip.decompress(request.body) if request.body[:2] == b"\x1f\x8b" else request.body
    text = body.decode("utf-8", errors="replace")
    yield from (request.url, *request.headers.values(), text)
    for _ in range(3):
        text = text.replace("\\\\", "\\").replace('\\"', '"').replace("\\/", "/")
        yield text


def found_in(request: Request, words: set[str]) -> set[str]:
    texts = tuple(texts_of(request))
    return {word for word in words if any(word in text for text in texts)}


every_type = pytest.mark.parametrize("slug", TYPES)
every_level = pytest.mark.parametrize("level", privacy.LEVELS)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_type
@every_level
@every_kind
def test_no_canary_leaves_that_the_level_holds_back(slug: str, level: str, kind: str) -> None:
    request = request_of(made(slug), KINDS[kind][0], level)
    assert found_in(request, CANARIES - may_leave(level, kind)) == set()


@every_type
@pytest.mark.parametrize("level", ["redacted", "full"])
@every_kind
def test_what_a_level_lets_out_is_found_so_that_the_search_is_known_to_see(
    slug: str, level: str, kind: str
) -> None:
    request = request_of(made(slug), KINDS[kind][0], level)
    # A table has no column for what a vendor said of one try.
    owed = may_leave(level, kind) - {ATTEMPT_ERROR}
    assert found_in(request, owed) == owed


@every_type
@every_level
def test_no_secret_of_the_destination_is_sent_but_as_its_credential(slug: str, level: str) -> None:
    request = request_of(made(slug), WHOLE, level)
    assert SECRET not in request.url
    assert slug in KEY_IN_BODY or SECRET.encode() not in request.body


@every_type
@every_level
@every_kind
def test_what_is_no_content_is_there(slug: str, level: str, kind: str) -> None:
    receipt, destination = KINDS[kind][0], made(slug)
    request = request_of(destination, receipt, level)
    who = [receipt.user or "", receipt.session_id or ""]
    if level == "hashed":
        who = list(map(Pseudonyms(factories.digest).text, who))
    if not destination.has_own_api():
        assert_told(generation_of(request), receipt, who)
        return
    wanted = {receipt.id, TRACE_ID, receipt.model, *who}
    if receipt.usage and receipt.cost:
        wanted |= {str(receipt.usage.input_tokens), str(receipt.usage.output_tokens), "0.123456789"}
    assert found_in(request, wanted) == wanted


def generation_of(request: Request) -> SeenSpan:
    spans = spans_of(decode(request.body, request.headers["content-type"]))
    (found,) = [span for span in spans if genai_names.OPERATION_NAME in span.attributes]
    return found


def assert_told(span: SeenSpan, receipt: Receipt, who: list[str]) -> None:
    told = span.attributes
    assert (span.trace_id, span.resource["openrouter.trace.id"]) == (TRACE_ID, receipt.id)
    assert told[genai_names.REQUEST_MODEL] == receipt.model
    assert [told[genai_names.USER_ID], told[genai_names.SESSION_ID]] == who
    assert (span.status_code == 2) is (receipt.status != "succeeded")
    if receipt.usage and receipt.cost:
        assert told[genai_names.INPUT_TOKENS] == receipt.usage.input_tokens
        assert told[genai_names.OUTPUT_TOKENS] == receipt.usage.output_tokens
        assert told[genai_names.COST] == 0.123456789
    else:
        assert {genai_names.INPUT_TOKENS, genai_names.COST}.isdisjoint(told)


def test_every_canary_is_in_a_request_that_is_tried() -> None:
    written = json.dumps([str(receipt) for receipt, _ in KINDS.values()], ensure_ascii=False)
    assert {canary for canary in CANARIES if canary not in written} == set()
