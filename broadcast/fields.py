"""The vocabulary of settings: what a destination type declares once and everything else reads."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NewType, NoReturn, get_args, get_origin, get_type_hints

HttpsUrl = NewType("HttpsUrl", str)
"""An address to send to: https, or http where the operator permits the host (judged by egress, not here)."""

BULLETS: Final = "••••••••"
MASK: Final = "…"


class Secret:
    """A value that prints as bullets everywhere; `reveal` is the only way out, and a name one can grep."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def masked(self) -> str:
        """Return the first and last four characters where that leaves most of it hidden, else bullets."""
        return f"{self._value[:4]}{MASK}{self._value[-4:]}" if len(self._value) >= 16 else BULLETS

    def __repr__(self) -> str:
        return BULLETS

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return BULLETS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is never pickled.")


class SecretHeaders(dict[str, Secret]):
    """Extra HTTP headers: names as the user typed them, values secret."""


Kind = Literal["text", "url", "secret", "headers", "choice", "flag"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """One setting as declared: `name` is ours, `outside` the camelCase name of API, form and documents.

    `known` are addresses by the name of their region; `instead` says, by pattern, what to paste instead.
    """

    name: str
    outside: str
    label: str
    kind: Kind
    required: bool
    default: Any
    example: Any
    help: str
    pattern: str | None
    choices: tuple[str, ...]
    known: Mapping[str, str]
    instead: Mapping[str, str]

    @property
    def secret(self) -> bool:
        """Whether the value goes into the vault."""
        return self.kind in {"secret", "headers"}


def field(
    label: str,
    *,
    example: Any = "",
    help: str = "",  # noqa: A002 - the word of every form
    pattern: str | None = None,
    outside: str | None = None,
    known: Mapping[str, str] | None = None,
    instead: Mapping[str, str] | None = None,
    default: Any = dataclasses.MISSING,
) -> Any:
    """Declare one setting; required unless it has a default, checked by its annotation and `pattern`.

    `outside` is for a name that is fixed and already a method of the port, such as `endpoint`. `known` are
    addresses by region: a region's name, or any page of such an address, becomes it. `instead` maps a pattern
    of what belongs elsewhere (a dashboard, the neighbour's id) to the sentence that says what to paste.
    """
    metadata = {
        "label": label,
        "example": example,
        "help": help,
        "pattern": pattern,
        "outside": outside,
        "known": known or {},
        "instead": instead or {},
    }
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, SecretHeaders):
        return dataclasses.field(default_factory=lambda: SecretHeaders(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def own_headers() -> Any:
    """Declare the headers of the user's own that every type takes."""
    return field(
        "Headers", default=SecretHeaders(), example={"X-Team": "search"}, help="Sent with every request."
    )


TRACE_ID_MARK: Final = "{traceId}"
"""What stands for a trace's id in the address of its page."""


def own_trace_link() -> Any:
    """Declare where a trace's page is, for a type whose vendor does not document it."""
    return field(
        "Link to a trace",
        outside="traceLink",
        default=None,
        example=f"https://traces.example.com/trace/{TRACE_ID_MARK}",
        pattern=rf"https://[^\s{{}}]+{re.escape(TRACE_ID_MARK)}[^\s{{}}]*",
        instead={
            r"https://[^\s{}]+": f"Write {TRACE_ID_MARK} where the trace's id stands in the address.",
            r"http://.*": "Enter an https address: no other is linked to.",
        },
        help=f"The address of a trace's page as your browser shows it, with {TRACE_ID_MARK} for its id.",
    )


JsonOrProtobuf = Literal["json", "protobuf"]
"""The encodings that a receiver of OTLP over HTTP may take both."""


def own_encoding(default: JsonOrProtobuf) -> Any:
    """Declare that a type takes spans in either encoding."""
    return field(
        "Encoding",
        default=default,
        example=default,
        help="Spans as JSON or as protobuf: both are taken here, and hold the same.",
    )


MetricsEvery = Literal["off", "10s", "30s", "60s", "5m", "15m", "1h"]
"""How often a destination's metrics are sent: between 10 seconds and an hour, or not at all."""

METRICS_EVERY_S: Final[Mapping[MetricsEvery, int]] = {
    "10s": 10,
    "30s": 30,
    "60s": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3600,
}


def sent_metrics() -> Any:
    """Declare that a type takes OTLP metrics with cumulative sums, and how often they are sent."""
    return field(
        "Metrics",
        default="off",
        example="60s",
        help="How often tokens, durations, requests, errors and cost leave as OTLP metrics; 60s is usual. "
        "They count every request that keys and filter rules let through, also those that are sampled out.",
    )


def metrics_every_s(config: Mapping[str, Any]) -> int | None:
    """Return how often, by its settings, a destination's metrics are sent; None for not at all."""
    return METRICS_EVERY_S.get(config.get("metrics", "off"))


def under(base: str, path: str) -> str:
    """Return the address of a path below a base, also when the base was pasted with the path or its start."""
    base = base.rstrip("/")
    ends = [path[: place or len(path)] for place in range(len(path)) if place == 0 or path[place] == "/"]
    for end in sorted({*ends, "/v1/traces"} - {""}, key=len, reverse=True):
        if base.endswith(end):
            return base.removesuffix(end).rstrip("/") + path
    return base + path


def specs(cls: type[Any]) -> tuple[Spec, ...]:
    """Return the settings of a destination type in declared order; looked up once a type."""
    known = _known.get(cls)
    if known is None:
        hints = get_type_hints(cls)
        known = tuple(_spec(item, hints[item.name]) for item in dataclasses.fields(cls) if item.metadata)
        _known[cls] = known
    return known


_known: Final[dict[type[Any], tuple[Spec, ...]]] = {}


def _spec(item: "dataclasses.Field[Any]", hint: Any) -> Spec:
    has_default = item.default is not dataclasses.MISSING
    return Spec(
        name=item.name,
        outside=item.metadata["outside"] or camel(item.name),
        label=item.metadata["label"],
        kind=_kind(hint),
        required=not has_default and item.default_factory is dataclasses.MISSING,
        default=item.default if has_default else None,
        example=item.metadata["example"],
        help=item.metadata["help"],
        pattern=item.metadata["pattern"],
        choices=get_args(hint) if get_origin(hint) is Literal else (),
        known=item.metadata["known"],
        instead=item.metadata["instead"],
    )


def _kind(hint: Any) -> Kind:
    members = [arg for arg in get_args(hint) if arg is not type(None)]
    if get_origin(hint) is Literal:
        return "choice"
    bare = members[0] if len(members) == 1 else hint
    kinds: dict[Any, Kind] = {
        HttpsUrl: "url",
        Secret: "secret",
        SecretHeaders: "headers",
        bool: "flag",
        str: "text",
    }
    return kinds[bare]


def camel(name: str) -> str:
    """Return `base_url` as `baseUrl`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def is_masked(value: object) -> bool:
    """Return whether a value is one of our masks sent back, which counts as absent."""
    return isinstance(value, str) and (value == BULLETS or re.fullmatch(r".{4}….{4}", value) is not None)
