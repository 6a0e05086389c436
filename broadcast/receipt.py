"""The receipt: the immutable record of one finished router request (CONTRACT, section 3)."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, field

ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What a whole id is made of; asked where receipts come in, since asking at each reading costs a quarter."""

Id = Annotated[str, Meta(extra_json_schema={"pattern": rf"\A{ID.pattern}\Z"})]
Text = Annotated[str, Meta(min_length=1)]
Short = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Millis = Annotated[float, Meta(ge=0, le=1e12)]
Status = Literal["succeeded", "error", "denied", "cancelled"]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What every struct of a receipt has in common."""


class Error(_Part, frozen=True, kw_only=True):
    """Why the request failed, in the router's words."""

    type: Text
    message: str = ""
    code: str | int | None = None


class Usage(_Part, frozen=True, kw_only=True):
    """Token counts; input includes cached, output includes reasoning."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class Cost(_Part, frozen=True):
    """Money in nano-USD; None is unknown, never 0. Decimal strings or numbers of USD at the edge."""

    total_nano_usd: int | None = None
    input_nano_usd: int | None = None
    output_nano_usd: int | None = None
    upstream_nano_usd: int | None = None
    estimated: bool | None = None


class Timing(_Part, frozen=True, kw_only=True):
    """Offsets in milliseconds from the start of the request."""

    first_token_ms: Millis | None = None
    router_ms: Millis | None = None
    provider_request_ms: Millis | None = None
    provider_headers_ms: Millis | None = None
    provider_body_end_ms: Millis | None = None


class ProviderAttempt(_Part, frozen=True, kw_only=True):
    """One of the router's own tries; offsets in milliseconds from the start of the request."""

    provider: Text
    provider_slug: str | None = None
    model: str | None = None
    id: str | None = None
    status_code: Annotated[int, Meta(ge=0, le=999)] | None = None
    error_type: str | None = None
    error_message: str | None = None
    start_ms: Millis
    duration_ms: Millis
    is_byok: bool | None = None


class Routing(_Part, frozen=True, kw_only=True):
    """How the router chose."""

    profile: str | None = None
    candidates: Count | None = None
    duration_ms: Millis | None = None


class App(_Part, frozen=True, kw_only=True):
    """The calling application."""

    referer: str | None = None
    title: str | None = None


class KeyRef(_Part, frozen=True, kw_only=True):
    """The API key a request was made with: its public hash and its name."""

    hash: str | None = None
    name: str | None = None


class Facts(_Part, frozen=True):
    """What a receipt says alike on the wire and inside; positional, since the parser copies it whole."""

    id: Id
    model: Text
    status: Status
    response_model: str | None = None
    provider: str | None = None
    provider_slug: str | None = None
    system: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    request_id: str | None = None
    error: Error | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    routing: Routing | None = None
    funding_source: str | None = None
    region: str | None = None
    app: App | None = None
    user_agent: str | None = None
    origin: str | None = None
    parameters: dict[str, Any] | None = None
    user: Short | None = None
    session_id: Short | None = None
    trace: dict[str, Any] | None = None
    traceparent: str | None = None
    api_key: KeyRef | None = None
    metadata: dict[str, Any] | None = None
    input: Any = None
    output: Any = None


def _required() -> int:
    """Stand for a default where there is none: a struct wants its required fields first."""
    raise msgspec.ValidationError("created_at_us and duration_us are required")


class Receipt(Facts, frozen=True):
    """One finished request; `*_us` are microseconds, content is `input` and `output`.

    Positional like its facts: seven names in a call cost the parser half a microsecond of six.
    """

    created_at_us: int = field(default_factory=_required)
    duration_us: int = field(default_factory=_required)
    api_type: str = "chat"
    streamed: bool = False
    cost: Cost | None = None
    attempts: tuple[ProviderAttempt, ...] = ()
    capabilities: tuple[str, ...] = ()
