"""The port: what a destination type declares, and the records it trades in.

A type builds requests and never sends them. Most send OTLP, and say no more than an address and a
credential; a type with an API of its own also says what a receipt's spans become there (`encode`), what a
request is made of them (`join`), and what its answers mean (`judge`).
"""

import base64
import dataclasses
import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, dataclass_transform
from urllib.parse import urlsplit, urlunsplit

from msgspec import structs

from broadcast import otlp, otlp_protobuf
from broadcast.answers import (
    Outcome,
    Remedy,
    Response,
    Verdict,
    is_web_page,
    judge_api,
    judge_otlp,
    judge_status,
)
from broadcast.errors import SettingsError
from broadcast.fields import (
    TRACE_ID_MARK,
    Secret,
    SecretHeaders,
    Spec,
    field,
    is_masked,
    metrics_every_s,
    specs,
    under,
)
from broadcast.messages import Message
from broadcast.receipt import Receipt
from broadcast.request import GRPC, Batch, Identity, Lent, Loan, Request
from broadcast.setting_checks import check
from broadcast.span import Attributes, ResourceSpans

__all__ = [
    "Attributes", "Batch", "Destination", "Encoding", "Headers", "Identity", "Lent", "Loan", "Message",
    "OTLPDestination", "Outcome", "Remedy", "Request", "ResourceSpans", "Response", "SettingsError",
    "Verdict", "View", "basic_auth", "envelope", "judge_api", "judge_otlp", "judge_status", "normalised",
]  # fmt: skip

Headers = Mapping[str, str]
Encoding = Literal["json", "protobuf", "grpc"]
CONTENT_TYPES: Mapping[Encoding, str] = {
    "json": "application/json",
    "protobuf": "application/x-protobuf",
    "grpc": GRPC,
}


@dataclass(frozen=True, kw_only=True)
class View:
    """A ready-made view of what is sent: a file of the types' `dashboards` folder that the vendor takes.

    `source` is the data source it reads unless another is named; empty where there is only one.
    """

    file: str
    title: str
    use: str
    source: str = ""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Destination:
    """A destination type; its fields are its settings and an instance is a configured destination."""

    title: ClassVar[str]
    category: ClassVar[Literal["tracing", "llm", "storage"]]
    mark: ClassVar[str]
    docs: ClassVar[str]
    setup: ClassVar[tuple[str, ...]]
    sql: ClassVar[str] = ""
    views: ClassVar[tuple[View, ...]] = ()
    encoding: Encoding = "json"
    media_type: ClassVar[str] = ""
    sent_as: ClassVar[str] = ""
    ingest_proves: ClassVar[bool] = True
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

    def credential_check(self, at_us: int) -> Request | None:
        """Return a request that proves the credential where an ingest answer proves nothing, else None."""
        del at_us
        return None

    def judge_credential(self, response: Response) -> str | None:
        """Return why the answer to `credential_check` accepts no credential, or None where it does."""
        status = response.status
        if status < 300:
            return "A web page answered: check the address." if is_web_page(response) else None
        if status in {401, 403}:
            return self.hints.get(status, "The credential was refused.")
        return self.hints.get(status, f"{self.title} answered {status} when asked about the credential.")

    def data_check(self, trace_id: str, at_us: int) -> Request | None:
        """Return a request that reads a trace back, where the vendor lets the same credential do so."""
        del trace_id, at_us
        return None

    def judge_data(self, response: Response) -> bool | None:
        """Return whether the answer to `data_check` holds the trace; None where it does not tell."""
        return None if response.status >= 300 else bool(response.body)

    @classmethod
    def assigned(cls, config: Mapping[str, Any], workspace_uid: str) -> Mapping[str, Any]:
        """Return settings that are not the user's to choose, which stand in for what these say."""
        del config, workspace_uid
        return {}

    def warnings(self) -> Mapping[str, str]:
        """Return, by outside field name, what looks wrong about a credential's format; it never blocks."""
        return {}

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return attributes for the vendor's own LLM pages, made from the receipt without content."""
        del receipt
        return {}

    def content_attributes(self, asked: Sequence[Message], answered: Sequence[Message]) -> Attributes:
        """Return content under the vendor's own names, made of the convention's messages that may leave.

        Called only where these are sent; `genai_names.is_content` knows the names, so these are cut first.
        """
        del asked, answered
        return {}

    def resource_attributes(self) -> Attributes:
        """Return what a vendor wants to know of the resource, such as the project that spans belong to."""
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the vendor's page of a trace, where its address is known or the user has told it."""
        del at_us
        told: str | None = getattr(self, "trace_link", None)
        return told and told.replace(TRACE_ID_MARK, trace_id)

    def view(self, text: str, source: str) -> str:
        """Return a view's file with what this destination knows in it; `source` as the user named it."""
        del source
        return text

    # -- what a type that declares `metrics` may say otherwise -------------------------------------

    def metrics_endpoint(self) -> str:
        """Return the full address that metrics are sent to: beside the spans, on the same server."""
        return under(self.endpoint(), "/v1/metrics")

    def metrics_auth(self) -> Headers:
        """Return the headers that carry the credential for metrics, and name where they belong."""
        return self.auth()

    def metrics_encoding(self) -> Encoding:
        """Return how metrics are encoded: whoever takes them takes protobuf."""
        return "protobuf"

    # -- what a type with an API of its own says otherwise ----------------------------------------

    def encode(self, spans: ResourceSpans) -> bytes:
        """Return what one receipt becomes; the spans hold what may leave, and nothing too long."""
        if own := self.resource_attributes():
            spans = structs.replace(spans, resource={**spans.resource, **own})
        return otlp.encode(spans) if self.encoding == "json" else otlp_protobuf.encode(spans)

    def join(self, pieces: tuple[bytes, ...]) -> bytes:
        """Return the body of a request with these pieces."""
        return envelope(self.encoding, pieces)

    def max_receipts(self) -> int:
        """Return how many receipts a request may hold: 1 where each is a request of its own."""
        return self.max_spans

    def compresses(self) -> bool:
        """Whether what is sent is compressed."""
        return self.compress

    def packs(self) -> bool:
        """Whether bodies go out as gzip; what frames a gRPC message compresses it as well."""
        return self.compresses() and self.encoding != "grpc"

    def request(self, batch: Batch) -> Request:
        """Return the request of a batch; pure, so that calling it twice gives equal requests."""
        media_type = self.media_type or CONTENT_TYPES[self.encoding]
        return Request(
            method="POST",
            url=self.endpoint(),
            headers={"content-type": media_type, **self.auth(), **self.extra_headers()},
            body=self.join(batch.pieces) if batch.joined is None else batch.joined,
            compress=self.compresses(),
            packed=batch.packed,
        )

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means, by OTLP's rules; never raises, whatever the body holds."""
        return judge_otlp(response)

    # -- what every type gets --------------------------------------------------------------------

    @classmethod
    def takes_metrics(cls) -> bool:
        """Whether OTLP metrics may be sent there: the type declares `metrics`."""
        return any(spec.name == "metrics" for spec in cls.specs())

    def metrics_every_s(self) -> int | None:
        """Return how often metrics are sent, None where they are off."""
        return metrics_every_s({"metrics": getattr(self, "metrics", None)})

    def metrics_request(self, body: bytes) -> Request:
        """Return the request of an export of metrics."""
        return Request(
            method="POST",
            url=self.metrics_endpoint(),
            headers={
                "content-type": CONTENT_TYPES[self.metrics_encoding()],
                **self.metrics_auth(),
                **self.extra_headers(),
            },
            body=body,
            compress=self.compresses(),
        )

    @classmethod
    def has_own_api(cls) -> bool:
        """Whether a receipt becomes something else than OTLP."""
        return cls.encode is not Destination.encode

    def extra_headers(self) -> dict[str, str]:
        """Return the user's own headers, names in lower case."""
        given: SecretHeaders | None = getattr(self, "headers", None)
        return {name.lower(): value.reveal() for name, value in (given or {}).items()}

    def address(self) -> tuple[str, ...]:
        """Return every address this destination calls, normalised, from settings that are not secret.

        What differs from request to request (an object's name, a token of the batch) comes after it. Where
        metrics go beside the spans, by the same settings, to the same server, is said by the spans' address.
        """
        checks = (self.credential_check(0), self.data_check("0" * 32, 0))
        called = [self.endpoint(), *(check.url for check in checks if check is not None)]
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
        blank = {spec.name: Secret("") for spec in self.specs() if spec.kind == "secret"}
        # A header that is the same without the secrets (a user's name, a kind of token) holds none.
        same = dataclasses.replace(self, **blank).auth()  # type: ignore[type-var]
        made = [value for name, value in self.auth().items() if same.get(name) != value]
        own = [value for value in (*made, *self.extra_headers().values()) if value]
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
