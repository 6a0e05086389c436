"""The port: what a destination type declares, and the records it trades in.

A type builds requests and never sends them.

Statuses and partial success: https://opentelemetry.io/docs/specs/otlp/ (OTLP 1.11), read 2026-11-20.
"""

import base64
import dataclasses
import functools
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal, Self, dataclass_transform
from urllib.parse import urlsplit, urlunsplit

from broadcast.errors import SettingsError
from broadcast.fields import Secret, SecretHeaders, Spec, check, field, is_masked, specs
from broadcast.receipt import Receipt
from broadcast.span import Attributes

Headers = Mapping[str, str]
Encoding = Literal["json", "protobuf"]
CONTENT_TYPES: Mapping[Encoding, str] = {"json": "application/json", "protobuf": "application/x-protobuf"}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What travels in one request: `pieces` are encoded `ResourceSpans`, one a receipt, in log order.

    `joined`, where given, is their envelope, made once for every destination that gets the same.
    """

    id: str
    at_us: int
    pieces: tuple[bytes, ...]
    test: bool = False
    joined: bytes | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request, ready to send; `body` is plain, `packed` its gzip where that was made already.

    Header names are lower-case.
    """

    method: str
    url: str
    headers: dict[str, str] = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)
    compress: bool = False
    packed: bytes | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back: at most 64 KiB of body as read from the wire, header names lower-case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    duration_ms: float
    sent_bytes: int
    host: str
    tls: str | None = None


class Verdict(StrEnum):
    """What one attempt came to."""

    DELIVERED = "delivered"
    PARTLY_DELIVERED = "partly_delivered"
    THROTTLED = "throttled"
    NO_ANSWER = "no_answer"
    RETRYING = "retrying"
    REJECTED = "rejected"
    REFUSED = "refused"


class Remedy(StrEnum):
    """What delivery does about an outcome."""

    NONE = "none"
    SPLIT = "split"
    DOUBT = "doubt"
    WAIT = "wait"
    ATTEND = "attend"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The meaning of an answer: what it came to, in words, and what the destination asked for."""

    verdict: Verdict
    reason: str
    status_code: int | None = None
    rejected_spans: int = 0
    retry_after: str | None = None
    answered_at: str | None = None

    @property
    def remedy(self) -> Remedy:
        """Return what to do: halve it, halve it after some tries, wait, or call a person."""
        if self.verdict is Verdict.RETRYING and _is_doubtful(self.status_code):
            return Remedy.DOUBT
        return _REMEDIES[self.verdict]

    @property
    def delivered(self) -> bool:
        """Whether the batch is settled as delivered."""
        return self.verdict in {Verdict.DELIVERED, Verdict.PARTLY_DELIVERED}


_REMEDIES: Final[Mapping[Verdict, Remedy]] = {
    Verdict.DELIVERED: Remedy.NONE,
    Verdict.PARTLY_DELIVERED: Remedy.NONE,
    Verdict.THROTTLED: Remedy.WAIT,
    Verdict.NO_ANSWER: Remedy.WAIT,
    Verdict.RETRYING: Remedy.WAIT,
    Verdict.REJECTED: Remedy.SPLIT,
    Verdict.REFUSED: Remedy.ATTEND,
}


def _is_doubtful(status: int | None) -> bool:
    """Whether an answer may mean the server or one receipt: 408, 500, 501, 505 and above."""
    return status is not None and (status in {408, 500, 501} or status >= 505)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Destination:
    """A destination type; its fields are its settings and an instance is a configured destination."""

    title: ClassVar[str]
    category: ClassVar[Literal["tracing", "llm", "storage"]]
    mark: ClassVar[str]
    docs: ClassVar[str]
    setup: ClassVar[tuple[str, ...]]
    encoding: Encoding = "json"
    compress: ClassVar[bool] = True
    max_age_s: ClassVar[int | None] = None
    max_spans: ClassVar[int] = 512
    max_bytes: ClassVar[int] = 2_000_000
    max_attribute_bytes: ClassVar[int] = 65_536
    total_cost_attributes: ClassVar[bool] = True
    prompt_attributes: ClassVar[bool] = False
    hints: ClassVar[Mapping[int, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hidden = [name for name in inspect.get_annotations(cls) if callable(getattr(Destination, name, None))]
        if hidden:
            raise TypeError(f"{cls.__name__}: the setting {hidden[0]} hides a method of the port")
        dataclass(frozen=True, kw_only=True)(cls)

    # -- what a type says ------------------------------------------------------------------------

    def endpoint(self) -> str:
        """Return the full address that spans are sent to."""
        raise NotImplementedError

    def auth(self) -> Headers:
        """Return the headers that carry the credential; names in lower case."""
        return {}

    def credential_check(self) -> Request | None:
        """Return a request that proves the credential where an ingest answer proves nothing, else None."""
        return None

    def judge_credential(self, response: Response) -> str | None:
        """Return what is wrong with the credential by the answer to `credential_check`, or None."""
        return (
            None if response.status < 300 else self.hints.get(response.status, "The credential was refused.")
        )

    def warnings(self) -> Mapping[str, str]:
        """Return, by outside field name, what looks wrong about a credential's format; it never blocks."""
        return {}

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return attributes for the vendor's own LLM pages, made from the receipt without content."""
        del receipt
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the vendor's page of a trace, where its address is known."""
        del trace_id, at_us
        return None

    # -- what every type gets --------------------------------------------------------------------

    def request(self, batch: Batch) -> Request:
        """Return the request of a batch; pure, so that calling it twice gives equal requests."""
        return Request(
            method="POST",
            url=self.endpoint(),
            headers={"content-type": CONTENT_TYPES[self.encoding], **self.auth(), **self.extra_headers()},
            body=envelope(self.encoding, batch.pieces) if batch.joined is None else batch.joined,
            compress=self.compress,
        )

    def extra_headers(self) -> dict[str, str]:
        """Return the user's own headers, names in lower case."""
        given: SecretHeaders | None = getattr(self, "headers", None)
        return {name.lower(): value.reveal() for name, value in (given or {}).items()}

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means by OTLP's rules; never raises, whatever the body holds."""
        return judge_otlp(response)

    def address(self) -> tuple[str, ...]:
        """Return every address this destination calls, normalised, from settings that are not secret."""
        check = self.credential_check()
        called = (self.endpoint(),) if check is None else (self.endpoint(), check.url)
        return tuple(normalised(url) for url in called)

    @classmethod
    def specs(cls) -> tuple[Spec, ...]:
        """Return the settings in declared order."""
        return specs(cls)

    @classmethod
    def parse(cls, config: Mapping[str, Any], *, secrets_required: bool = True) -> Self:
        """Return a configured destination; raise `SettingsError` naming every setting at fault.

        With `secrets_required=False` absent secrets become empty, so that `address()` can be computed.
        """
        known = cls.specs()
        problems = dict.fromkeys(config.keys() - {spec.outside for spec in known}, "Unknown setting.")
        values: dict[str, Any] = {}
        for spec in known:
            given = config.get(spec.outside)
            if given is None or given == "" or is_masked(given):
                if spec.required and spec.secret and not secrets_required:
                    values[spec.name] = Secret("")
                elif spec.required:
                    problems[spec.outside] = f"Enter the {spec.label}."
                continue
            try:
                values[spec.name] = check(spec, given)
            except ValueError as error:
                problems[spec.outside] = str(error)
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    def plain(self) -> dict[str, Any]:
        """Return the settings that are not secret, by outside name; absent optional ones are left out."""
        values = {spec.outside: getattr(self, spec.name) for spec in self.specs() if not spec.secret}
        return {name: value for name, value in values.items() if value is not None}

    def secrets(self) -> dict[str, str]:
        """Return every secret by outside name, for the vault alone; headers as one JSON object."""
        found: dict[str, str] = {}
        for spec in self.specs():
            value = getattr(self, spec.name)
            if isinstance(value, Secret) and value:
                found[spec.outside] = value.reveal()
            elif isinstance(value, SecretHeaders) and value:
                found[spec.outside] = json.dumps({name: item.reveal() for name, item in value.items()})
        return found

    def masks(self) -> dict[str, Any]:
        """Return what may be shown of each secret, by outside name."""
        found: dict[str, Any] = {}
        for spec in self.specs():
            value = getattr(self, spec.name)
            if isinstance(value, Secret) and value:
                found[spec.outside] = value.masked()
            elif isinstance(value, SecretHeaders) and value:
                found[spec.outside] = {name: item.masked() for name, item in value.items()}
        return found

    def secret_values(self) -> tuple[str, ...]:
        """Return every secret as it may appear in an answer, for scrubbing: also inside our own headers."""
        return self._secret_values

    @functools.cached_property
    def _secret_values(self) -> tuple[str, ...]:
        own = [value for value in (*self.auth().values(), *self.extra_headers().values()) if value]
        tails = [value.split(" ", 1)[1] for value in own if " " in value]
        bare = [
            value.reveal()
            for spec in self.specs()
            if isinstance(value := getattr(self, spec.name), Secret) and value
        ]
        return tuple(sorted({*bare, *own, *tails}, key=len, reverse=True))


class OTLPDestination(Destination):
    """A destination that takes OTLP over HTTP: a type says `endpoint()` and `auth()`."""


def envelope(encoding: Encoding, pieces: tuple[bytes, ...]) -> bytes:
    """Return one export request; JSON pieces are joined, protobuf pieces already carry tag and length."""
    if encoding != "json":
        return b"".join(pieces)
    # The ends travel with the outer pieces, so that everything is copied once.
    *rest, last = (b'{"resourceSpans":[' + (pieces[0] if pieces else b""), *pieces[1:])
    return b",".join((*rest, last + b"]}"))


def basic_auth(user: str, password: Secret) -> Headers:
    """Return HTTP Basic as a header."""
    token = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
    return {"authorization": f"Basic {token}"}


def normalised(url: str) -> str:
    """Return an address in the one form that is equal for all that dial the same."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{shown}:{port}", parts.path or "/", parts.query, ""))


def judge_otlp(response: Response) -> Outcome:
    """Return what an answer means by OTLP's rules."""
    status = response.status
    words = f"{status} {response.reason}".strip()
    if 200 <= status < 300:
        return _judge_success(response, words)
    retry_after = response.headers.get("retry-after")
    if status == 429 or (status == 503 and retry_after):
        verdict = Verdict.THROTTLED
    elif status in {400, 413, 422}:
        verdict = Verdict.REJECTED
    elif 300 <= status < 500 and status != 408:
        verdict = Verdict.REFUSED
    else:
        verdict = Verdict.RETRYING
    return Outcome(
        verdict=verdict,
        reason=words,
        status_code=status,
        retry_after=retry_after,
        answered_at=response.headers.get("date"),
    )


def _judge_success(response: Response, words: str) -> Outcome:
    if "text/html" in response.headers.get("content-type", "").lower():
        reason = f"{words}, but the answer is a web page: the address is not an OTLP endpoint"
        return Outcome(verdict=Verdict.REFUSED, reason=reason, status_code=response.status)
    try:
        rejected, message = partial_success(response)
    except Exception:  # noqa: BLE001 - a success must not fail because its body cannot be read
        reason = f"{words}, with an answer that cannot be read"
        return Outcome(verdict=Verdict.DELIVERED, reason=reason, status_code=response.status)
    if rejected > 0:
        reason = f"{words}: {rejected} spans rejected" + (f": {message}" if message else "")
        return Outcome(
            verdict=Verdict.PARTLY_DELIVERED,
            reason=reason,
            status_code=response.status,
            rejected_spans=rejected,
        )
    if message:
        words = f"{words}: {message}"
    return Outcome(verdict=Verdict.DELIVERED, reason=words, status_code=response.status)


def partial_success(response: Response) -> tuple[int, str]:
    """Return how many spans were rejected and the receiver's words; an unreadable body raises anything."""
    kind = response.headers.get("content-type", "json")
    if "protobuf" in kind:
        return _partial_protobuf(response.body)
    # Another kind of answer, a plain "ok", is not OTLP's and says nothing of spans.
    return _partial_json(response.body) if "json" in kind else (0, "")


def _partial_json(body: bytes) -> tuple[int, str]:
    document = json.loads(body or b"{}")
    partial = document.get("partialSuccess") or {}
    return int(partial.get("rejectedSpans") or 0), str(partial.get("errorMessage") or "")[:300]


def _partial_protobuf(body: bytes) -> tuple[int, str]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - slow to import, rarely needed
        ExportTraceServiceResponse,
    )

    partial = ExportTraceServiceResponse.FromString(body).partial_success
    return int(partial.rejected_spans), partial.error_message[:300]
