"""What a value has to be: mended where a paste can mean one thing only, else refused in a sentence."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from broadcast import pastes
from broadcast.fields import HttpsUrl, Kind, Secret, SecretHeaders, Spec

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_DENIED_HEADERS: Final = re.compile(
    r"host|content-length|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|proxy-.*|content-type"
    r"|content-encoding|accept-encoding|cookie|forwarded|x-forwarded-.*|x-real-ip|user-agent|metadata-flavor"
    r"|x-aws-ec2-metadata-token.*|x-amz-.*|x-goog-.*|x-google-.*|x-azure-.*"
)


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
