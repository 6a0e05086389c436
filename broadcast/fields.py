"""The vocabulary of settings: what a destination type declares once and everything else reads."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NewType, NoReturn, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

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
    """One setting as declared: `name` is ours, `outside` the camelCase name of API, form and documents."""

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
    default: Any = dataclasses.MISSING,
) -> Any:
    """Declare one setting; required unless it has a default, checked by its annotation and `pattern`.

    `outside` is for a name that is fixed and already a method of the port, such as `endpoint`.
    """
    metadata = {"label": label, "example": example, "help": help, "pattern": pattern, "outside": outside}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, SecretHeaders):
        return dataclasses.field(default_factory=lambda: SecretHeaders(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


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
    if not isinstance(value, str):
        raise ValueError("Enter text.")  # noqa: TRY004 - every wrong setting is a ValueError
    text = value.strip()
    if not text or any(ord(char) < 32 or ord(char) == 127 for char in text) or len(text) > 4096:
        raise ValueError("Enter 1 to 4096 characters, without control characters.")
    if spec.pattern and not re.fullmatch(spec.pattern, text):
        raise ValueError(f"This does not look right; an example: {spec.example}")
    return text


def _check_url(spec: Spec, value: Any) -> HttpsUrl:
    """Refuse what parsers read differently; a trailing slash after more than the origin stays."""
    text = _check_text(spec, value)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"Enter a full address, such as {spec.example}.") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ValueError(f"Enter a full address, such as {spec.example}.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("Leave user name and password out of the address.")
    if parts.fragment or re.search(r"[\s\\%]", parts.netloc) or "\\" in text or " " in text:
        raise ValueError("Leave fragments, spaces and backslashes out of the address.")
    return HttpsUrl(text.removesuffix("/") if parts.path == "/" and not parts.query else text)


def _check_secret(spec: Spec, value: Any) -> Secret:
    text = _check_text(spec, value.reveal() if isinstance(value, Secret) else value)
    if not text.isascii():
        raise ValueError("Enter plain ASCII characters only.")
    return Secret(text)


def _check_headers(spec: Spec, value: Any) -> SecretHeaders:
    if not isinstance(value, Mapping):
        raise ValueError("Enter an object of header names and values.")  # noqa: TRY004
    checked = SecretHeaders()
    for name, raw in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ValueError("Header names are letters, digits and hyphens, at most 64.")
        if _DENIED_HEADERS.fullmatch(name.lower()):
            raise ValueError(f"The header {name} is set by Broadcast and cannot be given.")
        checked[name] = _check_secret(spec, raw)
    if len({name.lower() for name in checked}) < len(checked):
        raise ValueError("A header is given twice.")
    if len(checked) > 20:
        raise ValueError("At most 20 headers.")
    return checked


def _check_choice(spec: Spec, value: Any) -> str:
    if value not in spec.choices:
        raise ValueError("Choose one of " + ", ".join(spec.choices) + ".")
    return str(value)


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
