"""What whoever is on call needs of a destination in trouble: what happened, what is held, what to do."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broadcast.destination import Destination
from broadcast.fields import Spec
from broadcast.shelf import Listed
from broadcast.store.destinations import StoredDestination

LONG_US: Final = 120_000_000
"""A destination that keeps its receipts waiting for longer than this is shown as a problem."""

_ANSWER: Final = re.compile(r"(\d{3})\b([^:]*)(?::\s*(.*))?", re.DOTALL)
_MESSAGE: Final = re.compile(r'"(?:message|error|detail|errorMessage|reason)"\s*:\s*"((?:[^"\\]|\\.)+)')
_TAGS: Final = re.compile(r"<[^>]*>|\s+")
_WORDS_CHARS: Final = 240
_KEY: Final = frozenset({401, 403, 407})
_PLACE: Final = frozenset({404, 405, 410})
_TO_DO: Final[Mapping[int, str]] = {
    401: "The key was not accepted: enter it again, whole.",
    403: "The key is known but may not write traces: give it that scope, or enter another one.",
    404: "There is nothing at this path: check the end of the address.",
    405: "Nothing is taken at this path: check the end of the address.",
    407: "A proxy asks for a login: enter the destination's own address.",
    410: "This address was taken out of service: enter the new one.",
    415: "This encoding is not taken: check that the address takes OTLP over HTTP.",
}
_MOVED: Final = "The address moved: enter the new one, redirects are never followed."
_PAGE: Final = "The answer is a web page: enter the address that takes the data, not of the site."
_ADDRESS: Final = (
    "Broadcast sends to public https: enter another address, or have the operator allow this one "
    "in BROADCAST_EGRESS_ALLOW."
)
_SEALED: Final = "The stored secret cannot be opened: enter it again."
_OPERATOR: Final = "The operator set this destination: tell them."


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reason taken apart: `status` and what it is called, `said` in the destination's own words."""

    status: int | None
    called: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a destination in trouble tells whoever is on call; `action` names the way out, if there is one."""

    paused: bool
    answer: Answer
    at_us: int
    tries: int
    held_until_us: int
    content_until_us: int | None
    goes_on_seq: int
    to_do: str
    action: str | None
    field: str | None


def answer_of(reason: str) -> Answer:
    """Take a recorded reason apart into status and the destination's own words."""
    found = _ANSWER.match(reason)
    if found is None:
        return Answer(status=None, called=reason.strip().rstrip("."), said="")
    status, name, rest = int(found[1]), found[2].strip(" ,"), (found[3] or "").strip()
    if "web page" in name:
        return Answer(status=status, called=f"{status} {name.split(',')[0].strip()} with a web page", said="")
    return Answer(status=status, called=f"{status} {name}".strip(), said=_said(rest))


def spoken(reason: str) -> str:
    """Return a destination's own words in quotes where it had any, for where its status stands beside."""
    answer = answer_of(reason)
    return f"\u201c{answer.said}\u201d" if answer.said else answer.called or reason


def _said(body: str) -> str:
    """Return the sentence inside an answer's body, which may be JSON, a cut off JSON, a page or text."""
    try:
        words = _inside(json.loads(body))
    except ValueError:
        found = _MESSAGE.search(body)
        words = found[1] if found else body
    plain = _TAGS.sub(" ", words).strip()
    if not any(char.isalnum() for char in plain):
        return ""
    return plain if len(plain) <= _WORDS_CHARS else plain[: _WORDS_CHARS - 1].rstrip() + "\u2026"


def _inside(document: Any) -> str:
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return _inside(document[0]) if document else ""
    if not isinstance(document, dict):
        return ""
    for name in ("message", "errorMessage", "error_description", "detail", "error", "errors", "reason"):
        if name in document and (words := _inside(document[name])):
            return words
    return ""


def problem_of(
    found: Listed, kind: type[Destination] | None, *, retention_us: int, content_ttl_us: int, now_us: int
) -> Problem | None:
    """Return the problem of a destination that an answer paused or that fails for long, else None."""
    stored, cursor, state = found.stored, found.cursor, found.state
    paused = state.word == "paused" and state.paused_by == "answer"
    behind_us = round(state.behind_s * 1_000_000)
    failing = state.word in {"retrying", "throttled"} and behind_us > LONG_US
    if cursor is None or not (paused or failing):
        return None
    oldest_us = now_us - behind_us
    answer = answer_of(state.reason or "The destination refused what was sent.")
    field = _field(answer, kind, stored) if paused else None
    editable = stored.origin != "operator"
    return Problem(
        paused=paused,
        answer=answer,
        at_us=(stored.paused_at_us if paused else cursor.last_attempt_at_us) or now_us,
        tries=cursor.failures,
        held_until_us=state.held_until_us or oldest_us + retention_us,
        content_until_us=oldest_us + content_ttl_us if stored.privacy_level != "metadata" else None,
        goes_on_seq=cursor.cursor_seq + 1,
        to_do=_to_do(answer, kind, paused=paused) if editable else _OPERATOR,
        action=_action(field, stored) if paused and editable else None,
        field=field.outside if field else None,
    )


def _to_do(answer: Answer, kind: type[Destination] | None, *, paused: bool) -> str:
    title = kind.title if kind else "the destination"
    if not paused:
        return _patience(answer, title)
    if answer.status is None:
        return _SEALED if "secret" in answer.called.lower() else _ADDRESS
    if "web page" in answer.called:
        return _PAGE
    hints = kind.hints if kind else {}
    general = _MOVED if 300 <= answer.status < 400 else "Its own words say why: check the settings."
    return hints.get(answer.status) or _TO_DO.get(answer.status, general)


def _patience(answer: Answer, title: str) -> str:
    if answer.status == 429:
        return f"Nothing: {title} gets them at its own pace. A lower share of sessions sends less."
    if answer.status is None:
        return f"Check that {title} is up and can be reached from this server. It is tried again by itself."
    return f"Look at the status page of {title}. It is tried again by itself, at least once a minute."


def _field(answer: Answer, kind: type[Destination] | None, stored: StoredDestination) -> Spec | None:
    """Return the setting that most likely has to change."""
    specs = kind.specs() if kind else ()
    if answer.status in _KEY or (answer.status is None and "secret" in answer.called.lower()):
        secrets = [spec for spec in specs if spec.secret]
        # What has to be there, then what is, then headers: an optional secret may sign and not sign in.
        return min(
            secrets,
            key=lambda spec: (not spec.required, spec.outside not in stored.masks, spec.kind != "headers"),
            default=None,
        )
    if answer.status is not None and answer.status not in _PLACE and answer.status >= 400:
        return None
    return next((spec for spec in specs if spec.kind == "url"), None)


def _action(field: Spec | None, stored: StoredDestination) -> str:
    if field is None:
        return "Edit the settings"
    label = field.label
    spoken = label if label[1:2].isupper() else label[:1].lower() + label[1:]
    if not field.secret:
        return f"Change {spoken}"
    return f"Replace {spoken}" if field.outside in stored.masks else f"Enter {spoken}"
