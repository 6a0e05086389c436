"""The vocabulary of settings: what a destination type declares once and everything else reads."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NewType, NoReturn, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from broadcast import pastes

HttpsUrl = NewType("HttpsUrl", str)
"""An address to send to: https, or http where the operator permits the host (judged by egress, not here)."""

BULLETS: Final = "••••••••"
MASK: Final = "…"
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_DENIED_HEADERS: Final = re.compile(
    r"host|content-length|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|proxy-.*|content-type"
    r"|content-encoding|accept-encoding|cookie|forwarded|x-forwarded-.*|x-real-ip|user-agent|metadata-flavor"
    r"|x-aws-ec2-metadata-token.*|x-amz-.*|x-goog-.*|x-google-.*|x-azure-.*"
)


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


def check(spec: Spec, value: Any) -> Any:
    """Return the value as the type wants it; raise `ValueError` with a sentence for a person."""
    return _CHECKS[spec.kind](spec, value)


def _check_text(spec: Spec, value: Any) -> str:
    text = _printable(pastes.plain(_text(value)))
    _refuse_neighbour(spec, text)
    if spec.pattern and not re.fullmatch(spec.pattern, text):
        if "://" in text:
            raise ValueError(f"This is an address; enter the {spec.label} alone, such as {spec.example}.")
        raise ValueError(f"This does not look right; an example: {spec.example}")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Enter text.")  # noqa: TRY004 - every wrong setting is a ValueError
    return value


def _printable(text: str) -> str:
    if pastes.is_command(text):
        raise ValueError("This is a command; enter the value alone.")
    if "\n" in text or "\r" in text:
        raise ValueError("This has a line break in it; enter one line.")
    if not text or any(ord(char) < 32 or ord(char) == 127 for char in text) or len(text) > 4096:
        raise ValueError("Enter 1 to 4096 characters, without control characters.")
    return text


def _refuse_neighbour(spec: Spec, text: str) -> None:
    for pattern, sentence in spec.instead.items():
        if re.fullmatch(pattern, text):
            raise ValueError(sentence)


def _check_url(spec: Spec, value: Any) -> HttpsUrl:
    """Refuse what parsers read differently; a trailing slash after more than the origin stays."""
    regions = {name.lower(): url for name, url in spec.known.items()}
    text = _printable(pastes.address(regions.get(_text(value).strip().lower(), value)))
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"Enter a full address, such as {spec.example}.") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ValueError(f"Enter a full address, such as {spec.example}.")
    _refuse_neighbour(spec, text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("Leave user name and password out of the address.")
    for url in spec.known.values():
        if parts.scheme == "https" and port in {None, 443} and parts.hostname == urlsplit(url).hostname:
            return HttpsUrl(url)
    if re.search(r"[\s\\%]", parts.netloc) or "\\" in text or " " in text:
        raise ValueError("Leave spaces and backslashes out of the address.")
    return HttpsUrl(text.removesuffix("/") if parts.path == "/" and not parts.query else text)


def _check_secret(spec: Spec, value: Any) -> Secret:
    text = pastes.secret(value.reveal() if isinstance(value, Secret) else _text(value))
    if not _printable(text).isascii():
        raise ValueError("Enter plain ASCII characters only.")
    _refuse_neighbour(spec, text)
    if text.startswith(("https://", "http://")) and not str(spec.example).startswith("https://"):
        raise ValueError(f"This is an address; enter the {spec.label}.")
    return Secret(text)


def _check_headers(_: Spec, value: Any) -> SecretHeaders:
    given = pastes.headers(value)
    if not isinstance(given, Mapping):
        raise ValueError("Enter an object of header names and values.")  # noqa: TRY004
    checked = SecretHeaders()
    for name, raw in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError("Header names are letters, digits and hyphens, at most 64.")
        if _DENIED_HEADERS.fullmatch(name.lower()):
            raise ValueError(f"The header {name} is set by Broadcast and cannot be given.")
        checked[name] = _header_value(name, raw)
    if len({name.lower() for name in checked}) < len(given):
        raise ValueError("A header is given twice.")
    if len(checked) > 20:
        raise ValueError("At most 20 headers.")
    return checked


def _header_value(name: str, raw: Any) -> Secret:
    text = (raw.reveal() if isinstance(raw, Secret) else _text(raw)).strip()
    if "\n" in text or "\r" in text:
        raise ValueError(f"The value of {name} has a line break in it; enter each header on its own.")
    if not _printable(text).isascii():
        raise ValueError(f"Enter plain ASCII characters only in the value of {name}.")
    return Secret(text)


def _check_choice(spec: Spec, value: Any) -> str:
    if value in spec.choices:
        return str(value)
    if isinstance(value, str):
        text = pastes.plain(value).lower()
        for choice in spec.choices:
            if text == choice.lower():
                return choice
        if (site := _same_site(spec.choices, pastes.address(text))) is not None:
            return site
    raise ValueError("Choose one of " + ", ".join(spec.choices) + ".")


def _same_site(choices: tuple[str, ...], pasted: str) -> str | None:
    """Return the address among the choices that belongs to the site of a pasted page."""
    host = urlsplit(pasted).hostname or ""
    for candidate in (host, host.partition(".")[2]):
        for choice in choices:
            own = urlsplit(choice).hostname or ""
            if candidate and candidate in {own, own.partition(".")[2]}:
                return choice
    return None


def _check_flag(spec: Spec, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{spec.label} is true or false.")  # noqa: TRY004
    return value


_CHECKS: Final[dict[Kind, Any]] = {
    "text": _check_text,
    "url": _check_url,
    "secret": _check_secret,
    "headers": _check_headers,
    "choice": _check_choice,
    "flag": _check_flag,
}
