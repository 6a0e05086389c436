"""Pastes: a value taken out of what people copy it with, where it can be one thing only.

From a `curl` line, a line of an environment, a header, a pair of quotes. Anything else comes back as it was,
for `setting_checks` to say what is wrong with it.
"""

import base64
import binascii
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

_AROUND: Final = " \t\r\n\u00a0\u200b\u2060\ufeff"
_QUOTED: Final = re.compile(r"([\"'`])(?P<straight>.*)\1[,;]?|“(?P<curly>.*)”", re.DOTALL)
_ASSIGNED: Final = re.compile(
    r"(?:export\s+|set\s+|\$env:)?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\s*=\s*([^\s=].*)", re.DOTALL
)
_HOST: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?:/\S*)?")
_COMMAND: Final = re.compile(r"\$?\s*curl\s")
_HEADER: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*(?::\s*|=)(\S.*)")
_CREDENTIAL_LINE: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9_-]*:\s+|(?:authorization|[A-Za-z]+(?:-[A-Za-z]+)+)\s*=\s*)([^\s=].*)", re.IGNORECASE
)
_SCHEME: Final = re.compile(r"(bearer|token|api-?token|api-?key|splunk|basic)\s+(\S+)", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(r"authorization|x-honeycomb-team|.*(?:key|token|auth|secret)", re.IGNORECASE)
_OF_THE_COMMAND: Final = frozenset(
    {"content-type", "accept", "content-encoding", "content-length", "user-agent"}
)


def plain(text: str) -> str:
    """Return a value without what surrounds it: spaces, quotes, the name of a variable."""
    before = None
    while text != before:
        before, text = text, text.strip(_AROUND)
        if quoted := _QUOTED.fullmatch(text):
            text = quoted["curly"] if quoted["straight"] is None else quoted["straight"]
        elif assigned := _ASSIGNED.fullmatch(text):
            text = assigned[1]
    return text


def is_command(text: str) -> bool:
    """Return whether this is a `curl` line."""
    return _COMMAND.match(text.strip(_AROUND)) is not None


def address(text: str) -> str:
    """Return the address in a paste: the only one of a command, or what a browser shows."""
    text = plain(text)
    if is_command(text):
        found = {word for word in _words(text) if re.match("https?://", word)}
        return found.pop() if len(found) == 1 else text
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    # What follows a hash is for browsers: no server is ever told.
    text = text.partition("#")[0]
    return f"https://{text}" if _HOST.fullmatch(text) else text


def secret(text: str) -> str:
    """Return the credential in a paste: what the only header of a command that carries one says."""
    before = None
    while text != before:
        before, text = text, _less(text)
    return text


def _less(text: str) -> str:
    text = plain(text)
    if is_command(text):
        found = {_credential(value) for name, value in _given(text).items() if _CREDENTIAL.fullmatch(name)}
        return found.pop() if len(found) == 1 else text
    line = _CREDENTIAL_LINE.fullmatch(text)
    named = line is not None and _CREDENTIAL.fullmatch(line[1].strip(" \t:="))
    return _credential(line[2] if line is not None and named else text)


def headers(value: Any) -> Any:
    """Return headers from a mapping, a JSON object, lines, a command or `name=value,name=value`."""
    if isinstance(value, str):
        value = _from_text(value)
    if not isinstance(value, Mapping):
        return value
    return {_name(name): _value(name, text) for name, text in value.items()}


def _name(name: Any) -> Any:
    return name.strip(_AROUND).rstrip(f":{_AROUND}") if isinstance(name, str) else name


def _value(name: Any, text: Any) -> Any:
    """Return a value without its own name before it: the whole line was pasted."""
    if not isinstance(text, str) or not isinstance(name, str):
        return text
    text = plain(text)
    head, colon, rest = text.partition(":")
    return _value(name, rest) if colon and head.strip().lower() == _name(name).lower() else text


def _from_text(text: str) -> Any:
    text = text.strip(_AROUND)
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    if is_command(text):
        return {name: value for name, value in _given(text).items() if name.lower() not in _OF_THE_COMMAND}
    text = plain(text)
    listed = [_HEADER.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
    if listed and all(line and ":" in line[0].partition("=")[0] for line in listed):
        return {line[1]: line[2] for line in listed if line}
    pairs = [_HEADER.fullmatch(part.strip()) for part in text.split(",")]
    return {pair[1]: unquote(pair[2]) for pair in pairs if pair} if all(pairs) else text


def _credential(text: str) -> str:
    """Return a credential without its scheme; of user and password as Basic has them, the password."""
    text = plain(unquote(text) if "%20" in text else text)
    scheme = _SCHEME.fullmatch(text)
    if scheme is None:
        return text
    if scheme[1].lower() != "basic":
        return scheme[2]
    try:
        user, colon, password = base64.b64decode(scheme[2], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return text
    return password if user and colon and password else text


def _given(command: str) -> dict[str, str]:
    """Return the headers of a command; user and password count as the password's."""
    found: dict[str, str] = {}
    words = _words(command)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in {"-H", "--header"} and (header := _HEADER.fullmatch(following.strip())):
            found[header[1]] = header[2].strip()
        elif word in {"-u", "--user"} and ":" in following:
            found["authorization"] = following.partition(":")[2]
    return found


def _words(command: str) -> list[str]:
    """Return the words as a shell splits them; a line that was cut inside quotes is split at spaces."""
    joined = re.sub(r"\\\r?\n", " ", command)
    try:
        return shlex.split(joined)
    except ValueError:
        return joined.split()
